/** Time as certificates mean it, with timers that follow it; replaced in tests by a clock that is moved by hand. */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time in milliseconds since 1970. */
  nowMs(): number;
  /**
   * Calls back once, when the wall clock has advanced by `delayMs`, or when so much time has passed in truth: a clock that
   * is set back must not put off what was to be tried again in a second. Any length of time is fine.
   */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/**
 * Longest single wait. Timers of the system count no time while the machine sleeps, do not follow a corrected clock,
 * and fire at once beyond 2^31 ms, which half the life of a 90-day certificate is.
 */
const MAX_SLICE_MS = 60_000;

/** How often an alarm looks at the time of day, which may have been set. */
const LOOK_INTERVAL_MS = 60_000;

/**
 * Calls back once at that time of day; or before, within a minute, when the clock has been set back so far that
 * `isTooEarly` holds.
 */
export function setAlarm(
  clock: Clock,
  dueMs: number,
  callback: () => void,
  isTooEarly: (nowMs: number) => boolean = () => false,
): Timer {
  const look = () => {
    const nowMs = clock.nowMs();
    if (nowMs >= dueMs || isTooEarly(nowMs)) callback();
    else timer = wait(dueMs - nowMs);
  };
  const wait = (leftMs: number) => clock.setTimer(Math.min(leftMs, LOOK_INTERVAL_MS), look);
  let timer = wait(dueMs - clock.nowMs());
  return { cancel: () => timer.cancel() };
}

/** The real time; its timers do not keep a process alive. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  setTimer: (delayMs, callback) => new SlicedTimer(delayMs, callback),
};

class SlicedTimer implements Timer {
  readonly #dueMs: number;
  readonly #callback: () => void;
  /** Of the true time. */
  #leftMs: number;
  #timeout: NodeJS.Timeout | undefined;

  constructor(delayMs: number, callback: () => void) {
    this.#dueMs = Date.now() + delayMs;
    this.#leftMs = delayMs;
    this.#callback = callback;
    this.#arm();
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }

  #arm(): void {
    const sliceMs = Math.max(0, Math.min(this.#dueMs - Date.now(), this.#leftMs, MAX_SLICE_MS));
    this.#timeout = setTimeout(() => this.#onSlice(sliceMs), sliceMs).unref();
  }

  #onSlice(sliceMs: number): void {
    this.#leftMs -= sliceMs;
    if (this.#leftMs <= 0 || Date.now() >= this.#dueMs) this.#callback();
    else this.#arm();
  }
}
