/** A share of each turn for the streams of one owner, so that many busy ones cannot take the thread from others. */

// Not the global, as in reactor.ts.
import { performance } from 'node:perf_hooks';
import type { Reactor, Task } from './reactor.ts';

/** What a lane has of a turn before other work gets its chance, in ms; the task at work is finished. */
export const LANE_SHARE_MS = 2;

/** Tasks of one lane run in their order; those that find the share used up wait for the next turn. */
export class Lane implements Task {
  readonly #reactor: Reactor;
  readonly #onUsedUp: () => void;
  #tasks: Task[] = [];
  #queued = false;

  /** @param onUsedUp called in each turn in which something had to wait */
  constructor(reactor: Reactor, onUsedUp: () => void) {
    this.#reactor = reactor;
    this.#onUsedUp = onUsedUp;
  }

  /** Runs the task later in this turn, or in one of the next. */
  defer(task: Task): void {
    this.#tasks.push(task);
    this.#queue();
  }

  run(): void {
    this.#queued = false;
    const tasks = this.#tasks;
    this.#tasks = [];
    // A lone task, the usual case, needs no clock.
    const endMs = tasks.length > 1 ? performance.now() + LANE_SHARE_MS : 0;
    let done = 0;
    do this.#reactor.runTask(tasks[done++]!);
    while (done < tasks.length && performance.now() < endMs);
    if (done === tasks.length) return;
    this.#tasks = [...tasks.slice(done), ...this.#tasks];
    this.#onUsedUp();
    this.#queue();
  }

  #queue(): void {
    if (this.#queued) return;
    this.#queued = true;
    this.#reactor.defer(this);
  }
}
