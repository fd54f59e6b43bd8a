/** Where Kubernetes objects come from: a live view of them, told in batches, and the way to annotate them. */

import type { MetricSet } from '../telemetry/metric-set.ts';
import type { KindMap, MeshObject, ObjectKind } from './kinds.ts';

export interface ObjectReference {
  readonly kind: ObjectKind;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
}

/** One difference between two states of the source. Objects are immutable: a change brings a new one. */
export interface ObjectChange {
  readonly type: 'upsert' | 'delete';
  /** The new state; on delete, the last known one. */
  readonly object: MeshObject;
  /** The state before; absent when the object is new. */
  readonly previous?: MeshObject;
}

/** What a patch changes; everything not named stays. */
export interface ObjectPatch {
  /** null removes the annotation. */
  readonly annotations?: Readonly<Record<string, string | null>>;
  /** null removes the label. */
  readonly labels?: Readonly<Record<string, string | null>>;
  /**
   * Status fields, each replaced as a whole; null removes one. `conditions` holds all conditions of this writer:
   * they are merged by type with those of others, and one that this writer no longer lists is removed.
   */
  readonly status?: Readonly<Record<string, unknown>>;
  /** All types of conditions this writer uses, for a source that cannot know which ones it wrote earlier. */
  readonly conditionTypes?: readonly string[];
}

/** Something a source could not use, or used with a doubt. */
export interface SourceProblem {
  /** `AMBIT_…`, see errors.ts. */
  readonly code: string;
  readonly severity: 'error' | 'warning';
  /** What is wrong, beginning with `file:line:` where there is one. */
  readonly message: string;
  readonly file?: string;
  /** Counted from 1. */
  readonly line?: number;
  readonly reference?: ObjectReference;
}

export type ObjectListener = (changes: readonly ObjectChange[]) => void;

/**
 * A live view of the objects. All reads are synchronous and agree with the batches told so far:
 * a listener that reads during its call sees the state after the whole batch.
 */
export interface ObjectSource {
  /**
   * Resolves when the first complete view has been read. The first view is not told to listeners: list it.
   * Rejects when the source cannot work at all.
   */
  start(): Promise<void>;
  /** Ends watching; the view stays as it was. Safe to call twice. */
  stop(): void;
  list<K extends ObjectKind>(kind: K): readonly KindMap[K][];
  /** @param namespace empty for cluster-scoped kinds */
  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined;
  /** Calls the listener with every later batch; returns the way to stop that. */
  subscribe(listener: ObjectListener): () => void;
  /**
   * Resolves when the change is stored; it comes back as an ordinary change, soon after.
   * Rejects with AMBIT_OBJECT_NOT_FOUND when there is no such object.
   */
  patch(reference: ObjectReference, patch: ObjectPatch): Promise<void>;
  /** What is wrong now; a problem leaves the list when it is repaired. */
  readonly problems: readonly SourceProblem[];
  /** What it counts of its own work, if it does. */
  readonly metrics?: MetricSet;
}

export function referenceOf(object: MeshObject): ObjectReference {
  return { kind: object.kind, namespace: object.metadata.namespace, name: object.metadata.name };
}

/** `Pod/default/web-1`, `Node/worker`: unique among all objects. */
export function objectKey(reference: ObjectReference): string {
  return reference.namespace === ''
    ? `${reference.kind}/${reference.name}`
    : `${reference.kind}/${reference.namespace}/${reference.name}`;
}
