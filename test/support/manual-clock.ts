/** A clock that stands still until a test moves it, and then fires its timers one by one in the order of their times. */

import type { Clock, Timer } from '../../src/identity/clock.ts';

interface PendingTimer extends Timer {
  dueMs: number;
  readonly callback: () => void;
}

/** Turns of the event loop granted to promises after each timer: far more than any chain of awaits here is long. */
const TURNS_TO_SETTLE = 5;

export class ManualClock implements Clock {
  #nowMs: number;
  #timers: PendingTimer[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  /** How many timers wait; zero after everything was closed. */
  get pending(): number {
    return this.#timers.length;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer: PendingTimer = {
      dueMs: this.#nowMs + Math.max(0, delayMs),
      callback,
      cancel: () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      },
    };
    this.#timers.push(timer);
    return timer;
  }

  /** Sets the time of day back; timers wait as long as they would have. */
  setBack(ms: number): void {
    this.#nowMs -= ms;
    for (const timer of this.#timers) timer.dueMs -= ms;
  }

  /** Moves on by `ms`; promises settle before the first timer and after each one. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#nextUntil(endMs); next !== undefined; next = this.#nextUntil(endMs)) {
      next.cancel();
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.callback();
      await settle();
    }
    this.#nowMs = endMs;
  }

  #nextUntil(endMs: number): PendingTimer | undefined {
    const due = this.#timers.filter((timer) => timer.dueMs <= endMs);
    return due.toSorted((a, b) => a.dueMs - b.dueMs)[0];
  }
}

/** Lets all promises that can go on go on. */
export async function settle(): Promise<void> {
  for (let i = 0; i < TURNS_TO_SETTLE; i++) await new Promise((resolve) => setImmediate(resolve));
}
