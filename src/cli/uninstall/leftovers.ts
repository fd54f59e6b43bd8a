/** What an installation has put into a cluster, found by its marks, and deleted. */

import type { Cluster } from '../cluster/cluster.ts';
import { listIfKnown, statusOf } from '../cluster/cluster-api.ts';
import type { ConfigMap, KubeObject, Node, Pod } from '../cluster/kube-types.ts';
import { PART_OF_SELECTOR, REDIRECTION_ANNOTATION, ROOT_CONFIG_MAP } from '../cluster/mesh-names.ts';

/** An object with the path under which the API server has it. */
export interface Found {
  readonly path: string;
  /** `clusterrole/ambit-cni`. */
  readonly name: string;
}

interface Collection {
  readonly kind: string;
  readonly path: string;
}

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

/** Kinds of objects in the namespace of the mesh that carry the label, beside the workloads. */
function namespacedCollections(namespace: string): Collection[] {
  const inGroup = (group: string) => `${group}/namespaces/${namespace}`;
  return [
    { kind: 'service', path: `${inGroup('/api/v1')}/services` },
    { kind: 'serviceaccount', path: `${inGroup('/api/v1')}/serviceaccounts` },
    { kind: 'configmap', path: `${inGroup('/api/v1')}/configmaps` },
    { kind: 'secret', path: `${inGroup('/api/v1')}/secrets` },
    { kind: 'role', path: `${inGroup(RBAC)}/roles` },
    { kind: 'rolebinding', path: `${inGroup(RBAC)}/rolebindings` },
    { kind: 'poddisruptionbudget', path: `${inGroup('/apis/policy/v1')}/poddisruptionbudgets` },
    { kind: 'networkpolicy', path: `${inGroup('/apis/networking.k8s.io/v1')}/networkpolicies` },
    { kind: 'lease', path: `${inGroup('/apis/coordination.k8s.io/v1')}/leases` },
  ];
}

const CLUSTER_COLLECTIONS: readonly Collection[] = [
  { kind: 'clusterrolebinding', path: `${RBAC}/clusterrolebindings` },
  { kind: 'clusterrole', path: `${RBAC}/clusterroles` },
  { kind: 'priorityclass', path: '/apis/scheduling.k8s.io/v1/priorityclasses' },
  { kind: 'clustertrustbundle', path: '/apis/certificates.k8s.io/v1beta1/clustertrustbundles' },
  { kind: 'clustertrustbundle', path: '/apis/certificates.k8s.io/v1alpha1/clustertrustbundles' },
];

const CRDS: Collection = {
  kind: 'customresourcedefinition',
  path: '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
};

/** Labelled objects other than workloads, the namespace and the resource definitions. */
export async function labelledObjects({ api, meshNamespace }: Cluster): Promise<Found[]> {
  const collections = [...namespacedCollections(meshNamespace), ...CLUSTER_COLLECTIONS];
  return (await Promise.all(collections.map((one) => labelledIn(api, one)))).flat();
}

export function resourceDefinitions({ api }: Cluster): Promise<Found[]> {
  return labelledIn(api, CRDS);
}

async function labelledIn(api: Cluster['api'], { kind, path }: Collection): Promise<Found[]> {
  const objects = await listIfKnown<KubeObject>(api, path, { labelSelector: PART_OF_SELECTOR });
  return objects.map(({ metadata }) => ({
    path: `${path}/${metadata.name}`,
    name: `${kind}/${metadata.name}`,
  }));
}

/** The published roots of this mesh; ConfigMaps of the same name by another control plane are not ours. */
export async function publishedRoots({ api }: Cluster): Promise<Found[]> {
  const query = { fieldSelector: `metadata.name=${ROOT_CONFIG_MAP}` };
  const maps = await listIfKnown<ConfigMap>(api, '/api/v1/configmaps', query);
  return maps
    .filter(({ metadata }) => metadata.managedFields?.some(({ manager }) => manager === 'ambit-controlplane'))
    .map(({ metadata: { namespace, name } }) => ({
      path: `/api/v1/namespaces/${namespace}/configmaps/${name}`,
      name: `configmap/${namespace}/${name}`,
    }));
}

/** Pods whose annotation says that they are in the mesh: their agent takes it away as the last thing. */
export async function annotatedPods({ api }: Cluster): Promise<Pod[]> {
  const pods = await listIfKnown<Pod>(api, '/api/v1/pods');
  return pods.filter(({ metadata }) => metadata.annotations?.[REDIRECTION_ANNOTATION] !== undefined);
}

export const AGENT_TAINT = 'ambit.io/agent-not-ready';

/** Nodes that still wait for an agent. */
export async function taintedNodes({ api }: Cluster): Promise<Node[]> {
  const nodes = await listIfKnown<Node>(api, '/api/v1/nodes');
  return nodes.filter((node) => node.spec?.taints?.some(({ key }) => key === AGENT_TAINT));
}

export async function removeTaint({ api }: Cluster, node: Node): Promise<void> {
  const taints = (node.spec?.taints ?? []).filter(({ key }) => key !== AGENT_TAINT);
  await api.request({
    method: 'PATCH',
    path: `/api/v1/nodes/${node.metadata.name}`,
    contentType: 'application/merge-patch+json',
    body: { spec: { taints } },
  });
}

/** Deletes one object; one that is gone already is as good. */
export async function deleteObject({ api }: Cluster, path: string): Promise<void> {
  try {
    await api.request({
      method: 'DELETE',
      path,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Foreground' },
    });
  } catch (thrown) {
    if (statusOf(thrown) !== 404) throw thrown;
  }
}
