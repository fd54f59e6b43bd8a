/** Names out of the cluster for completion: few questions, little patience. */

import { listAll } from '../cluster/cluster-api.ts';
import type { ClusterOptions } from '../cluster/cluster-options.ts';
import type { KubeObject } from '../cluster/kube-types.ts';
import { DEFAULT_MESH_NAMESPACE } from '../cluster/mesh-names.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import type { Completion } from './complete-words.ts';

/** A person waits for it with a finger on the key. */
const PATIENCE_MS = 2000;

/** Nothing when the cluster cannot be asked: there is no place to say so. */
export async function clusterNames({
  source,
  namespace = 'default',
}: Extract<Completion, { kind: 'names' }>): Promise<string[]> {
  const paths = {
    node: '/api/v1/nodes',
    namespace: '/api/v1/namespaces',
    pod: `/api/v1/namespaces/${namespace}/pods`,
  };
  const options: ClusterOptions = { requestTimeout: PATIENCE_MS, meshNamespace: DEFAULT_MESH_NAMESPACE };
  try {
    const cluster = await openCluster(options);
    const objects = await listAll<KubeObject>(cluster.api, paths[source]);
    await cluster.close();
    return objects.map(({ metadata }) => metadata.name);
  } catch {
    return [];
  }
}
