/** Addresses of workloads that are known by host name only; the main thread resolves them, one question at a time each. */

import type { IpAddress } from '../../base/ip.ts';
import type { Reactor } from '../../io/reactor.ts';

/** How long an answer is used. Names of workloads change rarely, and a dial that fails is not tied to it. */
const ANSWER_LIFETIME_MS = 30_000;
/** Names kept; the oldest goes first. */
const MAX_NAMES = 4096;

type Callback = (addresses: readonly IpAddress[]) => void;

interface Entry {
  addresses: readonly IpAddress[] | undefined;
  expiresMs: number;
  waiters: Callback[];
}

/** One per reactor thread. */
export class HostnameResolver {
  readonly #reactor: Reactor;
  readonly #ask: (hostname: string) => void;
  readonly #entries = new Map<string, Entry>();

  /** `ask` hands the question to the main thread; {@link answer} brings what it found. */
  constructor(reactor: Reactor, ask: (hostname: string) => void) {
    this.#reactor = reactor;
    this.#ask = ask;
  }

  /** An empty list when the name has no address or cannot be resolved. */
  resolve(hostname: string, callback: Callback): void {
    const entry = this.#entries.get(hostname);
    if (entry?.addresses === undefined) return this.#wait(hostname, entry, callback);
    if (entry.expiresMs > this.#reactor.nowMs) return callback(entry.addresses);
    this.#entries.delete(hostname);
    this.#wait(hostname, undefined, callback);
  }

  answer(hostname: string, addresses: readonly IpAddress[]): void {
    const entry = this.#entries.get(hostname);
    if (entry === undefined) return;
    const waiters = entry.waiters;
    entry.addresses = addresses;
    entry.expiresMs = this.#reactor.nowMs + ANSWER_LIFETIME_MS;
    entry.waiters = [];
    for (const waiter of waiters) waiter(addresses);
  }

  #wait(hostname: string, entry: Entry | undefined, callback: Callback): void {
    if (entry !== undefined) {
      entry.waiters.push(callback);
      return;
    }
    if (this.#entries.size >= MAX_NAMES) this.#evictOldest();
    this.#entries.set(hostname, { addresses: undefined, expiresMs: 0, waiters: [callback] });
    this.#ask(hostname);
  }

  #evictOldest(): void {
    const [hostname, entry] = this.#entries.entries().next().value!;
    this.#entries.delete(hostname);
    for (const waiter of entry.waiters) waiter([]);
  }
}
