/** Counts latencies to the microsecond, without an object for each. */

import type { Latencies } from './load-protocol.ts';

/** Anything slower counts as this. */
const LONGEST_US = 4_000_000;

export class LatencyHistogram {
  readonly #counts = new Uint32Array(LONGEST_US + 1);
  #total = 0;

  add(microseconds: number): void {
    this.#counts[Math.min(LONGEST_US, Math.max(0, Math.round(microseconds)))]!++;
    this.#total++;
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }

  /** The smallest latency that at least this share is not slower than; 0 of none. */
  percentile(share: number): number {
    let left = Math.ceil(share * this.#total);
    if (left === 0) return 0;
    let at = 0;
    for (left -= this.#counts[0]!; left > 0; left -= this.#counts[at]!) at++;
    return at;
  }

  latencies(): Latencies {
    return {
      p50: this.percentile(0.5),
      p90: this.percentile(0.9),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
    };
  }
}
