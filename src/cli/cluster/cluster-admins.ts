/** The admin APIs of the node proxies of a cluster, which listen on the loopback of their pods. */

import type { NodeAdmin } from '../admin-source.ts';
import { errors } from '../errors.ts';
import type { Cluster } from './cluster.ts';
import { getIfThere, listAll } from './cluster-api.ts';
import type { Pod } from './kube-types.ts';
import { COMPONENT_LABEL, PART_OF_SELECTOR, PORTS } from './mesh-names.ts';
import { podByNode } from './node-answers.ts';

export interface ProxyChoice {
  readonly node: string | undefined;
  /** A proxy itself, or any pod: then the proxy of its node. */
  readonly pod: string | undefined;
  /** Of the pod; `default` when absent. */
  readonly namespace: string | undefined;
}

/** @throws AmbitError AMBIT_CLI_NOT_INSTALLED, AMBIT_CLI_USAGE for a pod that is not there */
export async function clusterAdmins(cluster: Cluster, choice: ProxyChoice): Promise<NodeAdmin[]> {
  const { api, meshNamespace } = cluster;
  const proxies = await listAll<Pod>(api, `/api/v1/namespaces/${meshNamespace}/pods`, {
    labelSelector: `${PART_OF_SELECTOR},${COMPONENT_LABEL}=ztunnel`,
  });
  const chosen = await choose(cluster, proxies, choice);
  if (chosen.size === 0) {
    const where = choice.node ?? 'any node';
    throw errors.AMBIT_CLI_NOT_INSTALLED(`no proxy runs in ${meshNamespace} on ${where}`);
  }
  return [...chosen]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([node, { metadata }]) => ({
      node,
      request: (method, path) => cluster.ask({ pod: metadata, port: PORTS.proxyAdmin, method, path }),
    }));
}

async function choose(
  cluster: Cluster,
  proxies: readonly Pod[],
  choice: ProxyChoice,
): Promise<Map<string, Pod>> {
  const named = proxies.find(({ metadata }) => metadata.name === choice.pod);
  if (named !== undefined) return new Map([[named.spec?.nodeName ?? '', named]]);
  const node = choice.pod === undefined ? choice.node : await nodeOfPod(cluster, choice);
  const all = podByNode(proxies, 'ztunnel');
  return new Map([...all].filter(([name]) => node === undefined || name === node));
}

async function nodeOfPod({ api }: Cluster, { pod, namespace = 'default' }: ProxyChoice): Promise<string> {
  const found = await getIfThere<Pod>(api, `/api/v1/namespaces/${namespace}/pods/${pod}`);
  if (found === undefined)
    throw errors.AMBIT_CLI_USAGE(`there is no pod ${pod} in the namespace ${namespace}`);
  return found.spec?.nodeName ?? '';
}
