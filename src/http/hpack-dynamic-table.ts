/** The dynamic table of HPACK (RFC 7541 §2.3.2, §4): a ring of fields, newest first, evicted by size. */

import { FIELD_OVERHEAD_BYTES, type HeaderField } from './header-list.ts';

const NO_FIELD: HeaderField = ['', ''];
const MIN_ENTRIES = 8;

export class HpackDynamicTable {
  /** As long as it has ever been needed, so that a connection that says little costs little. */
  #ring: HeaderField[] = [];
  #newest = 0;
  #count = 0;
  #size = 0;
  #maxSize: number;

  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  get count(): number {
    return this.#count;
  }

  get size(): number {
    return this.#size;
  }

  get maxSize(): number {
    return this.#maxSize;
  }

  /** 0 is the newest entry. */
  at(index: number): HeaderField | undefined {
    if (index >= this.#count) return undefined;
    return this.#ring[(this.#newest - index + this.#ring.length) % this.#ring.length];
  }

  /** An entry that does not fit empties the table and is not added (RFC 7541 §4.4). */
  add(field: HeaderField): void {
    const size = fieldSize(field);
    this.#evictTo(this.#maxSize - size);
    if (size > this.#maxSize) return;
    if (this.#count === this.#ring.length) this.#grow();
    this.#newest = (this.#newest + 1) % this.#ring.length;
    this.#ring[this.#newest] = field;
    this.#count++;
    this.#size += size;
  }

  clear(): void {
    this.#evictTo(0);
  }

  resize(maxSize: number): void {
    this.#maxSize = maxSize;
    this.#evictTo(maxSize);
  }

  /** Oldest first, with room for as many again. */
  #grow(): void {
    const inOrder = Array.from({ length: this.#count }, (_, i) => this.at(this.#count - 1 - i)!);
    const free = new Array<HeaderField>(Math.max(MIN_ENTRIES, this.#count)).fill(NO_FIELD);
    this.#ring = [...inOrder, ...free];
    this.#newest = (this.#count - 1 + this.#ring.length) % this.#ring.length;
  }

  #evictTo(size: number): void {
    while (this.#count > 0 && this.#size > size) {
      const oldest = (this.#newest - this.#count + 1 + this.#ring.length) % this.#ring.length;
      this.#size -= fieldSize(this.#ring[oldest]!);
      this.#ring[oldest] = NO_FIELD;
      this.#count--;
    }
  }
}

function fieldSize(field: HeaderField): number {
  return field[0].length + field[1].length + FIELD_OVERHEAD_BYTES;
}
