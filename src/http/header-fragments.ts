/** A header block that comes in several pieces, put together. */

const EMPTY = new Uint8Array(0);

/** Unbounded: whoever adds checks the limit first. */
export class HeaderFragments {
  #bytes = EMPTY;
  #length = 0;

  /** The pieces so far in [0, length); other bytes behind them. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Makes room for that many bytes more. */
  expect(count: number): void {
    const size = this.#length + count;
    if (this.#bytes.length >= size) return;
    const grown = new Uint8Array(Math.max(size, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }

  add(piece: Uint8Array): void {
    this.#bytes.set(piece, this.#length);
    this.#length += piece.length;
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#length = 0;
  }
}
