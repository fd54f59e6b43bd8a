/** Keeps the mesh compiled while objects change, doing again only what a change can have changed. */

import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../../base/errors.ts';
import type { MeshObject } from '../../objects/kinds.ts';
import {
  type ObjectChange,
  type ObjectReference,
  objectKey,
  referenceOf,
} from '../../objects/object-source.ts';
import { logger } from '../../telemetry/log.ts';
import {
  authorizations,
  type CompiledObject,
  compileObject,
  type MeshResource,
} from '../compile/compile-object.ts';
import type { CompileOptions } from '../compile/compile-options.ts';
import type { DesiredCondition } from '../compile/desired-condition.ts';
import { staticStrictPolicy } from '../compile/peer-authentication.ts';
import { DependencyGraph } from './dependency-graph.ts';
import { ObjectIndex } from './object-index.ts';

const log = logger('controlplane');
const NOTHING: CompiledObject = { resources: [], conditions: [] };

/** How the mesh differs from before. */
export interface MeshChanges {
  readonly upserted: readonly MeshResource[];
  readonly removed: readonly RemovedResource[];
  /** Objects that were compiled again, or are gone: their status may have to change. */
  readonly compiled: readonly string[];
}

export interface RemovedResource {
  readonly kind: MeshResource['kind'];
  readonly name: string;
}

interface Unit {
  readonly object: MeshObject;
  readonly compiled: CompiledObject;
}

export class IncrementalCompiler {
  readonly #options: CompileOptions;
  readonly #index = new ObjectIndex();
  readonly #graph = new DependencyGraph();
  readonly #units = new Map<string, Unit>();
  /** Resource → the object it comes from. */
  readonly #origins = new Map<string, string>();
  readonly #resources = new Map<string, MeshResource>();

  constructor(options: CompileOptions) {
    this.#options = options;
    const [strict] = authorizations([staticStrictPolicy({ options, objects: this.#index })]);
    this.#resources.set(resourceKey(strict!), strict!);
  }

  /** Takes in a batch of changes. */
  apply(changes: readonly ObjectChange[]): MeshChanges {
    const dirty = new Set<string>();
    const objects = new Map<string, MeshObject | undefined>();
    for (const change of changes) {
      const key = objectKey(referenceOf(change.object));
      objects.set(key, change.type === 'delete' ? undefined : change.object);
      dirty.add(key);
      for (const touched of this.#index.apply(change)) {
        for (const unit of this.#graph.askersOf(touched)) dirty.add(unit);
      }
    }
    return this.#recompile(dirty, objects);
  }

  /** Every resource of the mesh. */
  resources(): Iterable<MeshResource> {
    return this.#resources.values();
  }

  /** How many resources of a kind there are. */
  count(kind: MeshResource['kind']): number {
    let count = 0;
    for (const resource of this.#resources.values()) if (resource.kind === kind) count++;
    return count;
  }

  /** The objects that the control plane has something to say about, with what it says. */
  *conditions(): Iterable<readonly [ObjectReference, readonly DesiredCondition[]]> {
    for (const { object, compiled } of this.#units.values()) yield [referenceOf(object), compiled.conditions];
  }

  /** @param key see objectKey */
  conditionsOf(key: string): readonly DesiredCondition[] | undefined {
    return this.#units.get(key)?.compiled.conditions;
  }

  /** The object as it was compiled. */
  objectOf(key: string): MeshObject | undefined {
    return this.#units.get(key)?.object;
  }

  /** The object that a resource was compiled from. */
  originOf(resource: RemovedResource): MeshObject | undefined {
    const unit = this.#origins.get(resourceKey(resource));
    return unit === undefined ? undefined : this.#units.get(unit)?.object;
  }

  #recompile(dirty: ReadonlySet<string>, objects: ReadonlyMap<string, MeshObject | undefined>): MeshChanges {
    const before = new Map<string, MeshResource>();
    const after = new Map<string, readonly [string, MeshResource]>();
    for (const key of dirty) {
      const unit = this.#units.get(key);
      for (const resource of unit?.compiled.resources ?? []) before.set(resourceKey(resource), resource);
      const object = objects.has(key) ? objects.get(key) : unit?.object;
      for (const resource of this.#compileUnit(key, object))
        after.set(resourceKey(resource), [key, resource]);
    }
    return { ...this.#exchange(before, after), compiled: [...dirty] };
  }

  #compileUnit(key: string, object: MeshObject | undefined): readonly MeshResource[] {
    if (object === undefined) {
      this.#graph.forget(key);
      this.#units.delete(key);
      return [];
    }
    const compiled = this.#compile(key, object);
    this.#units.set(key, { object, compiled });
    return compiled.resources;
  }

  /** An object that nobody thought of must not take the mesh down: what it was compiled to before stays. */
  #compile(key: string, object: MeshObject): CompiledObject {
    try {
      return this.#graph.record(key, this.#index, (objects) =>
        compileObject({ options: this.#options, objects }, object),
      );
    } catch (thrown) {
      log.error('an object cannot be compiled', { object: key, reason: messageOf(thrown) });
      return this.#units.get(key)?.compiled ?? NOTHING;
    }
  }

  /** A resource may have moved from one object to another: only at the end it is known what is gone. */
  #exchange(
    before: ReadonlyMap<string, MeshResource>,
    after: ReadonlyMap<string, readonly [string, MeshResource]>,
  ): Pick<MeshChanges, 'upserted' | 'removed'> {
    const upserted: MeshResource[] = [];
    const removed: RemovedResource[] = [];
    for (const [key, [origin, resource]] of after) {
      this.#origins.set(key, origin);
      if (isDeepStrictEqual(this.#resources.get(key), resource)) continue;
      this.#resources.set(key, resource);
      upserted.push(resource);
    }
    for (const [key, { kind, name }] of before) {
      if (after.has(key)) continue;
      this.#resources.delete(key);
      this.#origins.delete(key);
      removed.push({ kind, name });
    }
    return { upserted, removed };
  }
}

function resourceKey({ kind, name }: RemovedResource): string {
  return `${kind}|${name}`;
}
