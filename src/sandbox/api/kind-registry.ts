/** Names of kinds: what people type, what Kubernetes calls them, and whether they live in a namespace. */

import { KINDS } from '../../objects/kinds.ts';

export interface KindInfo {
  readonly kind: string;
  readonly group: string;
  /** The version in which objects of the sandbox's own making are written. */
  readonly version: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
}

const APPS = { group: 'apps', version: 'v1', namespaced: true } as const;
const BATCH = { group: 'batch', version: 'v1', namespaced: true } as const;
const CORE = { group: '', version: 'v1', namespaced: true } as const;
const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;

const MORE_KINDS: readonly Omit<KindInfo, 'shortNames'>[] = [
  { ...CORE, kind: 'ServiceAccount', plural: 'serviceaccounts' },
  { ...CORE, kind: 'ConfigMap', plural: 'configmaps' },
  { ...CORE, kind: 'Secret', plural: 'secrets' },
  { ...CORE, kind: 'PersistentVolume', plural: 'persistentvolumes', namespaced: false },
  { ...APPS, kind: 'Deployment', plural: 'deployments' },
  { ...APPS, kind: 'ReplicaSet', plural: 'replicasets' },
  { ...APPS, kind: 'StatefulSet', plural: 'statefulsets' },
  { ...APPS, kind: 'DaemonSet', plural: 'daemonsets' },
  { ...BATCH, kind: 'Job', plural: 'jobs' },
  { ...BATCH, kind: 'CronJob', plural: 'cronjobs' },
  { ...RBAC, kind: 'Role', plural: 'roles', namespaced: true },
  { ...RBAC, kind: 'RoleBinding', plural: 'rolebindings', namespaced: true },
  { ...RBAC, kind: 'ClusterRole', plural: 'clusterroles', namespaced: false },
  { ...RBAC, kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', namespaced: false },
  {
    kind: 'CustomResourceDefinition',
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
    namespaced: false,
  },
];

const SHORT_NAMES: Readonly<Record<string, readonly string[]>> = {
  Namespace: ['ns'],
  Node: ['no'],
  Pod: ['po'],
  Service: ['svc'],
  ServiceAccount: ['sa'],
  ConfigMap: ['cm'],
  Deployment: ['deploy'],
  ReplicaSet: ['rs'],
  StatefulSet: ['sts'],
  DaemonSet: ['ds'],
  ServiceEntry: ['se'],
  WorkloadEntry: ['we'],
  AuthorizationPolicy: ['ap'],
  PeerAuthentication: ['pa'],
  Gateway: ['gtw'],
  GatewayClass: ['gc'],
};

const REGISTRY: readonly KindInfo[] = [
  ...Object.entries(KINDS).map(([kind, about]) => ({ ...about, kind })),
  ...MORE_KINDS,
].map((info) => ({ ...info, shortNames: SHORT_NAMES[info.kind] ?? [] }));

/** Kinds of the API group; a kind nobody knows is taken for one that lives in namespaces, as most do. */
export function kindInfo(kind: string, group: string): KindInfo {
  const known = REGISTRY.find((info) => info.kind === kind && info.group === group);
  return known ?? { kind, group, version: 'v1', plural: pluralOf(kind), namespaced: true, shortNames: [] };
}

/**
 * What `get` and `label` are given: `pods`, `po`, `Pod`, `gateways.gateway.networking.k8s.io`.
 * @param others kinds that are stored without being known here
 */
export function findKind(text: string, others: readonly KindInfo[] = []): KindInfo | undefined {
  const wanted = text.toLowerCase();
  return [...REGISTRY, ...others].find((info) =>
    [info.plural, `${info.plural}.${info.group}`, info.kind.toLowerCase(), ...info.shortNames].includes(
      wanted,
    ),
  );
}

function pluralOf(kind: string): string {
  const lower = kind.toLowerCase();
  if (/[^aeiou]y$/.test(lower)) return `${lower.slice(0, -1)}ies`;
  return /(s|x|ch|sh)$/.test(lower) ? `${lower}es` : `${lower}s`;
}
