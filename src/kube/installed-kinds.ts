/** Whether an API server has a kind of the mesh, which its administrator may have installed or not. */

import { KINDS, type ObjectKind } from '../objects/kinds.ts';
import { kubeErrors } from './errors.ts';
import type { KubeClient } from './kube-client.ts';
import { hasStatus } from './kube-request-error.ts';

const BUILT_IN_GROUPS: ReadonlySet<string> = new Set(['', 'discovery.k8s.io']);

interface ApiGroup {
  readonly versions?: readonly { readonly version: string }[];
}

/**
 * A kind that is there in other versions only is not taken for missing: its policies would silently not be in force.
 * @throws AMBIT_KUBE_VERSION_UNSERVED, and as a request does
 */
export async function isInstalled(client: KubeClient, kind: ObjectKind): Promise<boolean> {
  const { group, version, plural } = KINDS[kind];
  if (BUILT_IN_GROUPS.has(group)) return true;
  const serving: string[] = [];
  for (const one of await versionsOf(client, group)) {
    const resources = await client.resources(`${group}/${one}`);
    if (resources.some(({ name }) => name === plural)) serving.push(one);
  }
  if (serving.length === 0 || serving.includes(version)) return serving.length > 0;
  throw kubeErrors.AMBIT_KUBE_VERSION_UNSERVED(
    `the API server has ${kind} of ${group} as ${serving.join(', ')}, not as ${version}`,
  );
}

async function versionsOf(client: KubeClient, group: string): Promise<readonly string[]> {
  try {
    const { versions = [] } = await client.request<ApiGroup>({ path: `/apis/${group}` });
    return versions.map(({ version }) => version);
  } catch (thrown) {
    if (hasStatus(thrown, 404)) return [];
    throw thrown;
  }
}
