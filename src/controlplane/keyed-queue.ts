/** Writes to many objects, one at a time for each: the last wish counts, failures come back later, and never too many at once. */

import { Backoff } from '../base/backoff.ts';
import { messageOf } from '../base/errors.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { logger } from '../telemetry/log.ts';

const log = logger('controlplane');

/** Writes that are under way at once. */
const MAX_RUNNING = 8;
/** Writes at once, and per second in the long run: an API server of a large cluster does not notice them. */
export const WRITE_BURST = 100;
export const WRITES_PER_SECOND = 25;
/** A write that failed is tried again after a time between these. */
const MIN_RETRY_MS = 1000;
const MAX_RETRY_MS = 60_000;

/** Does what is wanted; rejects when that failed and should be tried again. */
export type Work = () => Promise<void>;

export interface KeyedQueueCounters {
  done: number;
  failed: number;
}

export class KeyedQueue {
  readonly counters: KeyedQueueCounters;
  readonly #what: string;
  readonly #waiting = new Map<string, Work>();
  /** Key → whether what is under way is tried again when it fails. */
  readonly #running = new Map<string, { repeatable: boolean }>();
  readonly #retries = new Map<string, { readonly backoff: Backoff; timer: NodeJS.Timeout | undefined }>();
  readonly #bucket = new TokenBucket({ burst: WRITE_BURST, perSecond: WRITES_PER_SECOND }, performance.now());
  #pause: NodeJS.Timeout | undefined;

  /** @param what is written, for the log */
  constructor(what: string, counters: KeyedQueueCounters = { done: 0, failed: 0 }) {
    this.#what = what;
    this.counters = counters;
  }

  /** Keys that wait for their turn. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Replaces what was wanted of this key before and has not begun. */
  put(key: string, work: Work): void {
    clearTimeout(this.#retries.get(key)?.timer);
    this.#waiting.set(key, work);
    this.#pump();
  }

  /** Nothing is wanted of this key but what has begun. */
  drop(key: string): void {
    clearTimeout(this.#retries.get(key)?.timer);
    this.#retries.delete(key);
    this.#waiting.delete(key);
  }

  /** Nothing is wanted of this key any more; what has begun is not tried again. */
  forget(key: string): void {
    this.drop(key);
    const running = this.#running.get(key);
    if (running !== undefined) running.repeatable = false;
  }

  /** Nothing is wanted of other keys any more. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#keys()) if (!keys.has(key)) this.forget(key);
  }

  /** Nothing is wanted any more. */
  clear(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    for (const key of this.#keys()) this.forget(key);
  }

  #keys(): readonly string[] {
    return [...this.#waiting.keys(), ...this.#retries.keys(), ...this.#running.keys()];
  }

  #pump(): void {
    for (const [key, work] of this.#waiting) {
      if (this.#running.size >= MAX_RUNNING || this.#pause !== undefined) return;
      if (this.#running.has(key)) continue;
      if (!this.#bucket.take(performance.now())) return this.#pumpLater();
      this.#waiting.delete(key);
      void this.#run(key, work);
    }
  }

  #pumpLater(): void {
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      this.#pump();
    }, this.#bucket.msUntilNext(performance.now())).unref();
  }

  async #run(key: string, work: Work): Promise<void> {
    const running = { repeatable: true };
    this.#running.set(key, running);
    try {
      await work();
      this.counters.done++;
      this.#retries.delete(key);
    } catch (thrown) {
      this.counters.failed++;
      log.warn(`${this.#what} cannot be written`, { object: key, reason: messageOf(thrown) });
      if (running.repeatable && !this.#waiting.has(key)) this.#retryLater(key, work);
    }
    this.#running.delete(key);
    this.#pump();
  }

  #retryLater(key: string, work: Work): void {
    const backoff =
      this.#retries.get(key)?.backoff ?? new Backoff({ minMs: MIN_RETRY_MS, maxMs: MAX_RETRY_MS });
    const timer = setTimeout(() => this.put(key, work), backoff.next()).unref();
    this.#retries.set(key, { backoff, timer });
  }
}
