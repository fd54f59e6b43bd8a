/** Collects the facts of each section of checks from a cluster. */

import { AmbitError, messageOf } from '../../base/errors.ts';
import { VERSION } from '../../base/version.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere, listAll, listIfKnown } from '../cluster/cluster-api.ts';
import type {
  ConfigMap,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  KubeEvent,
  Lease,
  Namespace,
  NetworkPolicy,
  Node,
  Pod,
} from '../cluster/kube-types.ts';
import { AGENT, CONTROL_PLANE, LEASE, PROXY, ROOT_CONFIG_MAP } from '../cluster/mesh-names.ts';
import { askAgents, askControlPlanes, askProxies } from '../cluster/node-answers.ts';
import { type RunnableSection, runnable } from './check-report.ts';
import type { ApiAnswer, KubernetesFacts, Permission, PermissionAnswer } from './kubernetes-checks.ts';
import { KUBERNETES_CHECKS } from './kubernetes-checks.ts';
import { MESH_CHECKS } from './mesh-checks.ts';
import type { MeshFacts } from './mesh-facts.ts';
import { type JudgedObject, OBJECT_CHECKS, type ObjectFacts } from './object-checks.ts';
import { POD_CHECKS, type PodFacts } from './pod-checks.ts';
import { SURROUNDINGS_CHECKS, type SurroundingsFacts } from './surroundings-checks.ts';
import { wantedBy } from './wanted-pods.ts';

/** What several sections look at: read once. */
interface Inventory {
  readonly nodes: readonly Node[];
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  readonly crds: readonly string[];
}

/** The sections in their order; each is collected only when the one before has let it. */
export function sectionsFor(cluster: Cluster, isBeforeInstallation: boolean): RunnableSection[] {
  const inventory = once(() => readInventory(cluster));
  const mesh = once(async () => collectMesh(cluster, await inventory()));
  const needs = isBeforeInstallation ? INSTALL_NEEDS : CHECK_NEEDS;
  const before = [
    runnable({
      name: 'Kubernetes',
      checks: KUBERNETES_CHECKS,
      collect: () => collectKubernetes(cluster, needs),
    }),
    runnable({
      name: 'surroundings',
      checks: SURROUNDINGS_CHECKS,
      collect: async () => collectSurroundings(cluster, await inventory()),
    }),
  ];
  if (isBeforeInstallation) return before;
  return [
    ...before,
    runnable({ name: 'parts of the mesh', checks: MESH_CHECKS, collect: mesh }),
    runnable({ name: 'objects of users', checks: OBJECT_CHECKS, collect: () => collectObjects(cluster) }),
    runnable({
      name: 'pods of the mesh',
      checks: POD_CHECKS,
      collect: async () => podFactsOf(await inventory(), await mesh()),
    }),
  ];
}

const READS: readonly Permission[] = [
  { verb: 'list', group: '', resource: 'nodes' },
  { verb: 'list', group: '', resource: 'namespaces' },
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'list', group: 'apps', resource: 'daemonsets' },
  { verb: 'list', group: 'networking.k8s.io', resource: 'networkpolicies' },
  { verb: 'list', group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
];

const CHECK_NEEDS: readonly Permission[] = [
  ...READS,
  { verb: 'list', group: '', resource: 'configmaps' },
  { verb: 'list', group: '', resource: 'services' },
  { verb: 'list', group: 'security.istio.io', resource: 'authorizationpolicies' },
  { verb: 'list', group: 'security.istio.io', resource: 'peerauthentications' },
  { verb: 'list', group: 'networking.istio.io', resource: 'serviceentries' },
  { verb: 'create', group: '', resource: 'pods', subresource: 'portforward' },
];

const INSTALL_NEEDS: readonly Permission[] = [
  ...READS,
  { verb: 'create', group: '', resource: 'namespaces' },
  { verb: 'create', group: '', resource: 'serviceaccounts' },
  { verb: 'create', group: '', resource: 'services' },
  { verb: 'create', group: 'apps', resource: 'deployments' },
  { verb: 'create', group: 'apps', resource: 'daemonsets' },
  { verb: 'create', group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' },
  { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterroles' },
  { verb: 'create', group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings' },
];

async function collectKubernetes(cluster: Cluster, needs: readonly Permission[]): Promise<KubernetesFacts> {
  const api = await askVersion(cluster);
  if (api.kind === 'silent') return { api, permissions: [], nodes: [] };
  const permissions = await Promise.all(needs.map((need) => askPermission(cluster, need)));
  const mayList = permissions.some((one) => one.resource === 'nodes' && one.allowed);
  const nodes = mayList ? await listAll<Node>(cluster.api, '/api/v1/nodes') : [];
  return { api, permissions, nodes };
}

async function askVersion({ api }: Cluster): Promise<ApiAnswer> {
  try {
    const { gitVersion } = await api.request<{ gitVersion: string }>({ method: 'GET', path: '/version' });
    return { kind: 'answered', gitVersion };
  } catch (thrown) {
    if (!(thrown instanceof AmbitError)) throw thrown;
    return { kind: 'silent', reason: messageOf(thrown) };
  }
}

async function askPermission({ api }: Cluster, need: Permission): Promise<PermissionAnswer> {
  const { status } = await api.request<{ status?: { allowed?: boolean } }>({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    body: {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: need },
    },
  });
  return { ...need, allowed: status?.allowed ?? false };
}

async function readInventory({ api }: Cluster): Promise<Inventory> {
  const [nodes, namespaces, pods, crds] = await Promise.all([
    listAll<Node>(api, '/api/v1/nodes'),
    listAll<Namespace>(api, '/api/v1/namespaces'),
    listAll<Pod>(api, '/api/v1/pods'),
    listAll<CustomResourceDefinition>(api, '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'),
  ]);
  return { nodes, namespaces, pods, crds: crds.map(({ metadata }) => metadata.name) };
}

async function collectSurroundings({ api }: Cluster, inventory: Inventory): Promise<SurroundingsFacts> {
  const [daemonSets, networkPolicies, ciliumConfig] = await Promise.all([
    listAll<DaemonSet>(api, '/apis/apps/v1/daemonsets'),
    listAll<NetworkPolicy>(api, '/apis/networking.k8s.io/v1/networkpolicies'),
    getIfThere<ConfigMap>(api, '/api/v1/namespaces/kube-system/configmaps/cilium-config'),
  ]);
  const { namespaces, pods, crds } = inventory;
  return {
    namespaces,
    pods,
    crds,
    daemonSets,
    networkPolicies,
    ciliumConfig,
    isWanted: wantedBy(namespaces),
  };
}

async function collectMesh(cluster: Cluster, inventory: Inventory): Promise<MeshFacts> {
  const { api, meshNamespace } = cluster;
  const apps = `/apis/apps/v1/namespaces/${meshNamespace}`;
  const pods = inventory.pods.filter(({ metadata }) => metadata.namespace === meshNamespace);
  const [controlPlane, agentSet, proxySet, lease, events, roots, agents, proxies, controlPlanes] =
    await Promise.all([
      getIfThere<Deployment>(api, `${apps}/deployments/${CONTROL_PLANE}`),
      getIfThere<DaemonSet>(api, `${apps}/daemonsets/${AGENT}`),
      getIfThere<DaemonSet>(api, `${apps}/daemonsets/${PROXY}`),
      getIfThere<Lease>(api, `/apis/coordination.k8s.io/v1/namespaces/${meshNamespace}/leases/${LEASE}`),
      listAll<KubeEvent>(api, `/api/v1/namespaces/${meshNamespace}/events`),
      listAll<ConfigMap>(api, '/api/v1/configmaps', { fieldSelector: `metadata.name=${ROOT_CONFIG_MAP}` }),
      askAgents(cluster, pods, 'verified'),
      askProxies(cluster, pods),
      askControlPlanes(cluster, pods),
    ]);
  return {
    now: Date.now(),
    cliVersion: VERSION,
    meshNamespace,
    nodes: inventory.nodes,
    namespaces: inventory.namespaces.filter(isActive).map(({ metadata }) => metadata.name),
    crds: inventory.crds,
    pods,
    controlPlane,
    agentSet,
    proxySet,
    lease,
    events,
    roots,
    agents,
    proxies,
    controlPlanes,
  };
}

/** Kinds whose status the control plane writes. */
const JUDGED_KINDS = [
  ['authorizationpolicy', '/apis/security.istio.io/v1/authorizationpolicies'],
  ['peerauthentication', '/apis/security.istio.io/v1/peerauthentications'],
  ['serviceentry', '/apis/networking.istio.io/v1/serviceentries'],
  ['service', '/api/v1/services'],
] as const;

async function collectObjects({ api }: Cluster): Promise<ObjectFacts> {
  const lists = JUDGED_KINDS.map(async ([resource, path]) =>
    (await listIfKnown<Omit<JudgedObject, 'resource'>>(api, path)).map((object) => ({ ...object, resource })),
  );
  return { objects: (await Promise.all(lists)).flat() };
}

function podFactsOf(inventory: Inventory, { now, agents, proxies }: MeshFacts): PodFacts {
  return { now, agents, proxies, pods: inventory.pods, isWanted: wantedBy(inventory.namespaces) };
}

function isActive({ metadata }: Namespace): boolean {
  return metadata.deletionTimestamp === undefined;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
