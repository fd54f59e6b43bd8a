/** The status of a pod, put together as the kubelet does it. */

import type { IpAddress } from '../../base/ip.ts';
import type { StoredPod } from '../api/kube-object.ts';
import { now } from '../api/object-store.ts';
import type { ContainerStatus } from './container-state.ts';

/** What the kubelet knows of a pod on its node. */
export interface PodFacts {
  readonly hostIps: readonly IpAddress[];
  /** Empty until the pod has its network. */
  readonly ips: readonly IpAddress[];
  readonly startTime: string;
  readonly containers: readonly ContainerStatus[];
}

interface PodCondition {
  readonly type: string;
  readonly status: 'True' | 'False';
  readonly lastTransitionTime: string;
  readonly reason?: string;
  readonly message?: string;
}

type Phase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** @param pod as it was: conditions that do not change keep their time */
export function podStatus(pod: StoredPod, facts: PodFacts): Readonly<Record<string, unknown>> {
  const phase = phaseOf(pod, facts.containers);
  const unready = facts.containers.filter((container) => !container.ready);
  const names = unready.map((container) => container.name).join(' ');
  const notReady =
    phase === 'Succeeded'
      ? { reason: 'PodCompleted' }
      : { reason: 'ContainersNotReady', message: `not ready: ${names}` };
  const ready = unready.length === 0 && phase === 'Running';
  const conditions = [
    condition(pod, 'PodReadyToStartContainers', facts.ips.length > 0),
    condition(pod, 'Initialized', true),
    condition(pod, 'Ready', ready, notReady),
    condition(pod, 'ContainersReady', ready, notReady),
    condition(pod, 'PodScheduled', true),
  ];
  return {
    phase,
    conditions,
    ...addressFields('hostIP', facts.hostIps),
    ...addressFields('podIP', facts.ips),
    startTime: facts.startTime,
    containerStatuses: facts.containers,
    qosClass: 'BestEffort',
  };
}

function addressFields(
  name: 'hostIP' | 'podIP',
  ips: readonly IpAddress[],
): Readonly<Record<string, unknown>> {
  return ips.length === 0 ? {} : { [name]: ips[0], [`${name}s`]: ips.map((ip) => ({ ip })) };
}

/** Pending until every container has run; then by what became of them. */
function phaseOf(pod: StoredPod, containers: readonly ContainerStatus[]): Phase {
  const neverRan = containers.some(
    ({ state, lastState }) => 'waiting' in state && lastState.terminated === undefined,
  );
  if (neverRan) return 'Pending';
  const ended = containers.every(({ state }) => 'terminated' in state);
  if (!ended) return 'Running';
  const policy = pod.spec?.restartPolicy ?? 'Always';
  const failed = containers.some(({ state }) => 'terminated' in state && state.terminated.exitCode !== 0);
  const over =
    pod.metadata.deletionTimestamp !== undefined || policy === 'Never' || (policy === 'OnFailure' && !failed);
  if (!over) return 'Running';
  return failed ? 'Failed' : 'Succeeded';
}

function condition(
  pod: StoredPod,
  type: string,
  holds: boolean,
  otherwise: { readonly reason?: string; readonly message?: string } = {},
): PodCondition {
  const status = holds ? 'True' : 'False';
  const before = pod.status?.conditions?.find((one) => one.type === type);
  const known = before as PodCondition | undefined;
  const lastTransitionTime = known?.status === status ? known.lastTransitionTime : now();
  return { type, status, lastTransitionTime, ...(holds ? {} : otherwise) };
}
