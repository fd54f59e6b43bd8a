/** Why a pod is not ready, in one line. */

import type { KubeEvent, Pod } from './kube-types.ts';

export function isReady(pod: Pod): boolean {
  return pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') ?? false;
}

/**
 * What holds a pod up: a container that waits or has ended, its scheduling, or the last warning about it.
 * @param events of the pod's namespace, in any order
 */
export function podTrouble(pod: Pod, events: readonly KubeEvent[]): string {
  const waiting = waitingContainer(pod);
  if (waiting !== undefined) return waiting;
  const parts = [unreadyContainer(pod) ?? conditionTrouble(pod), lastWarning(pod, events)];
  return parts.filter((part) => part !== undefined).join('; ') || `is ${pod.status?.phase ?? 'Pending'}`;
}

/** Reasons that only say that something else is waited for; events say what. */
const NOT_BEGUN = ['PodInitializing', 'ContainerCreating'];

function waitingContainer(pod: Pod): string | undefined {
  for (const { name, state, lastState } of statusesOf(pod)) {
    const { reason, message } = state?.waiting ?? {};
    if (reason === undefined || NOT_BEGUN.includes(reason)) continue;
    const last = lastState?.terminated;
    const why =
      last === undefined ? textAfter(message) : `, ended with ${last.exitCode}${lastLine(last.message)}`;
    return `container ${name} waits: ${reason}${why}`;
  }
  return undefined;
}

function unreadyContainer(pod: Pod): string | undefined {
  for (const { name, state, ready, restartCount } of statusesOf(pod)) {
    const ended = state?.terminated;
    if (ended !== undefined && ended.exitCode !== 0) {
      return `container ${name} ended with ${ended.exitCode}${lastLine(ended.message ?? ended.reason)}`;
    }
    if (state?.running !== undefined && !ready) {
      const restarts = restartCount > 0 ? `, after ${restartCount} restarts` : '';
      return `container ${name} runs but is not ready${restarts}`;
    }
  }
  return undefined;
}

function statusesOf({ status }: Pod) {
  return [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
}

function conditionTrouble({ status, metadata }: Pod): string | undefined {
  if (metadata.deletionTimestamp !== undefined) return 'is being deleted';
  const wrong = status?.conditions?.find((one) => one.status === 'False' && one.message);
  return wrong === undefined ? undefined : `${wrong.reason ?? wrong.type}: ${oneLine(wrong.message ?? '')}`;
}

function lastWarning({ metadata }: Pod, events: readonly KubeEvent[]): string | undefined {
  const about = events.filter(
    (event) =>
      event.type === 'Warning' &&
      event.involvedObject?.kind === 'Pod' &&
      event.involvedObject.name === metadata.name,
  );
  const last = about.sort((a, b) => timeOf(a).localeCompare(timeOf(b))).at(-1);
  return last === undefined ? undefined : `${last.reason ?? 'Warning'}: ${oneLine(last.message ?? '')}`;
}

function timeOf(event: KubeEvent): string {
  return event.lastTimestamp ?? event.eventTime ?? '';
}

/** More than this is a log, not a reason. */
const MAX_TEXT = 300;

function oneLine(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, ' ');
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
}

function textAfter(text: string | undefined): string {
  return text === undefined || text === '' ? '' : `: ${oneLine(text)}`;
}

/** A container that failed leaves the end of its log. */
function lastLine(text: string | undefined): string {
  return textAfter(text?.trim().split('\n').at(-1));
}
