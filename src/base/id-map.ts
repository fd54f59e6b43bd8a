/** Objects by number, in a table that is never replaced by another one of its size. */

/** A power of two, as every later size; half of the slots at most are taken. */
const FIRST_SLOTS = 8;

/** What such a table holds: a whole number of at most 31 bits. */
export interface Identified {
  readonly id: number;
}

/**
 * Open addressing with linear probing. For V8's Map as for its Set (see DenseSet): what has gone long ago would be kept
 * until the whole heap is collected. A peer that chooses identifiers with one home costs itself a walk past all of its
 * streams, which are few.
 */
export class IdMap<T extends Identified> {
  #slots = new Array<T | undefined>(FIRST_SLOTS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    return this.#slots[this.#slotOf(id)];
  }

  /** None of that number is there. */
  add(item: T): void {
    this.#size++;
    if (this.#size * 2 > this.#slots.length) this.#grow();
    this.#slots[this.#slotOf(item.id)] = item;
  }

  delete(id: number): boolean {
    const slot = this.#slotOf(id);
    if (this.#slots[slot] === undefined) return false;
    this.#size--;
    this.#close(slot);
    return true;
  }

  /** In the order of their numbers, as of now. */
  values(): T[] {
    return this.#slots.filter((item) => item !== undefined).sort((a, b) => a.id - b.id);
  }

  /** Where it is, or the free slot where it would be. */
  #slotOf(id: number): number {
    let slot = this.#home(id);
    for (let found = this.#slots[slot]; found !== undefined && found.id !== id; found = this.#slots[slot]) {
      slot = this.#after(slot);
    }
    return slot;
  }

  /** The streams that one end of HTTP/2 opens are all even, or all odd. */
  #home(id: number): number {
    return (id >>> 1) & (this.#slots.length - 1);
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  /** Empties a slot; whoever would not be found behind the gap moves into it. */
  #close(slot: number): void {
    let gap = slot;
    for (let at = this.#after(gap); ; at = this.#after(at)) {
      const item = this.#slots[at];
      if (item === undefined) break;
      const mask = this.#slots.length - 1;
      const fromHome = (at - this.#home(item.id)) & mask;
      if (fromHome < ((at - gap) & mask)) continue;
      this.#slots[gap] = item;
      gap = at;
    }
    this.#slots[gap] = undefined;
  }

  #grow(): void {
    const items = this.values();
    this.#slots = new Array<T | undefined>(this.#slots.length * 2).fill(undefined);
    for (const item of items) this.#slots[this.#slotOf(item.id)] = item;
  }
}
