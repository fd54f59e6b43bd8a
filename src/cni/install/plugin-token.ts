/** Tokens for the CNI plugin, of a ServiceAccount that may read pods and namespaces and nothing else. */

import type { KubeClient } from '../../kube/kube-client.ts';
import type { PluginToken } from './plugin-kubeconfig.ts';

const SERVICE_ACCOUNT = 'ambit-cni-plugin';
/**
 * So long the plugin can tell who stays out of the mesh while no agent runs; the token of the agent's own pod would end
 * with the pod.
 */
const LIFE_SECONDS = 24 * 3600;

interface TokenRequest {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

/** @throws {KubeRequestError} when the agent may not create them */
export async function issuePluginToken(client: KubeClient, namespace: string): Promise<PluginToken> {
  const { status } = await client.request<TokenRequest>({
    method: 'POST',
    path: `/api/v1/namespaces/${namespace}/serviceaccounts/${SERVICE_ACCOUNT}/token`,
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds: LIFE_SECONDS },
    },
  });
  return { token: status.token, expiresAtMs: Date.parse(status.expirationTimestamp) };
}
