/** What a delta xDS server serves: per type the resources by name, each encoded once, and in which order they changed. */

import { hash } from 'node:crypto';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { Resource } from './discovery-messages.ts';
import { xdsErrors } from './errors.ts';
import { tagOf } from './wire-type.ts';

/** A resource as it is now; no bytes: it is gone. */
export interface ResourceChange {
  readonly name: string;
  readonly bytes: Uint8Array | undefined;
  /** Other names that it can be subscribed to by. */
  readonly aliases?: readonly string[];
}

/** Characters of base64url; 96 bits, so that two contents never share a version in practice. */
const VERSION_LENGTH = 16;
/** The field `resources` of DeltaDiscoveryResponse, and the wire type of messages. */
const RESOURCES_TAG = tagOf(2, 2);
/** The log is cleared of what no longer counts when that is more than the rest and this. */
const COMPACTION_SLACK = 1024;
/** Removals kept for followers that have not heard of them; beyond it the slowest have to begin anew. */
const MAX_TOMBSTONES = 100_000;
const NO_FRAME = new Uint8Array(0);

/** One state of one resource. Replaced by the next one, never changed, except that it lets go of its bytes then. */
export interface CachedResource {
  readonly name: string;
  /** Made from the content alone: the same after a restart, and at every replica. */
  readonly version: string;
  readonly revision: number;
  readonly aliases: readonly string[];
  /** `removed`: the resource is gone. `superseded`: another entry of that name counts. */
  readonly state: 'live' | 'removed' | 'superseded';
  /** The resource as a field of DeltaDiscoveryResponse, tag and length included; empty unless live. */
  readonly frame: Uint8Array;
}

type Entry = { -readonly [K in keyof CachedResource]: CachedResource[K] };

/** Someone who has seen all changes up to a revision; what is older need not be kept for them. */
export interface Follower {
  readonly revision: number;
}

/** The resources of one type. */
export class TypeCache {
  readonly typeUrl: string;
  readonly #entries = new Map<string, Entry>();
  readonly #byAlias = new Map<string, Set<Entry>>();
  readonly #followers = new Set<Follower>();
  /** In the order of revisions; superseded entries stay in it for a while. */
  #log: Entry[] = [];
  #superseded = 0;
  #tombstones = 0;
  #revision = 0;
  #horizon = 0;
  #lastAnswer:
    | { readonly from: number; readonly to: number; readonly changes: readonly CachedResource[] }
    | undefined;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  /** Counts updates. */
  get revision(): number {
    return this.#revision;
  }

  /** A follower that has seen less than this cannot be told every removal any more. */
  get horizon(): number {
    return this.#horizon;
  }

  /** How many resources there are. */
  get size(): number {
    return this.#entries.size - this.#tombstones;
  }

  follow(follower: Follower): void {
    this.#followers.add(follower);
  }

  unfollow(follower: Follower): void {
    this.#followers.delete(follower);
  }

  /** Takes changes in; returns how many of them changed anything. */
  apply(changes: Iterable<ResourceChange>): number {
    const revision = this.#revision + 1;
    let changed = 0;
    for (const change of changes) if (this.#applyOne(change, revision)) changed++;
    if (changed === 0) return 0;
    this.#revision = revision;
    if (this.#superseded + this.#tombstones > this.size + COMPACTION_SLACK) this.#compact();
    return changed;
  }

  /** The present state of a resource, or its removal where that is still remembered. */
  get(name: string): CachedResource | undefined {
    return this.#entries.get(name);
  }

  /** The live resources of that name or alias. */
  find(nameOrAlias: string): CachedResource[] {
    const named = this.#entries.get(nameOrAlias);
    const aliased = this.#byAlias.get(nameOrAlias) ?? [];
    return [...(named === undefined ? [] : [named]), ...aliased].filter((entry) => entry.state === 'live');
  }

  *live(): Generator<CachedResource> {
    for (const entry of this.#entries.values()) if (entry.state === 'live') yield entry;
  }

  /** What happened after a revision, each resource once, oldest first. Equal questions share one answer. */
  changesSince(revision: number): readonly CachedResource[] {
    const last = this.#lastAnswer;
    if (last?.from === revision && last.to === this.#revision) return last.changes;
    const changes = this.#log
      .slice(this.#firstAfter(revision))
      .filter((entry) => entry.state !== 'superseded');
    this.#lastAnswer = { from: revision, to: this.#revision, changes };
    return changes;
  }

  #firstAfter(revision: number): number {
    let [low, high] = [0, this.#log.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#log[middle]!.revision > revision) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #applyOne(change: ResourceChange, revision: number): boolean {
    const { name, bytes, aliases = [] } = change;
    const before = this.#entries.get(name);
    if (bytes === undefined) return before?.state === 'live' && this.#remove(before, revision);
    const version = hash('sha256', bytes, 'base64url').slice(0, VERSION_LENGTH);
    if (before?.state === 'live' && before.version === version) return false;
    const frame = encodeFrame(this.typeUrl, { name, version, aliases, bytes });
    this.#put({ name, version, revision, aliases, state: 'live', frame }, before);
    return true;
  }

  #remove(before: Entry, revision: number): true {
    const { name, version } = before;
    this.#put({ name, version, revision, aliases: [], state: 'removed', frame: NO_FRAME }, before);
    this.#tombstones++;
    return true;
  }

  #put(entry: Entry, before: Entry | undefined): void {
    if (before !== undefined) this.#supersede(before);
    this.#entries.set(entry.name, entry);
    this.#log.push(entry);
    for (const alias of entry.aliases) {
      const owners = this.#byAlias.get(alias);
      if (owners === undefined) this.#byAlias.set(alias, new Set([entry]));
      else owners.add(entry);
    }
  }

  #supersede(before: Entry): void {
    if (before.state === 'removed') this.#tombstones--;
    before.state = 'superseded';
    before.frame = NO_FRAME;
    this.#superseded++;
    for (const alias of before.aliases) {
      const owners = this.#byAlias.get(alias)!;
      owners.delete(before);
      if (owners.size === 0) this.#byAlias.delete(alias);
    }
  }

  #compact(): void {
    this.#log = this.#log.filter((entry) => entry.state !== 'superseded');
    this.#superseded = 0;
    const removed = this.#log.filter((entry) => entry.state === 'removed');
    const heardOf = Math.min(this.#revision, ...Array.from(this.#followers, (follower) => follower.revision));
    const excess = removed[removed.length - MAX_TOMBSTONES - 1]?.revision ?? 0;
    this.#horizon = Math.max(this.#horizon, excess);
    const dropUpTo = Math.max(heardOf, excess);
    this.#log = this.#log.filter((entry) => entry.state === 'live' || entry.revision > dropUpTo);
    for (const entry of removed) {
      if (entry.revision > dropUpTo) continue;
      this.#entries.delete(entry.name);
      this.#tombstones--;
    }
  }
}

function encodeFrame(
  typeUrl: string,
  resource: { name: string; version: string; aliases: readonly string[]; bytes: Uint8Array },
): Uint8Array {
  const { name, version, aliases, bytes } = resource;
  const writer = new BinaryWriter();
  Resource.write(writer.uint32(RESOURCES_TAG), {
    version,
    resource: { typeUrl, value: bytes },
    name,
    aliases,
  });
  // From Node's pool: a hundred thousand small buffers of their own would cost more than what they hold.
  return Buffer.from(writer.finish());
}

/** All types that are served. Until {@link markComplete} clients wait: an empty state would take their mesh away. */
export class ResourceCache {
  readonly #types: ReadonlyMap<string, TypeCache>;
  readonly #listeners = new Set<(typeUrl: string) => void>();
  #complete = false;

  /** The order of types is the order of pushes: policies before the workloads that name them. */
  constructor(typeUrls: readonly string[]) {
    this.#types = new Map(typeUrls.map((typeUrl) => [typeUrl, new TypeCache(typeUrl)]));
  }

  get complete(): boolean {
    return this.#complete;
  }

  get typeUrls(): readonly string[] {
    return [...this.#types.keys()];
  }

  /** Undefined for a type that is not served. */
  ofType(typeUrl: string): TypeCache | undefined {
    return this.#types.get(typeUrl);
  }

  /** Takes changes in and tells the listeners if anything did change; returns how many. Throws for an unknown type. */
  update(typeUrl: string, changes: Iterable<ResourceChange>): number {
    const cache = this.#types.get(typeUrl);
    if (cache === undefined) throw xdsErrors.AMBIT_XDS_RESOURCE_TYPE_UNKNOWN(`${typeUrl} is not served`);
    const changed = cache.apply(changes);
    if (changed > 0) this.#notify(typeUrl);
    return changed;
  }

  /** Says that every resource known at the start has been put in. */
  markComplete(): void {
    if (this.#complete) return;
    this.#complete = true;
    for (const typeUrl of this.#types.keys()) this.#notify(typeUrl);
  }

  /** Returns how to stop listening. */
  onChange(listener: (typeUrl: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(typeUrl: string): void {
    for (const listener of this.#listeners) listener(typeUrl);
  }
}
