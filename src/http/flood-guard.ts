/** Token buckets that tell a busy peer from a hostile one. */

import type { Http2Counters } from './http2-counters.ts';
import { type FloodKind, floodLimits } from './http2-limits.ts';

/** Where the time comes from: a reactor. */
export interface Clock {
  readonly nowMs: number;
}

const kinds = Object.keys(floodLimits) as FloodKind[];
const indexOf = Object.fromEntries(kinds.map((kind, i) => [kind, i])) as Readonly<Record<FloodKind, number>>;

/** One per connection. */
export class FloodGuard {
  readonly #clock: Clock;
  readonly #counters: Http2Counters;
  readonly #tokens = Float64Array.from(kinds, (kind) => floodLimits[kind].burst);
  readonly #filledAtMs: Float64Array;

  constructor(clock: Clock, counters: Http2Counters) {
    this.#clock = clock;
    this.#counters = counters;
    this.#filledAtMs = new Float64Array(kinds.length).fill(clock.nowMs);
  }

  /** Counts events; false when the peer has used up what it may do, which is counted as a flood. */
  admit(kind: FloodKind, events = 1): boolean {
    this.#counters[kind] += events;
    const i = indexOf[kind];
    const limit = floodLimits[kind];
    const now = this.#clock.nowMs;
    const refill = ((now - this.#filledAtMs[i]!) * limit.perSecond) / 1000;
    this.#filledAtMs[i] = now;
    const tokens = Math.min(limit.burst, this.#tokens[i]! + refill) - events;
    this.#tokens[i] = tokens;
    if (tokens >= 0) return true;
    this.#counters.floods[kind]++;
    return false;
  }

  /** Gives tokens back for work that the peer did in good faith. */
  earn(kind: FloodKind, tokens: number): void {
    const i = indexOf[kind];
    this.#tokens[i] = Math.min(floodLimits[kind].burst, this.#tokens[i]! + tokens);
  }
}
