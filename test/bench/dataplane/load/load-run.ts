/** The clock and the count of one order: a warm-up, then what is measured. */

import type { EventLoop } from './event-loop.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import type { LoadResult } from './load-protocol.ts';

const histogram = new LatencyHistogram();

export interface Duration {
  readonly warmupMs: number;
  readonly durationMs: number;
}

export class LoadRun {
  readonly #onBegun: () => void;
  #amount = 0;
  #counting = false;

  /** @param onBegun told when the warm-up is over */
  constructor(onBegun: () => void) {
    this.#onBegun = onBegun;
    histogram.clear();
  }

  get isCounting(): boolean {
    return this.#counting;
  }

  count(amount: number): void {
    if (this.#counting) this.#amount += amount;
  }

  countRequest(microseconds: number): void {
    if (!this.#counting) return;
    this.#amount++;
    histogram.add(microseconds);
  }

  /** Turns the loop for as long as the order says. `pace` is called before each turn and tells how long that may wait. */
  drive(
    loop: EventLoop,
    { warmupMs, durationMs }: Duration,
    pace: () => number = () => LONGEST_WAIT_MS,
  ): LoadResult {
    const beginsMs = performance.now() + warmupMs;
    while (performance.now() < beginsMs) loop.turn(pace());
    this.#onBegun();
    this.#counting = true;
    const startMs = performance.now();
    while (performance.now() < startMs + durationMs) loop.turn(pace());
    const seconds = (performance.now() - startMs) / 1000;
    this.#counting = false;
    return { kind: 'done', amount: this.#amount, seconds, latencies: histogram.latencies() };
  }
}

/** The end is noticed this late at most. */
const LONGEST_WAIT_MS = 20;
