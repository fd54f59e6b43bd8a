/** Whether a pod belongs into the mesh, and why: the one place where labels and annotations are judged. */

import { DATAPLANE_MODE_LABEL, type EnablementSelector, matchesSelector } from './enablement-selector.ts';
import type { PodFacts } from './pod-facts.ts';

export interface EnrolmentSettings {
  readonly selectors: readonly EnablementSelector[];
  readonly excludedNamespaces: readonly string[];
}

/** Why a pod is in the mesh, or why it is not. */
export type EnrolmentReason =
  | 'selected'
  | 'not-selected'
  | 'opted-out'
  | 'host-network'
  | 'sidecar'
  | 'mesh-component'
  | 'namespace-excluded'
  | 'terminated';

export interface EnrolmentDecision {
  readonly enrol: boolean;
  readonly reason: EnrolmentReason;
}

/** Left by the sidecar injector: such a pod captures its own traffic. */
const SIDECAR_STATUS_ANNOTATION = 'sidecar.istio.io/status';
/** On every pod of Ambit's own: what carries the mesh cannot be carried by it. */
const PART_OF_LABEL = 'app.kubernetes.io/part-of';
const PART_OF_AMBIT = 'ambit';
/** Phases that no pod leaves; its address may already belong to another pod. */
const TERMINAL_PHASES = ['Succeeded', 'Failed'];

/** Judges a pod by its own labels and annotations and by the labels of its namespace. */
export function decideEnrolment(
  pod: PodFacts,
  namespaceLabels: Readonly<Record<string, string>>,
  settings: EnrolmentSettings,
): EnrolmentDecision {
  const obstacle = obstacleOf(pod, settings);
  if (obstacle !== undefined) return { enrol: false, reason: obstacle };
  const isSelected = settings.selectors.some(
    (selector) =>
      matchesSelector(selector.podSelector, pod.labels) &&
      matchesSelector(selector.namespaceSelector, namespaceLabels),
  );
  if (isSelected) return { enrol: true, reason: 'selected' };
  const optedOut = pod.labels[DATAPLANE_MODE_LABEL] === 'none';
  return { enrol: false, reason: optedOut ? 'opted-out' : 'not-selected' };
}

/** What keeps a pod out whatever its labels ask for. */
function obstacleOf(pod: PodFacts, settings: EnrolmentSettings): EnrolmentReason | undefined {
  if (pod.hostNetwork) return 'host-network';
  if (settings.excludedNamespaces.includes(pod.namespace)) return 'namespace-excluded';
  if (pod.labels[PART_OF_LABEL] === PART_OF_AMBIT) return 'mesh-component';
  if (pod.annotations[SIDECAR_STATUS_ANNOTATION] !== undefined) return 'sidecar';
  return TERMINAL_PHASES.includes(pod.phase) ? 'terminated' : undefined;
}
