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

const NO_PROBLEMS: readonly SourceProblem[] = [];

export class ObjectView {
  readonly #entries = new Map<string, Entry>();
  readonly #problems = new Map<string, readonly SourceProblem[]>();
  /** Of what has changed, how it was. */
  readonly #touched = new Map<string, MeshObject | undefined>();
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

  /** Faults of its objects, also of those that are not in it because of them. */
  problems(): readonly SourceProblem[] {
    return this.#problems.size === 0 ? NO_PROBLEMS : [...this.#problems.values()].flat();
  }

  /** Takes a complete list: what is not in it is gone, which nobody else will tell. */
  replace(objects: readonly ReflectedObject<DecodedObject>[]): void {
    const present = new Set(objects.map(({ key }) => key));
    for (const key of [...this.#entries.keys(), ...this.#problems.keys()]) {
      if (!present.has(key)) this.#delete(key);
    }
    for (const one of objects) this.#upsert(one);
  }

  apply(event: ReflectedEvent<DecodedObject>): void {
    if (event.type === 'delete') this.#delete(event.key);
    else this.#upsert(event);
  }

  /** How the view differs from what it was at the last call; at most one change of each object. */
  takeChanges(): readonly ObjectChange[] {
    const changes = [...this.#touched].flatMap(([key, before]) => changeOf(before, this.get(key)));
    this.#touched.clear();
    return changes;
  }

  #upsert({ key, resourceVersion, object: decoded }: ReflectedObject<DecodedObject>): void {
    if (decoded.problems.length > 0) this.#problems.set(key, decoded.problems);
    else this.#problems.delete(key);
    const { object } = decoded;
    // One that breaks its schema changes nothing: its last good state stays in force.
    if (object === undefined) return;
    const before = this.#entries.get(key);
    const isSame = before !== undefined && isDeepStrictEqual(before.object, object);
    if (!isSame) this.#touch(key);
    this.#entries.set(key, { resourceVersion, object: isSame ? before.object : object });
  }

  #delete(key: string): void {
    this.#problems.delete(key);
    if (!this.#entries.has(key)) return;
    this.#touch(key);
    this.#entries.delete(key);
  }

  #touch(key: string): void {
    this.#list = undefined;
    if (!this.#touched.has(key)) this.#touched.set(key, this.get(key));
  }
}

function changeOf(before: MeshObject | undefined, after: MeshObject | undefined): readonly ObjectChange[] {
  if (after === undefined) return before === undefined ? [] : [deletionOf(before)];
  if (before === undefined) return [{ type: 'upsert', object: after }];
  if (before.metadata.uid === after.metadata.uid) {
    return isDeepStrictEqual(before, after) ? [] : [{ type: 'upsert', object: after, previous: before }];
  }
  // Deleted and made anew meanwhile: another object, of which nothing carries over.
  return [deletionOf(before), { type: 'upsert', object: after }];
}

function deletionOf(object: MeshObject): ObjectChange {
  return { type: 'delete', object, previous: object };
}
