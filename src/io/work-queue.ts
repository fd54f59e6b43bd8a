/** Work collected during a turn of the loop and done later, without allocating per turn. */

/** First in, first out; what is added while the queue runs waits for the next run. */
export class WorkQueue<T> {
  #waiting: (T | undefined)[] = [];
  #count = 0;
  #spare: (T | undefined)[] = [];

  get length(): number {
    return this.#count;
  }

  add(item: T): void {
    this.#waiting[this.#count++] = item;
  }

  /** Applies `action` to everything added so far; `action` must not throw. */
  run(action: (item: T) => void): void {
    const items = this.#waiting;
    const count = this.#count;
    this.#waiting = this.#spare;
    this.#count = 0;
    for (let i = 0; i < count; i++) {
      const item = items[i]!;
      items[i] = undefined;
      action(item);
    }
    this.#spare = items;
  }
}
