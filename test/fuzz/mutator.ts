/** Changes inputs as parsers dislike it: bits, numbers at their edges, pieces gone, doubled, moved or of another input. */

import type { Random } from '../support/random.ts';
import { bytesOf } from './fuzz-target.ts';

/** Inputs do not grow beyond it, in bytes; found to be enough for every limit that is counted in bytes. */
export const MAX_INPUT_BYTES = 16 * 1024;
const MAX_CHANGES = 6;
const LONGEST_PIECE = 512;
/** What lengths, counters and types break at. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

type Change = (bytes: Uint8Array, other: Uint8Array) => Uint8Array;

export class Mutator {
  readonly #random: Random;
  readonly #words: readonly Uint8Array[];
  readonly #changes: readonly Change[];

  constructor(random: Random, words: readonly string[]) {
    this.#random = random;
    this.#words = words.map(bytesOf);
    this.#changes = [
      (bytes) => this.#flipBit(bytes),
      (bytes) => this.#setByte(bytes),
      (bytes) => this.#setEdge(bytes),
      (bytes) => this.#remove(bytes),
      (bytes) => this.#repeat(bytes),
      (bytes) => this.#cutOff(bytes),
      (bytes) => this.#insertBytes(bytes),
      (bytes, other) => this.#insertFrom(bytes, other),
      (bytes, other) => this.#crossOver(bytes, other),
      ...(words.length > 0 ? [(bytes: Uint8Array) => this.#insertWord(bytes)] : []),
    ];
  }

  /** A new input out of `from`; pieces of `other` may be in it. */
  mutate(from: Uint8Array, other: Uint8Array): Uint8Array {
    let bytes: Uint8Array = from.slice();
    for (let changes = 1 + this.#random.below(MAX_CHANGES); changes > 0; changes--) {
      bytes = this.#random.oneOf(this.#changes)(bytes, other);
    }
    return bytes.subarray(0, MAX_INPUT_BYTES);
  }

  #flipBit(bytes: Uint8Array): Uint8Array {
    if (bytes.length > 0) bytes[this.#random.below(bytes.length)]! ^= 1 << this.#random.below(8);
    return bytes;
  }

  #setByte(bytes: Uint8Array): Uint8Array {
    if (bytes.length > 0) bytes[this.#random.below(bytes.length)] = this.#random.below(256);
    return bytes;
  }

  /** A number of one to four bytes, big or little end first. */
  #setEdge(bytes: Uint8Array): Uint8Array {
    const size = Math.min(1 + this.#random.below(4), bytes.length);
    if (size === 0) return bytes;
    const at = this.#random.below(bytes.length - size + 1);
    const value = this.#random.oneOf(EDGES);
    const bigEnd = this.#random.below(2) === 0;
    for (let i = 0; i < size; i++) bytes[bigEnd ? at + size - 1 - i : at + i] = value >>> (8 * i);
    return bytes;
  }

  #remove(bytes: Uint8Array): Uint8Array {
    const [start, end] = this.#piece(bytes);
    return concat(bytes.subarray(0, start), bytes.subarray(end));
  }

  #repeat(bytes: Uint8Array): Uint8Array {
    const [start, end] = this.#piece(bytes);
    const piece = bytes.subarray(start, end);
    const times = 1 + this.#random.below(this.#random.below(8) === 0 ? 64 : 3);
    const copies = Array.from({ length: times }, () => piece);
    return concat(bytes.subarray(0, end), ...copies, bytes.subarray(end)).slice(0, MAX_INPUT_BYTES);
  }

  #cutOff(bytes: Uint8Array): Uint8Array {
    return bytes.slice(0, this.#random.below(bytes.length + 1));
  }

  #insertBytes(bytes: Uint8Array): Uint8Array {
    const fill = Uint8Array.from({ length: 1 + this.#random.below(16) }, () => this.#random.below(256));
    return this.#insert(bytes, fill);
  }

  #insertWord(bytes: Uint8Array): Uint8Array {
    return this.#insert(bytes, this.#random.oneOf(this.#words));
  }

  #insertFrom(bytes: Uint8Array, other: Uint8Array): Uint8Array {
    const [start, end] = this.#piece(other);
    return this.#insert(bytes, other.subarray(start, end));
  }

  #crossOver(bytes: Uint8Array, other: Uint8Array): Uint8Array {
    const here = this.#random.below(bytes.length + 1);
    const there = this.#random.below(other.length + 1);
    return concat(bytes.subarray(0, here), other.subarray(there));
  }

  #insert(bytes: Uint8Array, piece: Uint8Array): Uint8Array {
    const at = this.#random.below(bytes.length + 1);
    return concat(bytes.subarray(0, at), piece, bytes.subarray(at));
  }

  #piece(bytes: Uint8Array): readonly [start: number, end: number] {
    const start = this.#random.below(bytes.length + 1);
    const length = 1 + this.#random.below(this.#random.below(4) === 0 ? LONGEST_PIECE : 16);
    return [start, Math.min(bytes.length, start + length)];
  }
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((total, one) => total + one.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
