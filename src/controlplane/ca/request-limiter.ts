/** Bounds how many certificates one node may ask for in a time. */

/** Requests at once: a node of 500 pods that starts over, twice. */
export const BURST = 1_000;
/** Requests per second in the long run: a renewal of 500 identities spread over a minute, and retries. */
export const REQUESTS_PER_SECOND = 10;
/** Nodes kept in mind before those that are quiet are forgotten. */
const MAX_BUCKETS = 10_000;

interface Bucket {
  tokens: number;
  updatedMs: number;
}

/** A token bucket for each key. */
export class RequestLimiter {
  readonly #buckets = new Map<string, Bucket>();

  /** Whether one more request may pass now. */
  take(key: string, nowMs: number): boolean {
    const bucket = this.#buckets.get(key) ?? this.#newBucket(key, nowMs);
    bucket.tokens = tokensAt(bucket, nowMs);
    bucket.updatedMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  #newBucket(key: string, nowMs: number): Bucket {
    if (this.#buckets.size >= MAX_BUCKETS) this.#forgetQuiet(nowMs);
    const bucket = { tokens: BURST, updatedMs: nowMs };
    this.#buckets.set(key, bucket);
    return bucket;
  }

  /** A full bucket is what a new one would be. */
  #forgetQuiet(nowMs: number): void {
    for (const [key, bucket] of this.#buckets)
      if (tokensAt(bucket, nowMs) >= BURST) this.#buckets.delete(key);
  }
}

function tokensAt(bucket: Bucket, nowMs: number): number {
  const gained = (Math.max(0, nowMs - bucket.updatedMs) / 1000) * REQUESTS_PER_SECOND;
  return Math.min(BURST, bucket.tokens + gained);
}
