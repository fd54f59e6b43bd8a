/** Time as certificates mean it, with timers that follow it; replaced in tests by a clock that is moved by hand. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time in milliseconds since 1970. */
  nowMs(): number;
  /** Calls back once, when the wall clock has advanced by `delayMs`; any length of time is fine. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/**
 * Longest single wait. Timers of the system count no time while the machine sleeps, do not follow a corrected clock,
 * and fire at once beyond 2^31 ms, which half the life of a 90-day certificate is.
 */
const MAX_SLICE_MS = 60_000;

/** The real time; its timers do not keep a process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  setTimer: (delayMs, callback) => new SlicedTimer(Date.now() + delayMs, callback),
};

class SlicedTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  #timeout: NodeJS.Timeout | undefined;

  constructor(dueMs: number, callback: () => void) {
    this.#dueMs = dueMs;
    this.#callback = callback;
    this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #arm(): void {
    const waitMs = Math.max(0, this.#dueMs - Date.now());
    this.#timeout = setTimeout(() => this.#onSlice(), Math.min(waitMs, MAX_SLICE_MS)).unref();
  }

  #onSlice(): void {
    if (Date.now() >= this.#dueMs) this.#callback();
    else this.#arm();
  }
}
