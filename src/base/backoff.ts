/** Exponential backoff with full jitter, as one value per thing that is retried. */

export interface BackoffOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** A number in [0, 1); injected so that tests are repeatable. */
  readonly random?: () => number;
}

/** Doubles a ceiling on every failure and draws the delay below it, so that many clients do not return together. */
export class Backoff {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #ceilingMs: number;

  constructor(options: BackoffOptions) {
    this.#minMs = options.minMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
    this.#ceilingMs = options.minMs;
  }

  /** Milliseconds to wait before the next attempt; at least half the ceiling, so that it does grow. */
  next(): number {
    const ceiling = this.#ceilingMs;
    this.#ceilingMs = Math.min(this.#maxMs, ceiling * 2);
    return Math.round(ceiling / 2 + (this.#random() * ceiling) / 2);
  }

  /** Call after a success. */
  reset(): void {
    this.#ceilingMs = this.#minMs;
  }
}
