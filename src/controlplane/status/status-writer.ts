/** Keeps the conditions on objects as compilation wants them, writing only what differs. */

import { AmbitError } from '../../base/errors.ts';
import type { Condition } from '../../objects/core-types.ts';
import type { MeshObject } from '../../objects/kinds.ts';
import { type ObjectSource, objectKey, referenceOf } from '../../objects/object-source.ts';
import type { DesiredCondition } from '../compile/desired-condition.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import { updateConditions } from './condition-update.ts';

/** Condition types that the control plane writes; it leaves all others alone. */
const OWN_TYPES: ReadonlySet<string> = new Set([
  'istio.io/WaypointBound',
  'istio.io/WaypointMissing',
  'istio.io/VisibilityApplied',
  'ZtunnelAccepted',
  'WaypointAccepted',
  'Accepted',
  'ambit.io/Delivered',
]);

/** What was written and may not have come back yet. */
interface Written {
  readonly object: MeshObject;
  readonly conditions: readonly Condition[];
}

export class StatusWriter {
  readonly queue = new KeyedQueue('status');
  readonly #source: ObjectSource;
  readonly #now: () => Date;
  readonly #written = new Map<string, Written>();

  constructor(source: ObjectSource, now: () => Date = () => new Date()) {
    this.#source = source;
    this.#now = now;
  }

  /** These are all the conditions of ours that the object should have. */
  want(object: MeshObject, desired: readonly DesiredCondition[]): void {
    const key = objectKey(referenceOf(object));
    // What has begun already may be just that: it is not to be given up.
    if (this.#difference(key, object, desired) === undefined) return this.queue.drop(key);
    this.queue.put(key, () => this.#write(key, object, desired));
  }

  /** The object is gone. */
  forget(key: string): void {
    this.queue.forget(key);
    this.#written.delete(key);
  }

  /** Somebody else writes from now on. */
  close(): void {
    this.queue.clear();
    this.#written.clear();
  }

  #difference(
    key: string,
    object: MeshObject,
    desired: readonly DesiredCondition[],
  ): readonly Condition[] | undefined {
    const written = this.#written.get(key);
    // Until the object changes, what was written last counts as being there.
    const present = written?.object === object ? written.conditions : ownConditions(object);
    const remembered = written?.object.metadata.uid === object.metadata.uid ? written.conditions : [];
    const { generation } = object.metadata;
    return updateConditions({ desired, present, remembered, generation, now: this.#now().toISOString() });
  }

  async #write(key: string, object: MeshObject, desired: readonly DesiredCondition[]): Promise<void> {
    const conditions = this.#difference(key, object, desired);
    if (conditions === undefined) return;
    this.#written.set(key, { object, conditions });
    try {
      await this.#source.patch(referenceOf(object), {
        status: { conditions },
        conditionTypes: [...OWN_TYPES],
      });
    } catch (thrown) {
      this.#written.delete(key);
      if (thrown instanceof AmbitError && thrown.code === 'AMBIT_OBJECT_NOT_FOUND') return;
      throw thrown;
    }
  }
}

function ownConditions(object: MeshObject): readonly Condition[] {
  const status = 'status' in object ? object.status : undefined;
  const conditions = (status as { readonly conditions?: readonly Condition[] } | undefined)?.conditions;
  return (conditions ?? []).filter((one) => OWN_TYPES.has(one.type));
}
