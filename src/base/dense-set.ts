/** A set of objects that come and go by the thousand a second. */

/** What such a set holds knows its place in it; written by the set only. */
export interface Placed {
  /** -1 outside. */
  place: number;
}

/**
 * V8's Set makes a new table every few dozen changes. An old one leads to the new one and still holds what was in it, so
 * that once one of them has become old in the collector's eyes, so does all that was ever in those that follow.
 */
export class DenseSet<T extends Placed> implements Iterable<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item is in no such set. */
  add(item: T): void {
    item.place = this.#items.length;
    this.#items.push(item);
  }

  /** False when it was not in; another one takes its place. */
  delete(item: T): boolean {
    if (this.#items[item.place] !== item) return false;
    const last = this.#items.pop()!;
    if (last !== item) {
      this.#items[item.place] = last;
      last.place = item.place;
    }
    item.place = -1;
    return true;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }
}
