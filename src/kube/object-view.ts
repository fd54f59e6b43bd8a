/** The objects of one kind as the API server tells them, with what each of its messages changes. */

import { isDeepStrictEqual } from 'node:util';
import type { MeshObject } from '../objects/kinds.ts';
import type { ObjectChange, SourceProblem } from '../objects/object-source.ts';
import type { DecodedObject } from './decode.ts';
import type { ReflectedEvent, ReflectedObject } from './reflector.ts';

interface Entry {
  readonly resourceVersion: string;
  readonly object: MeshObject;
}

export class ObjectView {
  readonly #entries = new Map<string, Entry>();
  readonly #problems = new Map<string, readonly SourceProblem[]>();
  #list: readonly MeshObject[] | undefined;

  get size(): number {
    return this.#entries.size;
  }

  list(): readonly MeshObject[] {
    this.#list ??= [...this.#entries.values()].map(({ object }) => object);
    return this.#list;
  }

  /** @param key `namespace/name`, or the name of what is cluster-scoped */
  get(key: string): MeshObject | undefined {
    return this.#entries.get(key)?.object;
  }

  /** Of the object as it was read last; for optimistic writes. */
  resourceVersion(key: string): string | undefined {
    return this.#entries.get(key)?.resourceVersion;
  }

  problems(): readonly SourceProblem[] {
    return [...this.#problems.values()].flat();
  }

  /** Takes a complete list: what is not in it is gone, which nobody else will tell. */
  replace(objects: readonly ReflectedObject<DecodedObject>[]): ObjectChange[] {
    const present = new Set(objects.map(({ key }) => key));
    const changes: ObjectChange[] = [];
    for (const key of new Set([...this.#entries.keys(), ...this.#problems.keys()])) {
      if (!present.has(key)) changes.push(...this.#delete(key));
    }
    for (const one of objects) changes.push(...this.#upsert(one));
    return changes;
  }

  apply(event: ReflectedEvent<DecodedObject>): readonly ObjectChange[] {
    return event.type === 'delete' ? this.#delete(event.key) : this.#upsert(event);
  }

  #upsert({
    key,
    resourceVersion,
    object: decoded,
  }: ReflectedObject<DecodedObject>): readonly ObjectChange[] {
    if (decoded.problems.length > 0) this.#problems.set(key, decoded.problems);
    else this.#problems.delete(key);
    const { object } = decoded;
    const before = this.#entries.get(key);
    // One that breaks its schema changes nothing: its last good state stays in force.
    if (object === undefined) return [];
    const isSame = before !== undefined && isDeepStrictEqual(before.object, object);
    this.#entries.set(key, { resourceVersion, object: isSame ? before.object : object });
    if (isSame) return [];
    this.#list = undefined;
    if (before === undefined) return [{ type: 'upsert', object }];
    if (before.object.metadata.uid === object.metadata.uid) {
      return [{ type: 'upsert', object, previous: before.object }];
    }
    // Deleted and made anew meanwhile: another object, of which nothing carries over.
    return [
      { type: 'delete', object: before.object, previous: before.object },
      { type: 'upsert', object },
    ];
  }

  #delete(key: string): readonly ObjectChange[] {
    this.#problems.delete(key);
    const before = this.#entries.get(key);
    if (before === undefined) return [];
    this.#entries.delete(key);
    this.#list = undefined;
    return [{ type: 'delete', object: before.object, previous: before.object }];
  }
}
