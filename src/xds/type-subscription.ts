/** What one client wants of one type, what it has, and what it is to be sent next. */

import { WILDCARD } from './discovery-messages.ts';
import type { RejectedResource } from './mesh-resources.ts';
import type { CachedResource, Follower, TypeCache } from './resource-cache.ts';

/** Part of a state: what fits into one response. */
export interface PushPart {
  readonly revision: number;
  readonly frames: readonly Uint8Array[];
  readonly removed: readonly string[];
  readonly more: boolean;
}

/** A push under way. Entries are looked at again when their part is made: what changed since is left to the next push. */
interface Push {
  readonly revision: number;
  readonly entries: readonly CachedResource[];
  readonly removed: readonly string[];
  sentEntries: number;
  sentRemoved: number;
}

/** Bytes around a name in a list, at most. */
const NAME_OVERHEAD_BYTES = 4;
/** Names that one client may ask for by name, per type. */
export const MAX_NAMES = 100_000;
const NOTHING: readonly never[] = [];

export class TypeSubscription implements Follower {
  readonly cache: TypeCache;
  #wildcard = false;
  /** Names and aliases asked for. */
  readonly #names = new Set<string>();
  /** Asked for since the last push: to be answered even if nothing changed, or nothing of that name is there. */
  #asked = new Set<string>();
  /** Names of resources that a client that asks by name holds. */
  readonly #held = new Set<string>();
  readonly #rejected = new Map<string, string>();
  #initialVersions: ReadonlyMap<string, string> | undefined;
  #revision = 0;
  #begun = false;
  #push: Push | undefined;

  constructor(cache: TypeCache, initialVersions: ReadonlyMap<string, string>) {
    this.cache = cache;
    this.#initialVersions = initialVersions;
    this.#revision = cache.revision;
    cache.follow(this);
  }

  /** All changes up to here have been sent, or are in the push under way. */
  get revision(): number {
    return this.#revision;
  }

  get wildcard(): boolean {
    return this.#wildcard;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /** What the client refuses at present, with its reasons. */
  get rejected(): ReadonlyMap<string, string> {
    return this.#rejected;
  }

  /** Whether so much was removed since the last push that this client cannot be told all of it. */
  get fellBehind(): boolean {
    return this.#begun && this.#revision < this.cache.horizon;
  }

  close(): void {
    this.cache.unfollow(this);
  }

  /** False when the client asks for more names than it may. */
  change(subscribe: readonly string[], unsubscribe: readonly string[]): boolean {
    for (const name of subscribe) {
      if (name === WILDCARD) this.#subscribeAll();
      else {
        this.#names.add(name);
        this.#asked.add(name);
      }
    }
    for (const name of unsubscribe) {
      if (name === WILDCARD) this.#unsubscribeAll();
      else this.#forget(name);
    }
    return this.#names.size <= MAX_NAMES;
  }

  /** For the first request of a type that names nothing. */
  subscribeAll(): void {
    this.#subscribeAll();
  }

  /** The client refuses these; each counts until that resource is sent again. */
  reject(resources: readonly RejectedResource[]): void {
    for (const { name, reason } of resources) this.#rejected.set(name, reason);
  }

  /** The next part to send, of at most about `maxBytes`; undefined when the client has everything. */
  next(maxBytes: number): PushPart | undefined {
    this.#push ??= this.#begin();
    const push = this.#push;
    if (push === undefined) return undefined;
    const part = this.#cut(push, maxBytes);
    if (!part.more) this.#push = undefined;
    return part;
  }

  #subscribeAll(): void {
    if (this.#wildcard) return;
    this.#wildcard = true;
    // From names to everything: whatever was not among the names has to come.
    if (this.#begun) this.#initialVersions = new Map(Array.from(this.#held, (name) => [name, '']));
    this.#held.clear();
  }

  #unsubscribeAll(): void {
    if (!this.#wildcard) return;
    this.#wildcard = false;
    this.#initialVersions = this.#begun ? undefined : this.#initialVersions;
    for (const name of this.#names) for (const entry of this.cache.find(name)) this.#held.add(entry.name);
  }

  #forget(name: string): void {
    this.#names.delete(name);
    this.#asked.delete(name);
    for (const entry of this.cache.find(name)) if (!this.#isWanted(entry)) this.#held.delete(entry.name);
  }

  #begin(): Push | undefined {
    const first = !this.#begun;
    const { entries, removed } = this.#wildcard ? this.#wantedOfAll() : this.#wantedByName();
    this.#begun = true;
    this.#initialVersions = undefined;
    this.#asked = new Set();
    const { revision } = this.cache;
    this.#revision = revision;
    if (!first && entries.length === 0 && removed.length === 0) return undefined;
    return { revision, entries, removed, sentEntries: 0, sentRemoved: 0 };
  }

  #wantedOfAll(): Pick<Push, 'entries' | 'removed'> {
    if (this.#initialVersions !== undefined) return this.#differenceTo(this.#initialVersions);
    const changes = this.cache.changesSince(this.#revision);
    const removed = changes.filter((entry) => entry.state === 'removed').map((entry) => entry.name);
    if (this.#asked.size === 0) return { entries: changes, removed };
    const again = this.#answersToAsked();
    return { entries: unique([...changes, ...again.entries]), removed: [...removed, ...again.removed] };
  }

  #differenceTo(versions: ReadonlyMap<string, string>): Pick<Push, 'entries' | 'removed'> {
    const entries: CachedResource[] = [];
    for (const entry of this.cache.live()) {
      if (versions.get(entry.name) !== entry.version || this.#asked.has(entry.name)) entries.push(entry);
    }
    const removed = [...versions.keys()].filter((name) => this.cache.get(name)?.state !== 'live');
    const missing = [...this.#asked].filter(
      (name) => this.cache.find(name).length === 0 && !versions.has(name),
    );
    return { entries, removed: [...removed, ...missing] };
  }

  #wantedByName(): Pick<Push, 'entries' | 'removed'> {
    const asked = this.#answersToAsked();
    const changes = this.cache.changesSince(this.#revision);
    const changed = changes.filter((entry) => entry.state === 'live' && this.#concerns(entry));
    const initial = this.#initialVersions ?? new Map<string, string>();
    for (const name of initial.keys()) this.#held.add(name);
    const gone = changes.filter((entry) => entry.state === 'removed').map((entry) => entry.name);
    const goneBefore = [...initial.keys()].filter((name) => this.cache.get(name)?.state !== 'live');
    const removed = [...gone, ...goneBefore].filter((name) => this.#held.delete(name));
    const entries = unique([...asked.entries, ...changed]).filter(
      (entry) => initial.get(entry.name) !== entry.version,
    );
    for (const entry of entries) this.#held.add(entry.name);
    return { entries, removed: [...new Set([...removed, ...asked.removed])] };
  }

  /** Names that lead nowhere are answered as removed, which is how the protocol says that there is nothing. */
  #answersToAsked(): Pick<Push, 'entries' | 'removed'> {
    const entries: CachedResource[] = [];
    const removed: string[] = [];
    for (const name of this.#asked) {
      const found = this.cache.find(name);
      if (found.length === 0) removed.push(name);
      else entries.push(...found);
    }
    return { entries, removed };
  }

  #isWanted(entry: CachedResource): boolean {
    return this.#names.has(entry.name) || entry.aliases.some((alias) => this.#names.has(alias));
  }

  /** Who found a resource by an address hears of it under its name, also when the address is another's by now. */
  #concerns(entry: CachedResource): boolean {
    return this.#isWanted(entry) || this.#held.has(entry.name);
  }

  #cut(push: Push, maxBytes: number): PushPart {
    let room = maxBytes;
    const frames: Uint8Array[] = [];
    while (push.sentEntries < push.entries.length) {
      const entry = push.entries[push.sentEntries]!;
      if (frames.length > 0 && entry.frame.length > room) break;
      push.sentEntries++;
      if (entry.state !== 'live') continue;
      frames.push(entry.frame);
      room -= entry.frame.length;
      if (this.#rejected.size > 0) this.#rejected.delete(entry.name);
    }
    const removed = push.sentEntries < push.entries.length ? NOTHING : this.#cutRemoved(push, room);
    const more = push.sentEntries < push.entries.length || push.sentRemoved < push.removed.length;
    return { revision: push.revision, frames, removed, more };
  }

  /** At least one, so that every part brings the push on. */
  #cutRemoved(push: Push, room: number): readonly string[] {
    const from = push.sentRemoved;
    let left = room;
    while (push.sentRemoved < push.removed.length) {
      const name = push.removed[push.sentRemoved]!;
      left -= name.length * 3 + NAME_OVERHEAD_BYTES;
      if (left < 0 && push.sentRemoved > from) break;
      push.sentRemoved++;
      this.#rejected.delete(name);
    }
    return push.removed.slice(from, push.sentRemoved);
  }
}

function unique(entries: readonly CachedResource[]): readonly CachedResource[] {
  return [...new Set(entries)];
}
