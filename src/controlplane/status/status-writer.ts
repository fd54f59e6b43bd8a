/** Keeps the conditions on objects as compilation wants them, writing only what differs. */

import { AmbitError, messageOf } from '../../base/errors.ts';
import type { Condition } from '../../objects/core-types.ts';
import type { MeshObject } from '../../objects/kinds.ts';
import { type ObjectSource, objectKey, referenceOf } from '../../objects/object-source.ts';
import { logger } from '../../telemetry/log.ts';
import type { DesiredCondition } from '../compile/desired-condition.ts';
import { updateConditions } from './condition-update.ts';

const log = logger('status');

/** A write that failed is tried again after this long. */
const RETRY_MS = 5000;

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

export interface StatusWriterCounters {
  written: number;
  failed: number;
}

export class StatusWriter {
  readonly counters: StatusWriterCounters = { written: 0, failed: 0 };
  readonly #source: ObjectSource;
  readonly #now: () => Date;
  readonly #written = new Map<string, Written>();
  readonly #retries = new Map<string, NodeJS.Timeout>();

  constructor(source: ObjectSource, now: () => Date = () => new Date()) {
    this.#source = source;
    this.#now = now;
  }

  /** These are all the conditions of ours that the object should have. */
  want(object: MeshObject, desired: readonly DesiredCondition[]): void {
    const key = objectKey(referenceOf(object));
    this.#cancelRetry(key);
    const conditions = this.#difference(key, object, desired);
    if (conditions === undefined) return;
    this.#written.set(key, { object, conditions });
    void this.#write(object, desired, conditions);
  }

  /** The object is gone. */
  forget(key: string): void {
    this.#cancelRetry(key);
    this.#written.delete(key);
  }

  close(): void {
    for (const key of this.#retries.keys()) this.#cancelRetry(key);
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

  async #write(
    object: MeshObject,
    desired: readonly DesiredCondition[],
    conditions: readonly Condition[],
  ): Promise<void> {
    const reference = referenceOf(object);
    try {
      await this.#source.patch(reference, { status: { conditions }, conditionTypes: [...OWN_TYPES] });
      this.counters.written++;
    } catch (thrown) {
      if (thrown instanceof AmbitError && thrown.code === 'AMBIT_OBJECT_NOT_FOUND') return;
      this.counters.failed++;
      const key = objectKey(reference);
      log.warn('status cannot be written', { object: key, reason: messageOf(thrown) });
      this.#written.delete(key);
      const retry = setTimeout(() => this.want(object, desired), RETRY_MS);
      this.#retries.set(key, retry.unref());
    }
  }

  #cancelRetry(key: string): void {
    clearTimeout(this.#retries.get(key));
    this.#retries.delete(key);
  }
}

function ownConditions(object: MeshObject): readonly Condition[] {
  const status = 'status' in object ? object.status : undefined;
  const conditions = (status as { readonly conditions?: readonly Condition[] } | undefined)?.conditions;
  return (conditions ?? []).filter((one) => OWN_TYPES.has(one.type));
}
