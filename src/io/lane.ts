/** The work of one owner's streams, done in slices, so that many busy ones cannot take the thread from others. */

import { type Reactor, SLICE_MS, type Task } from './reactor.ts';
import { WorkQueue } from './work-queue.ts';

/** So many slices used up in a row are 2 ms at a stretch, in which others had to be let in between. */
export const SLICES_PER_SHARE = 2 / SLICE_MS;

/** Tasks of one lane run in their order; those that find the slice used up wait until others had theirs. */
export class Lane implements Task {
  readonly #reactor: Reactor;
  readonly #onUsedUp: () => void;
  readonly #tasks = new WorkQueue<Task>();
  #queued = false;
  /** Without an end of the work. */
  #slicesUsedUp = 0;

  /** @param onUsedUp called each time that {@link SLICES_PER_SHARE} slices were used up in a row */
  constructor(reactor: Reactor, onUsedUp: () => void) {
    this.#reactor = reactor;
    this.#onUsedUp = onUsedUp;
  }

  /** Runs the task later in this turn, or in one of the next. */
  defer(task: Task): void {
    this.#tasks.add(task);
    if (this.#queued) return;
    this.#queued = true;
    this.#reactor.defer(this);
  }

  run(): void {
    if (this.#tasks.runFor(SLICE_MS, this.#reactor.runTask)) this.#slicesUsedUp = 0;
    else this.#useUp();
    this.#queued = this.#tasks.length > 0;
    if (this.#queued) this.#reactor.deferLong(this);
  }

  #useUp(): void {
    if (++this.#slicesUsedUp < SLICES_PER_SHARE) return;
    this.#slicesUsedUp = 0;
    this.#onUsedUp();
  }
}
