/** All objects of a sandbox: in memory, and those that the mesh reads also as files in its folder of objects. */

import { randomUUID } from 'node:crypto';
import { kindInfo } from './kind-registry.ts';
import {
  groupOf,
  type KnownKinds,
  type KubeObject,
  type Reference,
  referenceTo,
  type Stored,
  type StoredMeta,
} from './kube-object.ts';
import { ObjectFiles } from './object-files.ts';

/** What a caller may say about an object; the rest of the metadata is the store's. */
export interface ObjectDraft {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Partial<StoredMeta> & { readonly name: string };
  readonly [field: string]: unknown;
}

/**
 * Objects are immutable: every change stores a new one. Mesh kinds are written as JSON, which is YAML that is fast to
 * read, into files that are replaced in one step, so that no reader sees half an object.
 */
export class ObjectStore {
  readonly #files: ObjectFiles;
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #listeners: (() => void)[] = [];
  #version = 0;

  constructor(folder: string) {
    this.#files = new ObjectFiles(folder);
  }

  /** Calls the listener after every change. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  list<K extends keyof KnownKinds>(kind: K): readonly Stored<K>[] {
    return this.listAny(kind, groupOfKnown(kind)) as readonly Stored<K>[];
  }

  get<K extends keyof KnownKinds>(kind: K, namespace: string, name: string): Stored<K> | undefined {
    return this.getAny({ kind, group: groupOfKnown(kind), namespace, name }) as Stored<K> | undefined;
  }

  listAny(kind: string, group: string): readonly KubeObject[] {
    return [...(this.#objects.get(`${kind}.${group}`)?.values() ?? [])];
  }

  getAny(reference: Reference): KubeObject | undefined {
    return this.#objects.get(`${reference.kind}.${reference.group}`)?.get(keyOf(reference));
  }

  everything(): readonly KubeObject[] {
    return [...this.#objects.values()].flatMap((ofKind) => [...ofKind.values()]);
  }

  /** Stores a new object, or a new state of one: identity and creation time stay, a changed spec is a new generation. */
  put(draft: ObjectDraft): KubeObject {
    const { kind, apiVersion } = draft;
    const { name, namespace = '' } = draft.metadata;
    const group = groupOf(apiVersion);
    const before = this.getAny({ kind, group, namespace, name });
    const changed = JSON.stringify(before?.spec) !== JSON.stringify(draft.spec);
    const object: KubeObject = {
      ...draft,
      metadata: {
        ...draft.metadata,
        namespace,
        uid: before?.metadata.uid ?? draft.metadata.uid ?? randomUUID(),
        creationTimestamp: before?.metadata.creationTimestamp ?? now(),
        generation: (before?.metadata.generation ?? 0) + (changed || before === undefined ? 1 : 0),
        resourceVersion: String(++this.#version),
      },
    };
    this.#ofKind(kind, group).set(keyOf({ namespace, name }), object);
    this.#files.write(object);
    this.#changed();
    return object;
  }

  /** Stores a new state of an object that is still there, and is the same one; false when it is gone. */
  update(object: KubeObject, change: (current: KubeObject) => ObjectDraft): boolean {
    const current = this.getAny(referenceTo(object));
    if (current === undefined || current.metadata.uid !== object.metadata.uid) return false;
    const next = change(current);
    if (JSON.stringify(next) !== JSON.stringify(current)) this.put(next);
    return true;
  }

  remove(reference: Reference): void {
    if (!this.#objects.get(`${reference.kind}.${reference.group}`)?.delete(keyOf(reference))) return;
    this.#files.remove(reference);
    this.#changed();
  }

  #ofKind(kind: string, group: string): Map<string, KubeObject> {
    const key = `${kind}.${group}`;
    const found = this.#objects.get(key) ?? new Map<string, KubeObject>();
    this.#objects.set(key, found);
    return found;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function keyOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

const APPS_KINDS: ReadonlySet<string> = new Set(['Deployment', 'ReplicaSet', 'StatefulSet']);

function groupOfKnown(kind: keyof KnownKinds): string {
  return APPS_KINDS.has(kind) ? 'apps' : kind === 'EndpointSlice' ? 'discovery.k8s.io' : '';
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function now(): string {
  return `${new Date().toISOString().slice(0, 19)}Z`;
}

/** `apps/v1`, `v1`: as an object of this kind names its API. */
export function apiVersionOf(kind: string, group: string): string {
  const { version } = kindInfo(kind, group);
  return group === '' ? version : `${group}/${version}`;
}
