/** The dynamic table of HPACK (RFC 7541 §2.3.2, §4): a ring of fields, newest first, evicted by size. */

import { FIELD_OVERHEAD_BYTES, type HeaderField } from './header-list.ts';

const NO_FIELD: HeaderField = ['', ''];

export class HpackDynamicTable {
  readonly #ring: HeaderField[];
  #newest = 0;
  #count = 0;
  #size = 0;
  #maxSize: number;

  /** @param capacityBytes the most that `resize` will ever be given. */
  constructor(capacityBytes: number) {
    this.#ring = new Array<HeaderField>(Math.max(1, Math.floor(capacityBytes / FIELD_OVERHEAD_BYTES))).fill(
      NO_FIELD,
    );
    this.#maxSize = capacityBytes;
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
