/** Streams by identifier, in a table that is never replaced by another one of its size. */

import type { Http2Stream } from './http2-stream.ts';

/** A power of two, as every later size; half of the slots at most are taken. */
const FIRST_SLOTS = 8;

/**
 * Open addressing with linear probing. For V8's Map as for its Set (see DenseSet): streams that have ended long ago would
 * be kept until the whole heap is collected. A peer that chooses identifiers with one home costs itself a walk past all
 * of its streams, which are few.
 */
export class StreamMap {
  #slots = new Array<Http2Stream | undefined>(FIRST_SLOTS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Http2Stream | undefined {
    return this.#slots[this.#slotOf(id)];
  }

  /** No stream of that identifier is there. */
  add(stream: Http2Stream): void {
    this.#size++;
    if (this.#size * 2 > this.#slots.length) this.#grow();
    this.#slots[this.#slotOf(stream.id)] = stream;
  }

  delete(id: number): boolean {
    const slot = this.#slotOf(id);
    if (this.#slots[slot] === undefined) return false;
    this.#size--;
    this.#close(slot);
    return true;
  }

  /** In the order of their identifiers, as of now. */
  values(): Http2Stream[] {
    return this.#slots.filter((stream) => stream !== undefined).sort((a, b) => a.id - b.id);
  }

  /** Where it is, or the free slot where it would be. */
  #slotOf(id: number): number {
    let slot = this.#home(id);
    for (let found = this.#slots[slot]; found !== undefined && found.id !== id; found = this.#slots[slot]) {
      slot = this.#after(slot);
    }
    return slot;
  }

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
      const stream = this.#slots[at];
      if (stream === undefined) break;
      const mask = this.#slots.length - 1;
      const fromHome = (at - this.#home(stream.id)) & mask;
      if (fromHome < ((at - gap) & mask)) continue;
      this.#slots[gap] = stream;
      gap = at;
    }
    this.#slots[gap] = undefined;
  }

  #grow(): void {
    const streams = this.values();
    this.#slots = new Array<Http2Stream | undefined>(this.#slots.length * 2).fill(undefined);
    for (const stream of streams) this.#slots[this.#slotOf(stream.id)] = stream;
  }
}
