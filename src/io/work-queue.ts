/** Work collected during a turn of the loop and done later, without allocating per turn. */

// Not the global, as in reactor.ts.
import { performance } from 'node:perf_hooks';

/** A power of two, and enough for most turns. */
const FIRST_CAPACITY = 16;

/** First in, first out; what is added while the queue runs waits for the next run. */
export class WorkQueue<T> {
  /** A ring; its length is a power of two. */
  #items: (T | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #first = 0;
  #count = 0;

  get length(): number {
    return this.#count;
  }

  add(item: T): void {
    if (this.#count === this.#items.length) this.#grow();
    this.#items[(this.#first + this.#count++) & (this.#items.length - 1)] = item;
  }

  /** Applies `action` to everything added so far; `action` must not throw. */
  run(action: (item: T) => void): void {
    for (let left = this.#count; left > 0; left--) action(this.#take());
  }

  /**
   * The same until `shareMs` are over: then the rest stays where it is, first in the next run. The item at work is finished.
   * @returns whether everything had its turn
   */
  runFor(shareMs: number, action: (item: T) => void): boolean {
    let left = this.#count;
    // A lone item, the usual case, needs no clock.
    const endMs = left > 1 ? performance.now() + shareMs : 0;
    while (left > 0) {
      action(this.#take());
      if (--left > 0 && performance.now() >= endMs) return false;
    }
    return true;
  }

  #take(): T {
    const item = this.#items[this.#first]!;
    this.#items[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#items.length - 1);
    this.#count--;
    return item;
  }

  #grow(): void {
    const items = this.#items;
    this.#items = [
      ...items.slice(this.#first),
      ...items.slice(0, this.#first),
      ...items.map(() => undefined),
    ];
    this.#first = 0;
  }
}
