/** The order in which objects are applied: what others need comes first. */

import type { KubeObject } from '../cluster/kube-types.ts';

const ORDER = [
  'Namespace',
  'CustomResourceDefinition',
  'PriorityClass',
  'ServiceAccount',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'ConfigMap',
  'Secret',
  'Service',
  'NetworkPolicy',
  'PodDisruptionBudget',
];
const WORKLOADS = ['Deployment', 'DaemonSet'];

/** Kinds that are not known come before the workloads; the order within a kind stays. */
export function inApplyOrder(objects: readonly KubeObject[]): KubeObject[] {
  return objects.toSorted((a, b) => rankOf(a) - rankOf(b));
}

export function isWorkload({ kind }: KubeObject): boolean {
  return WORKLOADS.includes(kind);
}

function rankOf(object: KubeObject): number {
  const workload = WORKLOADS.indexOf(object.kind);
  if (workload >= 0) return ORDER.length + 1 + workload;
  const index = ORDER.indexOf(object.kind);
  return index < 0 ? ORDER.length : index;
}

/** `daemonset/ambit-system/ambit-cni`, as kubectl names things. */
export function objectName({ kind, metadata }: KubeObject): string {
  const name = metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`;
  return `${kind.toLowerCase()}/${name}`;
}
