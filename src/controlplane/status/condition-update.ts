/** Compares the conditions an object has with those it should have. */

import type { Condition } from '../../objects/core-types.ts';
import type { DesiredCondition } from '../compile/desired-condition.ts';

export interface ConditionUpdate {
  readonly desired: readonly DesiredCondition[];
  /** What is on the object now, of the types that are ours. */
  readonly present: readonly Condition[];
  /** What is known of earlier times: a condition keeps its time for as long as its status stays. */
  readonly remembered: readonly Condition[];
  readonly generation: number;
  /** RFC 3339. */
  readonly now: string;
}

/** The conditions to write; undefined when nothing but times would change. */
export function updateConditions(update: ConditionUpdate): readonly Condition[] | undefined {
  const next = update.desired.map((desired) => conditionOf(desired, update));
  const same =
    next.length === update.present.length &&
    next.every((one) => update.present.some((other) => isSame(one, other)));
  return same ? undefined : next;
}

function conditionOf(desired: DesiredCondition, update: ConditionUpdate): Condition {
  const known = [...update.present, ...update.remembered].find(
    (one) => one.type === desired.type && one.status === desired.status,
  );
  return {
    ...desired,
    observedGeneration: update.generation,
    lastTransitionTime: known?.lastTransitionTime ?? update.now,
  };
}

function isSame(a: Condition, b: Condition): boolean {
  return (
    a.type === b.type &&
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration
  );
}
