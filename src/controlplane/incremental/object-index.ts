/** All objects, filed under every key that compilation finds them by; tells which keys a change touches. */

import { isDeepStrictEqual } from 'node:util';
import type { KindMap, MeshObject, ObjectKind } from '../../objects/kinds.ts';
import { type ObjectChange, objectKey, referenceOf } from '../../objects/object-source.ts';
import {
  INDEXES,
  type IndexDefinition,
  type IndexedObject,
  type IndexName,
  type ObjectLookup,
  relevantByName,
} from '../compile/object-lookup.ts';

/** What a compilation asked for: a name, or a key of an index. */
export type DependencyKey = string;

const NOTHING: readonly never[] = [];

export function nameDependency(kind: ObjectKind, namespace: string, name: string): DependencyKey {
  return objectKey({ kind, namespace, name });
}

export function indexDependency(index: IndexName, key: string): DependencyKey {
  return `${index}|${key}`;
}

/** Object key → object, for each key of one index. */
type Files = Map<string, Map<string, MeshObject>>;

export class ObjectIndex implements ObjectLookup {
  readonly #objects = new Map<string, MeshObject>();
  readonly #files: Readonly<Record<IndexName, Files>>;
  readonly #indexesOfKind = new Map<ObjectKind, readonly IndexName[]>();

  constructor() {
    const names = Object.keys(INDEXES) as IndexName[];
    this.#files = Object.fromEntries(names.map((name) => [name, new Map()])) as Record<IndexName, Files>;
    for (const name of names) {
      const { kind } = INDEXES[name];
      this.#indexesOfKind.set(kind, [...(this.#indexesOfKind.get(kind) ?? []), name]);
    }
  }

  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined {
    return this.#objects.get(objectKey({ kind, namespace, name })) as KindMap[K] | undefined;
  }

  find<N extends IndexName>(index: N, key: string): readonly IndexedObject<N>[] {
    const found = this.#files[index].get(key);
    return found === undefined ? NOTHING : ([...found.values()] as unknown as IndexedObject<N>[]);
  }

  /** Takes in one change; returns the keys under which something relevant is different now. */
  apply(change: ObjectChange): readonly DependencyKey[] {
    const key = objectKey(referenceOf(change.object));
    const previous = this.#objects.get(key);
    const next = change.type === 'delete' ? undefined : change.object;
    if (next === undefined) this.#objects.delete(key);
    else this.#objects.set(key, next);
    const touched = this.#refile(key, previous, next);
    if (!sameWhere(previous, next, relevantByName)) touched.push(key);
    return touched;
  }

  #refile(key: string, previous: MeshObject | undefined, next: MeshObject | undefined): DependencyKey[] {
    const touched: DependencyKey[] = [];
    for (const name of this.#indexesOfKind.get((next ?? previous)?.kind as ObjectKind) ?? []) {
      const index = INDEXES[name] as unknown as IndexDefinition<ObjectKind>;
      const before = new Set(previous === undefined ? [] : index.keys(previous));
      const after = new Set(next === undefined ? [] : index.keys(next));
      for (const gone of before) {
        if (after.has(gone)) continue;
        this.#unfile(name, gone, key);
        touched.push(indexDependency(name, gone));
      }
      for (const one of after) {
        this.#file(name, one, [key, next!]);
        const relevant = (object: MeshObject) =>
          index.relevant === undefined ? object : index.relevant(object, one);
        const same = before.has(one) && sameWhere(previous, next, relevant);
        if (!same) touched.push(indexDependency(name, one));
      }
    }
    return touched;
  }

  #file(index: IndexName, key: string, [objectName, object]: readonly [string, MeshObject]): void {
    const files = this.#files[index];
    const found = files.get(key);
    if (found === undefined) files.set(key, new Map([[objectName, object]]));
    else found.set(objectName, object);
  }

  #unfile(index: IndexName, key: string, objectName: string): void {
    const found = this.#files[index].get(key);
    found?.delete(objectName);
    if (found?.size === 0) this.#files[index].delete(key);
  }
}

function sameWhere(
  a: MeshObject | undefined,
  b: MeshObject | undefined,
  part: (object: MeshObject) => unknown,
): boolean {
  if (a === undefined || b === undefined) return a === b;
  return isDeepStrictEqual(part(a), part(b));
}
