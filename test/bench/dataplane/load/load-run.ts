/** The clock and the count of one order: a warm-up, then what is measured. */

import { usageOf } from '../../process-usage.ts';
import type { EventLoop } from './event-loop.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import type { LoadResult } from './load-protocol.ts';

const histogram = new LatencyHistogram();

/** Of an order. */
export interface Measuring {
  readonly warmupMs: number;
  readonly durationMs: number;
  readonly pids: readonly number[];
}

export class LoadRun {
  #amount = 0;
  #counting = false;

  constructor() {
    histogram.clear();
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
    { warmupMs, durationMs, pids }: Measuring,
    pace: () => number = () => LONGEST_WAIT_MS,
  ): LoadResult {
    const beginsMs = performance.now() + warmupMs;
    while (performance.now() < beginsMs) loop.turn(pace());
    const spentBefore = spentBy(pids);
    this.#counting = true;
    const startMs = performance.now();
    while (performance.now() < startMs + durationMs) loop.turn(pace());
    const seconds = (performance.now() - startMs) / 1000;
    const cpuSeconds = spentBy(pids) - spentBefore;
    this.#counting = false;
    return { kind: 'done', amount: this.#amount, seconds, cpuSeconds, latencies: histogram.latencies() };
  }
}

function spentBy(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
}

/** The end is noticed this late at most. */
const LONGEST_WAIT_MS = 20;
