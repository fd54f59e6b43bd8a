/** Checks of what users have written: each policy, entry and binding is in force as it stands. */

import type { Condition, ObjectMeta } from '../../objects/core-types.ts';
import { type Check, error, type Finding, warning } from './check.ts';

/** A policy, an entry or a Service with what the control plane says of it. */
export interface JudgedObject {
  /** As in `kubectl get`, in the singular. */
  readonly resource: string;
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace'>;
  readonly status?: { readonly conditions?: readonly Condition[] };
}

export interface ObjectFacts {
  readonly objects: readonly JudgedObject[];
}

/** Conditions that say, when they are false, that something is not enforced that its author relies on. */
const ENFORCEMENT = ['ZtunnelAccepted', 'WaypointAccepted', 'ambit.io/Delivered'];
const APPLICATION = ['Accepted', 'istio.io/WaypointBound', 'istio.io/VisibilityApplied'];
/** The other way round: true is what is wrong. */
const LACK = 'istio.io/WaypointMissing';

const policies: Check<ObjectFacts> = {
  code: 'AMBIT_CHECK_POLICIES_ENFORCED',
  claim: 'every policy is enforced as it is written',
  remedy: 'correct the policy: its condition says what is not understood or who refuses it',
  find: ({ objects }) =>
    objects.flatMap((object) => refusals(object, ENFORCEMENT).map((text) => error(text, named(object)))),
};

const bindings: Check<ObjectFacts> = {
  code: 'AMBIT_CHECK_OBJECTS_APPLIED',
  claim: 'every entry, and every binding to a waypoint, is applied',
  remedy: 'correct the object, or what it refers to: its condition says which',
  find: ({ objects }) =>
    objects.flatMap((object): Finding[] =>
      [...refusals(object, APPLICATION), ...lacks(object)].map((text) => warning(text, named(object))),
    ),
};

export const OBJECT_CHECKS: readonly Check<ObjectFacts>[] = [policies, bindings];

function refusals({ status }: JudgedObject, types: readonly string[]): string[] {
  const wrong = status?.conditions?.filter((one) => types.includes(one.type) && one.status === 'False') ?? [];
  return wrong.map(textOf);
}

function lacks({ status }: JudgedObject): string[] {
  return (status?.conditions ?? [])
    .filter(({ type, status }) => type === LACK && status === 'True')
    .map(textOf);
}

function textOf({ type, reason = 'False', message = '' }: Condition): string {
  return `${type}: ${reason}${message === '' ? '' : `: ${message}`}`;
}

function named({ resource, metadata }: JudgedObject): { readonly object: string } {
  return { object: `${resource}/${metadata.namespace}/${metadata.name}` };
}
