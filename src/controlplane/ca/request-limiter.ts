/** Bounds how many certificates one node may ask for in a time. */

import { TokenBucket } from '../../base/token-bucket.ts';

/** Requests at once: a node of 500 pods that starts over, twice. */
export const BURST = 1_000;
/** Requests per second in the long run: a renewal of 500 identities spread over a minute, and retries. */
export const REQUESTS_PER_SECOND = 10;
/** Nodes kept in mind before those that are quiet are forgotten. */
const MAX_BUCKETS = 10_000;

/** A token bucket for each key. */
export class RequestLimiter {
  readonly #buckets = new Map<string, TokenBucket>();

  /** Whether one more request may pass now. */
  take(key: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key, nowMs);
    return bucket.take(nowMs);
  }

  #newBucket(key: string, nowMs: number): TokenBucket {
    if (this.#buckets.size >= MAX_BUCKETS) this.#forgetQuiet(nowMs);
    const bucket = new TokenBucket({ burst: BURST, perSecond: REQUESTS_PER_SECOND }, nowMs);
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** A full bucket is what a new one would be. */
  #forgetQuiet(nowMs: number): void {
    for (const [key, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(key);
  }
}
