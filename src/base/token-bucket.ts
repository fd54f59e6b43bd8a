/** Bounds how often something is done: some times at once, and so many times a second in the long run. */

export interface TokenBucketOptions {
  readonly burst: number;
  readonly perSecond: number;
}

export class TokenBucket {
  readonly #options: TokenBucketOptions;
  #tokens: number;
  #updatedMs: number;

  constructor(options: TokenBucketOptions, nowMs: number) {
    this.#options = options;
    this.#tokens = options.burst;
    this.#updatedMs = nowMs;
  }

  /** Whether it may be done once more now. */
  take(nowMs: number): boolean {
    this.#refill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Until {@link TokenBucket.take} says yes; 0 when it would now. */
  msUntilNext(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#options.perSecond) * 1000);
  }

  /** Whether nothing was done for so long that it is as good as new. */
  isFull(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= this.#options.burst;
  }

  #refill(nowMs: number): void {
    const { burst, perSecond } = this.#options;
    const gained = (Math.max(0, nowMs - this.#updatedMs) / 1000) * perSecond;
    this.#tokens = Math.min(burst, this.#tokens + gained);
    this.#updatedMs = nowMs;
  }
}
