/** A reactor whose clock stands still until a test moves it. */

import { after } from 'node:test';
import { Reactor, type Timer } from '../../../src/io/reactor.ts';

interface Pending {
  readonly dueMs: number;
  readonly callback: () => void;
}

export class ManualReactor extends Reactor {
  readonly #timers = new Set<Pending>();
  #nowMs = 0;

  constructor() {
    super();
    after(() => this.close());
  }

  override get nowMs(): number {
    return this.#nowMs;
  }

  /** Timers that wait. */
  get pendingTimers(): number {
    return this.#timers.size;
  }

  override setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.nowMs + delayMs, callback };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  /** Moves the clock on and fires what is due, in order. */
  advance(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#timers].filter((timer) => timer.dueMs <= this.nowMs);
    for (const timer of due.toSorted((a, b) => a.dueMs - b.dueMs)) {
      if (this.#timers.delete(timer)) timer.callback();
    }
  }
}
