/** Which pods are not ready, and why, in one line each. */

import {
  isActive,
  isReady,
  type KubeObject,
  type ReplicatedSpec,
  type StoredPod,
} from '../api/kube-object.ts';
import type { ObjectStore } from '../api/object-store.ts';
import type { ContainerStatus } from '../kubelet/container-state.ts';
import type { Kubelet } from '../kubelet/kubelet.ts';

/** One pod, or the owner of pods that are not there yet. */
export interface ReadinessEntry {
  /** `shop/orders-5d9c7b6f8-x2x4q`. */
  readonly name: string;
  readonly node: string;
  readonly ready: boolean;
  /** Empty when ready. */
  readonly reason: string;
  /** Waiting longer will not help. */
  readonly hopeless: boolean;
  readonly restarts: number;
}

/** Reasons for waiting that no time heals. */
const HOPELESS_REASONS: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'CreateContainerConfigError',
  'RunContainerError',
]);

export function readinessOf(store: ObjectStore, kubelet: Kubelet): readonly ReadinessEntry[] {
  const pods = store.list('Pod').filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const owners = [...store.list('Deployment'), ...store.list('StatefulSet')];
  return [...pods.map((pod) => podEntry(pod, kubelet)), ...owners.flatMap(ownerEntry)];
}

function podEntry(pod: StoredPod, kubelet: Kubelet): ReadinessEntry {
  const { namespace, name } = pod.metadata;
  const statuses = containerStatuses(pod);
  const done = pod.status?.phase === 'Succeeded';
  const ready = done || (isReady(pod) && isActive(pod));
  const reason = ready ? '' : reasonOf(pod, statuses, kubelet);
  return {
    name: `${namespace}/${name}`,
    node: pod.spec?.nodeName ?? '',
    ready,
    reason,
    hopeless: !ready && isHopeless(pod, statuses),
    restarts: statuses.reduce((sum, one) => sum + one.restartCount, 0),
  };
}

/** A controller has not yet made or replaced the pods that its object asks for now. */
function ownerEntry(owner: KubeObject & { readonly spec: ReplicatedSpec }): ReadinessEntry[] {
  const { namespace, name, generation } = owner.metadata;
  const status = owner.status as Readonly<Record<string, number>> | undefined;
  const wanted = owner.spec.replicas ?? 1;
  const updated = status?.observedGeneration === generation ? (status?.updatedReplicas ?? 0) : 0;
  if (updated >= wanted && (status?.replicas ?? 0) <= wanted) return [];
  const reason = `${updated} of ${wanted} pods are of the latest template`;
  return [{ name: `${namespace}/${name}`, node: '', ready: false, reason, hopeless: false, restarts: 0 }];
}

function isHopeless(pod: StoredPod, statuses: readonly ContainerStatus[]): boolean {
  if (pod.status?.phase === 'Failed') return true;
  return statuses.some(({ state }) => 'waiting' in state && HOPELESS_REASONS.has(state.waiting.reason));
}

function reasonOf(pod: StoredPod, statuses: readonly ContainerStatus[], kubelet: Kubelet): string {
  const scheduled = pod.status?.conditions?.find((one) => one.type === 'PodScheduled');
  if (scheduled?.status === 'False') return scheduled.message ?? 'it has no node';
  const runners = kubelet.runnerOf(pod)?.containers ?? [];
  for (const container of statuses) {
    const probe = runners.find((one) => one.name === container.name)?.readinessFailure;
    const reason = containerReason(container, probe);
    if (reason !== undefined) return statuses.length === 1 ? reason : `${container.name}: ${reason}`;
  }
  return 'it has not been started yet';
}

function containerReason(
  { state, ready, restartCount }: ContainerStatus,
  probe: string | undefined,
): string | undefined {
  if ('waiting' in state)
    return `${state.waiting.reason}${state.waiting.message ? `: ${state.waiting.message}` : ''}`;
  if ('terminated' in state) {
    const { exitCode, message } = state.terminated;
    return `it ended with exit code ${exitCode}${message === undefined ? '' : `: ${message}`}`;
  }
  if (ready) return undefined;
  const restarts = restartCount === 0 ? '' : ` (restarted ${restartCount} times)`;
  return `${probe === undefined ? 'it is starting' : `its probe fails: ${probe}`}${restarts}`;
}

function containerStatuses(pod: StoredPod): readonly ContainerStatus[] {
  return (pod.status?.containerStatuses ?? []) as unknown as readonly ContainerStatus[];
}
