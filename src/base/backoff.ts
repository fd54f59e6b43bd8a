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

  /** Milliseconds to wait before the next attempt: anything from half the shortest delay to the ceiling. */
  next(): number {
    const ceiling = this.#ceilingMs;
    const floor = this.#minMs / 2;
    this.#ceilingMs = Math.min(this.#maxMs, ceiling * 2);
    return Math.round(floor + this.#random() * (ceiling - floor));
  }

  /** Call after a success. */
  reset(): void {
    this.#ceilingMs = this.#minMs;
  }
}
