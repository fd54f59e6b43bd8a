/** Gives back what a crowd or a load has left in the heap of a reactor. */

import { COLLECTION_STEPS } from '../../sys/process-memory.ts';
import { CrowdWatch } from './crowd-watch.ts';

/** Bytes. Less is not worth the time: a thread that answers now and then must not collect after each answer. */
export const MIN_GROWTH = 2 * 1024 * 1024;
/**
 * Of what the heap held last time. Above what V8 lets a large heap grow by before it collects beside the program
 * (`collectOften`): this collection holds the thread up, so it is for what comes all at once.
 */
export const MIN_GROWTH_SHARE = 0.2;

/** What a thread can tell of itself, and do. */
export interface Collectable {
  /** Events that its loop has handled so far. */
  readonly events: () => number;
  /** Bytes that its heap holds, used or not. */
  readonly heapSize: () => number;
  /** Connections open now. */
  readonly connections: () => number;
  /** A part of a collection; takes long enough to be felt. */
  readonly step: () => void;
  /** All of one, and what V8 keeps in case it is needed again; takes as long as several steps. */
  readonly release: () => void;
  /** Told after the last step. */
  readonly finished: () => void;
}

/**
 * Under a load V8 collects by itself, beside it. What is left when the load ends would stay until the next one: V8 looks
 * after that by tasks of Node's event loop, which a reactor does not run. Steps are taken one in an interval, so that
 * whoever comes meanwhile waits for one of them at most.
 */
export class QuietCollection {
  readonly #thread: Collectable;
  readonly #crowds = new CrowdWatch();
  #events = 0;
  /** What it held after the last collection, V8's own among them. */
  #sizeAfter = Number.POSITIVE_INFINITY;
  #stepsLeft = 0;
  /** Also while the thread has work: others would wait for memory that a crowd has left. */
  #isUrgent = false;
  #releaseWanted = false;

  constructor(thread: Collectable) {
    this.#thread = thread;
  }

  /** The thread has started: what that took goes as soon as the thread is quiet, all at once. */
  releaseWhenQuiet(): void {
    this.#releaseWanted = true;
  }

  /** To be called at intervals; one without any event is quiet. */
  look(): void {
    const events = this.#thread.events();
    const isQuiet = events === this.#events;
    this.#events = events;
    if (isQuiet && this.#releaseWanted) return this.#release();
    if (this.#crowds.hasGone(this.#thread.connections())) {
      this.#isUrgent = true;
      this.#stepsLeft = COLLECTION_STEPS;
    } else if (isQuiet && this.#stepsLeft === 0 && this.#hasGrown()) this.#stepsLeft = COLLECTION_STEPS;
    if (this.#stepsLeft > 0 && (isQuiet || this.#isUrgent)) this.#step();
  }

  #hasGrown(): boolean {
    const size = this.#thread.heapSize();
    this.#sizeAfter = Math.min(this.#sizeAfter, size);
    return size - this.#sizeAfter >= Math.max(MIN_GROWTH, this.#sizeAfter * MIN_GROWTH_SHARE);
  }

  #step(): void {
    this.#thread.step();
    this.#stepsLeft--;
    if (this.#stepsLeft === 0) this.#finish();
  }

  #release(): void {
    this.#thread.release();
    this.#releaseWanted = false;
    this.#finish();
  }

  #finish(): void {
    this.#stepsLeft = 0;
    this.#isUrgent = false;
    this.#sizeAfter = this.#thread.heapSize();
    this.#thread.finished();
  }
}
