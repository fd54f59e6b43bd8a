/** Remembers what each compiled object asked for, so that a change finds those it concerns. */

import type { KindMap, ObjectKind } from '../../objects/kinds.ts';
import type { IndexedObject, IndexName, ObjectLookup } from '../compile/object-lookup.ts';
import { type DependencyKey, indexDependency, nameDependency } from './object-index.ts';

/** Units are object keys. */
export class DependencyGraph {
  readonly #asked = new Map<string, ReadonlySet<DependencyKey>>();
  readonly #askers = new Map<DependencyKey, Set<string>>();

  /** Runs the compilation of one unit with a lookup that takes notes; they replace those of the last time. */
  record<T>(unit: string, objects: ObjectLookup, compile: (objects: ObjectLookup) => T): T {
    const recorder = new RecordingLookup(objects);
    const result = compile(recorder);
    this.#replace(unit, recorder.asked);
    return result;
  }

  forget(unit: string): void {
    this.#replace(unit, new Set());
    this.#asked.delete(unit);
  }

  /** The units that asked for this. */
  askersOf(dependency: DependencyKey): Iterable<string> {
    return this.#askers.get(dependency) ?? [];
  }

  #replace(unit: string, asked: ReadonlySet<DependencyKey>): void {
    const before = this.#asked.get(unit);
    this.#asked.set(unit, asked);
    for (const one of before ?? []) if (!asked.has(one)) this.#remove(one, unit);
    for (const one of asked) {
      if (before?.has(one) === true) continue;
      const askers = this.#askers.get(one);
      if (askers === undefined) this.#askers.set(one, new Set([unit]));
      else askers.add(unit);
    }
  }

  #remove(dependency: DependencyKey, unit: string): void {
    const askers = this.#askers.get(dependency);
    askers?.delete(unit);
    if (askers?.size === 0) this.#askers.delete(dependency);
  }
}

/** What is not there is asked for as well: it may come. */
class RecordingLookup implements ObjectLookup {
  readonly asked = new Set<DependencyKey>();
  readonly #objects: ObjectLookup;

  constructor(objects: ObjectLookup) {
    this.#objects = objects;
  }

  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined {
    this.asked.add(nameDependency(kind, namespace, name));
    return this.#objects.get(kind, namespace, name);
  }

  find<N extends IndexName>(index: N, key: string): readonly IndexedObject<N>[] {
    this.asked.add(indexDependency(index, key));
    return this.#objects.find(index, key);
  }
}
