/** A client on one node and a server on another, which it reaches through a Service, both in a namespace of the mesh. */

import { AMBIENT, namespaceManifest, serviceManifest } from '../mesh-manifests.ts';
import type { Cluster } from './cluster.ts';
import { clusterPod, toolsContainer } from './cluster-manifests.ts';
import type { Mesh } from './mesh.ts';

const CLIENT = 'client';
const SERVER = 'server';

/** Makes both, the client on node1 and the server on node2, and waits until they are enrolled; returns the URL of the Service. */
export async function startClientAndServer(mesh: Mesh, cluster: Cluster, namespace: string): Promise<string> {
  await cluster.apply(
    namespaceManifest(namespace, AMBIENT),
    clusterPod({ name: CLIENT, namespace, node: 'node1', container: toolsContainer() }),
    clusterPod({ name: SERVER, namespace, node: 'node2' }),
    serviceManifest({ name: SERVER, namespace, families: 'single' }),
  );
  await cluster.podsReady(namespace, 2);
  await mesh.enrolled(namespace);
  return `http://${await cluster.clusterIp(namespace, SERVER)}/`;
}
