/** Gives back, once a reactor is quiet, what a crowd or a load has left in its heap. */

/** Bytes. Less is not worth the time: a thread that answers now and then must not collect after each answer. */
export const MIN_GROWTH = 2 * 1024 * 1024;
/**
 * Of what the heap held last time. Above what V8 lets a large heap grow by before it collects beside the program
 * (`collectOften`): this collection holds the thread up for 3 ms with each MB, so it is for what comes all at once.
 */
export const MIN_GROWTH_SHARE = 0.2;

/** What a thread can tell of itself, and do. */
export interface Collectable {
  /** Events that its loop has handled so far. */
  readonly events: () => number;
  /** Bytes that its heap holds, used or not. */
  readonly heapSize: () => number;
  /** Takes long enough to be felt. */
  readonly collect: () => void;
}

/**
 * Under a load V8 collects by itself, beside it. What is left when the load ends would stay until the next one: V8 looks
 * after that by tasks of Node's event loop, which a reactor does not run.
 */
export class QuietCollection {
  readonly #thread: Collectable;
  #events = 0;
  /** What it held after the last collection, V8's own among them. */
  #sizeAfter = Number.POSITIVE_INFINITY;

  constructor(thread: Collectable) {
    this.#thread = thread;
  }

  /** To be called at intervals; one without any event is quiet. */
  look(): void {
    const events = this.#thread.events();
    const quiet = events === this.#events;
    this.#events = events;
    if (!quiet) return;
    const size = this.#thread.heapSize();
    this.#sizeAfter = Math.min(this.#sizeAfter, size);
    if (size - this.#sizeAfter >= Math.max(MIN_GROWTH, this.#sizeAfter * MIN_GROWTH_SHARE)) this.collect();
  }

  /** At once, for a moment that is known to be a good one. */
  collect(): void {
    this.#thread.collect();
    this.#sizeAfter = this.#thread.heapSize();
  }
}
