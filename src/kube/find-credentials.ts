/** Finds the credentials of this process: a kubeconfig that is named, its pod's service account, or the user's kubeconfig. */

import type { ConnectOptions } from './connect-options.ts';
import type { KubeCredentials } from './credentials.ts';
import { ServiceAccountCredentials } from './service-account.ts';

/**
 * In a pod its service account is used, unless a kubeconfig is named; only the latter loads the Kubernetes library.
 * @throws AMBIT_KUBE_CONFIG_INVALID
 */
export async function findCredentials(options: ConnectOptions): Promise<KubeCredentials> {
  const named = options.kubeconfig ?? options.context ?? process.env.KUBECONFIG;
  if (named === undefined || named === '') {
    const account = ServiceAccountCredentials.ofThisPod();
    if (account !== undefined) return account;
  }
  const { KubeconfigCredentials } = await import('./kubeconfig.ts');
  return KubeconfigCredentials.load(options);
}
