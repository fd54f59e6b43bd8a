/** Writes annotations, labels and status of objects that belong to others, without touching anything else. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Condition } from '../objects/core-types.ts';
import { objectErrors } from '../objects/errors.ts';
import { KINDS, type MeshObject } from '../objects/kinds.ts';
import { type ObjectPatch, type ObjectReference, objectKey } from '../objects/object-source.ts';
import { apiVersionOf, groupPath } from './api-discovery.ts';
import { kubeErrors } from './errors.ts';
import { type KubeClient, MERGE_PATCH_TYPE } from './kube-client.ts';
import { hasStatus } from './kube-request-error.ts';

/** Writes at the same time: a start may have thousands of conditions to write, and reading goes first. */
export const CONCURRENT_WRITES = 8;
/** Others write conditions as well; somebody always wins, so that more tries than this do not happen by chance. */
const MAX_CONFLICTS = 8;
const CONFLICT_PAUSE_MS = 20;

interface KnownObject {
  readonly object: MeshObject;
  readonly resourceVersion: string;
}

export interface ObjectWriterOptions {
  readonly client: KubeClient;
  readonly fieldManager: string;
  /** What has been read of an object. */
  readonly known: (reference: ObjectReference) => KnownObject | undefined;
}

export interface WriterCounters {
  written: number;
  /** Conditions had been changed by somebody else meanwhile, and were read again. */
  conflict: number;
  failed: number;
}

/** The conditions to start from, and the version they were read at. */
interface StatusBase {
  readonly resourceVersion: string;
  readonly conditions: readonly Condition[];
}

/** Of a pod by its status, which carries the metadata too: whoever may write that cannot change what it runs. */
function metadataPath({ kind }: ObjectReference): '' | '/status' {
  return kind === 'Pod' ? '/status' : '';
}

export class ObjectWriter {
  readonly counters: WriterCounters = { written: 0, conflict: 0, failed: 0 };
  readonly #options: ObjectWriterOptions;
  readonly #stop = new AbortController();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(options: ObjectWriterOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stop.abort(kubeErrors.AMBIT_KUBE_STOPPED('writing to objects has been stopped'));
    for (const go of this.#waiting.splice(0)) go();
  }

  /** @throws AMBIT_OBJECT_NOT_FOUND, AMBIT_KUBE_STOPPED, and as {@link KubeClient.request} */
  async patch(reference: ObjectReference, patch: ObjectPatch): Promise<void> {
    await this.#enter();
    try {
      this.#stop.signal.throwIfAborted();
      const { annotations, labels, status } = patch;
      if (annotations !== undefined || labels !== undefined) {
        await this.#send(reference, metadataPath(reference), { metadata: { annotations, labels } });
      }
      if (status !== undefined) await this.#patchStatus(reference, patch);
      this.counters.written++;
    } catch (thrown) {
      this.counters.failed++;
      if (!hasStatus(thrown, 404)) throw thrown;
      throw objectErrors.AMBIT_OBJECT_NOT_FOUND(`there is no ${objectKey(reference)} to write to`, thrown);
    } finally {
      this.#leave();
    }
  }

  /** A list of conditions is written as a whole, on the condition that it is still the one that was read. */
  async #patchStatus(reference: ObjectReference, patch: ObjectPatch): Promise<void> {
    const { status = {}, conditionTypes = [] } = patch;
    const desired = status.conditions;
    if (!isConditionList(desired)) return this.#send(reference, '/status', { status });
    let base = this.#knownBase(reference) ?? (await this.#readBase(reference));
    for (let attempt = 1; ; attempt++) {
      const conditions = mergeConditions(base.conditions, desired, conditionTypes);
      const { resourceVersion } = base;
      try {
        const body = { metadata: { resourceVersion }, status: { ...status, conditions } };
        return await this.#send(reference, '/status', body);
      } catch (thrown) {
        if (!hasStatus(thrown, 409) || attempt > MAX_CONFLICTS) throw thrown;
        this.counters.conflict++;
        if (attempt > 1) await setTimeoutAsync(Math.random() * CONFLICT_PAUSE_MS * attempt);
        base = await this.#readBase(reference);
      }
    }
  }

  #knownBase(reference: ObjectReference): StatusBase | undefined {
    const known = this.#options.known(reference);
    if (known === undefined) return undefined;
    return { resourceVersion: known.resourceVersion, conditions: conditionsOf(known.object) };
  }

  async #readBase(reference: ObjectReference): Promise<StatusBase> {
    const raw: { readonly metadata: { readonly resourceVersion: string } } =
      await this.#options.client.request({
        path: pathOf(reference),
        signal: this.#stop.signal,
      });
    return { resourceVersion: raw.metadata.resourceVersion, conditions: conditionsOf(raw) };
  }

  async #send(reference: ObjectReference, subresource: '' | '/status', body: object): Promise<void> {
    const { client, fieldManager } = this.#options;
    await client.request({
      method: 'PATCH',
      path: pathOf(reference) + subresource,
      query: { fieldManager },
      contentType: MERGE_PATCH_TYPE,
      body,
      signal: this.#stop.signal,
    });
  }

  async #enter(): Promise<void> {
    if (this.#running < CONCURRENT_WRITES) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The next one takes the place over. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}

/** A condition keeps its place in the list; of the writer's own types only those that it wants remain. */
export function mergeConditions(
  present: readonly Condition[],
  desired: readonly Condition[],
  ownTypes: readonly string[],
): readonly Condition[] {
  const byType = new Map(present.map((condition) => [condition.type, condition]));
  for (const type of ownTypes) {
    if (!desired.some((condition) => condition.type === type)) byType.delete(type);
  }
  for (const condition of desired) byType.set(condition.type, condition);
  return [...byType.values()];
}

function pathOf({ kind, namespace, name }: ObjectReference): string {
  const { plural } = KINDS[kind];
  const base = groupPath(apiVersionOf(KINDS[kind]));
  const scope = namespace === '' ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${base}${scope}/${plural}/${encodeURIComponent(name)}`;
}

function isConditionList(value: unknown): value is readonly Condition[] {
  return Array.isArray(value);
}

function conditionsOf(object: object): readonly Condition[] {
  const status: unknown = 'status' in object ? object.status : undefined;
  if (typeof status !== 'object' || status === null || !('conditions' in status)) return [];
  return isConditionList(status.conditions) ? status.conditions : [];
}
