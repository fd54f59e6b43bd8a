/** Turns objects into served resources and written status, at the start and with every change. */

import { messageOf } from '../base/errors.ts';
import type { MeshObject, ObjectKind } from '../objects/kinds.ts';
import { OBJECT_KINDS } from '../objects/kinds.ts';
import { type ObjectChange, type ObjectSource, objectKey } from '../objects/object-source.ts';
import { logger } from '../telemetry/log.ts';
import { authorizationResource } from '../xds/authorization-conversion.ts';
import { ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL } from '../xds/mesh-resources.ts';
import { ResourceCache, type ResourceChange } from '../xds/resource-cache.ts';
import { type NamedResource, serviceResource, workloadResource } from '../xds/workload-conversion.ts';
import { AddressAllocator } from './allocation/address-allocator.ts';
import type { MeshResource } from './compile/compile-object.ts';
import type { CompileOptions } from './compile/compile-options.ts';
import type { DesiredCondition } from './compile/desired-condition.ts';
import {
  IncrementalCompiler,
  type MeshChanges,
  type RemovedResource,
} from './incremental/incremental-compiler.ts';
import { StatusWriter } from './status/status-writer.ts';

const log = logger('controlplane');

/** Kinds whose status the control plane writes; pods belong to the kubelet and the node agent. */
const KINDS_WITH_STATUS: ReadonlySet<ObjectKind> = new Set([
  'Service',
  'ServiceEntry',
  'WorkloadEntry',
  'AuthorizationPolicy',
  'PeerAuthentication',
]);

/** Policies go before the workloads that name them. */
export function makeResourceCache(): ResourceCache {
  return new ResourceCache([AUTHORIZATION_TYPE_URL, ADDRESS_TYPE_URL]);
}

export interface MeshControllerOptions {
  readonly source: ObjectSource;
  readonly cache: ResourceCache;
  readonly compile: CompileOptions;
}

/** Hears what there is to say about an object, which is undefined once it is gone. */
export type VerdictListener = (
  key: string,
  object: MeshObject | undefined,
  conditions: readonly DesiredCondition[],
) => void;

/** Follows a source that has been started. */
export class MeshController {
  readonly compiler: IncrementalCompiler;
  readonly status: StatusWriter;
  readonly addresses: AddressAllocator;
  readonly #source: ObjectSource;
  readonly #cache: ResourceCache;
  /** Object key → what became of it at the clients, when that is something to say. */
  #delivery: ReadonlyMap<string, DesiredCondition> = new Map();
  #unsubscribe: (() => void) | undefined;
  readonly #verdictListeners = new Set<VerdictListener>();
  #writing = false;

  constructor({ source, cache, compile }: MeshControllerOptions) {
    this.#source = source;
    this.#cache = cache;
    this.compiler = new IncrementalCompiler(compile);
    this.status = new StatusWriter(source);
    this.addresses = new AddressAllocator(source);
  }

  /** Whether status is written: of several control planes of one cluster only one does. */
  get writing(): boolean {
    return this.#writing;
  }

  start(): void {
    this.#publish({ upserted: [...this.compiler.resources()], removed: [] });
    this.#unsubscribe = this.#source.subscribe((changes) => this.#apply(changes));
    const objects = OBJECT_KINDS.flatMap((kind): readonly MeshObject[] => this.#source.list(kind));
    this.#apply(objects.map((object) => ({ type: 'upsert', object })));
    this.#cache.markComplete();
  }

  stop(): void {
    this.#unsubscribe?.();
    this.stopWriting();
  }

  /** Writes what differs, and keeps it so. */
  startWriting(): void {
    if (this.#writing) return;
    this.#writing = true;
    for (const [reference] of this.compiler.conditions()) this.#updateStatus(objectKey(reference));
    this.addresses.allocate();
  }

  /** Calls back whenever status is looked at, for as long as it is written here; returns how to stop. */
  onVerdict(listener: VerdictListener): () => void {
    this.#verdictListeners.add(listener);
    return () => this.#verdictListeners.delete(listener);
  }

  /** Leaves writing to another one; what is under way ends. */
  stopWriting(): void {
    this.#writing = false;
    this.status.close();
    this.addresses.close();
  }

  /** Takes note of what clients say about resources; objects concerned get or lose a condition. */
  setDelivery(delivery: ReadonlyMap<string, DesiredCondition>): void {
    const concerned = new Set([...this.#delivery.keys(), ...delivery.keys()]);
    this.#delivery = delivery;
    for (const key of concerned) this.#updateStatus(key);
  }

  #apply(changes: readonly ObjectChange[]): void {
    const result = this.compiler.apply(changes);
    this.#publish(result);
    for (const key of result.compiled) this.#updateStatus(key);
    const entries = changes.some(({ object }) => object.kind === 'ServiceEntry');
    if (entries && this.#writing) this.addresses.allocate();
  }

  #publish({ upserted, removed }: Pick<MeshChanges, 'upserted' | 'removed'>): void {
    const changes = [...upserted.flatMap(servedResource), ...removed.map(servedRemoval)];
    for (const typeUrl of this.#cache.typeUrls) {
      const ofType = changes.filter((one) => one.typeUrl === typeUrl).map((one) => one.change);
      if (ofType.length > 0) this.#cache.update(typeUrl, ofType);
    }
  }

  #updateStatus(key: string): void {
    if (!this.#writing) return;
    const object = this.compiler.objectOf(key);
    const conditions = this.conditionsOf(key);
    if (object === undefined) this.status.forget(key);
    else if (KINDS_WITH_STATUS.has(object.kind)) this.status.want(object, conditions);
    for (const listener of this.#verdictListeners) listener(key, object, conditions);
  }

  /** Everything the control plane has to say about an object. */
  conditionsOf(key: string): readonly DesiredCondition[] {
    const compiled = this.compiler.conditionsOf(key) ?? [];
    const delivery = this.#delivery.get(key);
    return delivery === undefined ? compiled : [...compiled, delivery];
  }
}

interface ServedChange {
  readonly typeUrl: string;
  readonly change: ResourceChange;
}

function servedResource(resource: MeshResource): ServedChange | [] {
  try {
    return { typeUrl: typeUrlOf(resource), change: encode(resource) };
  } catch (thrown) {
    log.error('a resource cannot be encoded; clients keep its last state', {
      resource: resource.name,
      reason: messageOf(thrown),
    });
    return [];
  }
}

function servedRemoval(resource: RemovedResource): ServedChange {
  return { typeUrl: typeUrlOf(resource), change: { name: resource.name, bytes: undefined } };
}

export function typeUrlOf({ kind }: RemovedResource): string {
  return kind === 'authorization' ? AUTHORIZATION_TYPE_URL : ADDRESS_TYPE_URL;
}

function encode(resource: MeshResource): NamedResource {
  if (resource.kind === 'workload') return workloadResource(resource.value);
  if (resource.kind === 'service') return serviceResource(resource.value);
  return authorizationResource(resource.value);
}
