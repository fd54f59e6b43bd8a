/** The columns of `get`, as kubectl has them. */

import type {
  Deployment,
  KubeObject,
  ReplicatedSpec,
  Stored,
  StoredPod,
  StoredService,
} from '../api/kube-object.ts';
import type { ContainerStatus } from '../kubelet/container-state.ts';
import { formatAge } from './output.ts';

interface Column {
  readonly title: string;
  readonly cell: (object: KubeObject) => string;
  /** Only with `-o wide`. */
  readonly wide?: boolean;
}

const NONE = '<none>';
const NAME: Column = { title: 'NAME', cell: (object) => object.metadata.name };
const AGE: Column = {
  title: 'AGE',
  cell: (object) => formatAge(Date.now() - Date.parse(object.metadata.creationTimestamp)),
};

const POD_COLUMNS: readonly Column[] = [
  NAME,
  { title: 'READY', cell: (object) => readyContainers(object as StoredPod) },
  { title: 'STATUS', cell: (object) => podState(object as StoredPod) },
  { title: 'RESTARTS', cell: (object) => String(statusesOf(object as StoredPod).reduce(addRestarts, 0)) },
  AGE,
  { title: 'IP', cell: (object) => (object as StoredPod).status?.podIP ?? NONE, wide: true },
  { title: 'NODE', cell: (object) => (object as StoredPod).spec?.nodeName ?? NONE, wide: true },
  {
    title: 'MESH',
    cell: (object) => object.metadata.annotations?.['ambient.istio.io/redirection'] ?? '-',
    wide: true,
  },
];

const SERVICE_COLUMNS: readonly Column[] = [
  NAME,
  { title: 'TYPE', cell: (object) => (object as StoredService).spec?.type ?? 'ClusterIP' },
  { title: 'CLUSTER-IP', cell: (object) => (object as StoredService).spec?.clusterIPs?.join(',') ?? NONE },
  { title: 'PORT(S)', cell: (object) => servicePorts(object as StoredService) },
  AGE,
  { title: 'SELECTOR', cell: (object) => labels((object as StoredService).spec?.selector), wide: true },
];

const NODE_COLUMNS: readonly Column[] = [
  NAME,
  { title: 'STATUS', cell: () => 'Ready' },
  AGE,
  { title: 'INTERNAL-IP', cell: (object) => nodeIps(object as Stored<'Node'>), wide: true },
  {
    title: 'POD-CIDR',
    cell: (object) => (object as Stored<'Node'>).spec?.podCIDRs?.join(',') ?? NONE,
    wide: true,
  },
];

const REPLICATED_COLUMNS: readonly Column[] = [
  NAME,
  { title: 'READY', cell: (object) => `${replicas(object, 'readyReplicas')}/${wantedReplicas(object)}` },
  { title: 'UP-TO-DATE', cell: (object) => String(replicas(object, 'updatedReplicas')) },
  { title: 'AVAILABLE', cell: (object) => String(replicas(object, 'availableReplicas')) },
  AGE,
];

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  Pod: POD_COLUMNS,
  Service: SERVICE_COLUMNS,
  Node: NODE_COLUMNS,
  Namespace: [NAME, { title: 'STATUS', cell: () => 'Active' }, AGE, labelColumn()],
  Deployment: REPLICATED_COLUMNS,
  ReplicaSet: REPLICATED_COLUMNS,
  StatefulSet: REPLICATED_COLUMNS,
};

export interface TableOptions {
  readonly wide: boolean;
  readonly withNamespace: boolean;
  readonly header: boolean;
}

/** Rows of text, the titles first. */
export function objectRows(
  kind: string,
  objects: readonly KubeObject[],
  options: TableOptions,
): readonly string[][] {
  const all = COLUMNS[kind] ?? [NAME, AGE];
  const shown = all.filter((column) => options.wide || column.wide !== true);
  const namespace: Column = { title: 'NAMESPACE', cell: (object) => object.metadata.namespace };
  const columns = options.withNamespace ? [namespace, ...shown] : shown;
  const rows = objects.map((object) => columns.map((column) => column.cell(object)));
  return options.header ? [columns.map((column) => column.title), ...rows] : rows;
}

function labelColumn(): Column {
  return { title: 'LABELS', cell: (object) => labels(object.metadata.labels), wide: true };
}

function statusesOf(pod: StoredPod): readonly ContainerStatus[] {
  return (pod.status?.containerStatuses ?? []) as unknown as readonly ContainerStatus[];
}

function readyContainers(pod: StoredPod): string {
  return `${statusesOf(pod).filter((one) => one.ready).length}/${pod.spec?.containers.length ?? 0}`;
}

function addRestarts(sum: number, container: ContainerStatus): number {
  return sum + container.restartCount;
}

/** What holds the pod up, or its phase. */
function podState(pod: StoredPod): string {
  if (pod.metadata.deletionTimestamp !== undefined) return 'Terminating';
  for (const { state } of statusesOf(pod)) {
    if ('waiting' in state) return state.waiting.reason;
    if ('terminated' in state) return state.terminated.reason;
  }
  return pod.status?.phase ?? 'Pending';
}

function servicePorts(service: StoredService): string {
  const ports = (service.spec?.ports ?? []).map((port) => `${port.port}/${port.protocol ?? 'TCP'}`);
  return ports.length === 0 ? NONE : ports.join(',');
}

function nodeIps(node: Stored<'Node'>): string {
  const addresses = node.status?.addresses?.filter((one) => one.type === 'InternalIP') ?? [];
  return addresses.map((one) => one.address).join(',');
}

function replicas(object: KubeObject, field: string): number {
  return (object.status as Readonly<Record<string, number>> | undefined)?.[field] ?? 0;
}

function wantedReplicas(object: KubeObject): number {
  return (
    (object as KubeObject & Pick<Deployment, 'spec'> & { readonly spec: ReplicatedSpec }).spec.replicas ?? 1
  );
}

function labels(map: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(map ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? NONE : pairs.join(',');
}
