/** Values by address block: one hash table per prefix length, so that a look-up costs the number of lengths in use. */

import type { IpFamily } from '../base/ip.ts';
import type { IpWords } from './ip-words.ts';

/** Blocks with the same hash form a chain. */
interface Slot<V> {
  readonly w0: number;
  readonly w1: number;
  readonly w2: number;
  readonly w3: number;
  value: V;
  next: Slot<V> | undefined;
}

type Table<V> = Map<number, Slot<V>>;

interface FamilyTables<V> {
  /** Longest first. */
  lengths: number[];
  readonly byLength: Map<number, Table<V>>;
}

/** The first `bits` bits of a word of which some bits may lie beyond it. */
function maskWord(word: number, bits: number): number {
  if (bits >= 32) return word;
  return bits <= 0 ? 0 : word & (-1 << (32 - bits));
}

function maskWords(words: IpWords, length: number): IpWords {
  return {
    family: words.family,
    w0: maskWord(words.w0, length),
    w1: maskWord(words.w1, length - 32),
    w2: maskWord(words.w2, length - 64),
    w3: maskWord(words.w3, length - 96),
  };
}

function hashOf(words: IpWords): number {
  return (
    words.w0 ^
    Math.imul(words.w1, 0x9e3779b1) ^
    Math.imul(words.w2, 0x85ebca6b) ^
    Math.imul(words.w3, 0xc2b2ae35)
  );
}

function sameBlock(a: IpWords, b: Slot<unknown>): boolean {
  return a.w0 === b.w0 && a.w1 === b.w1 && a.w2 === b.w2 && a.w3 === b.w3;
}

export class CidrTable<V> {
  readonly #v4: FamilyTables<V> = { lengths: [], byLength: new Map() };
  readonly #v6: FamilyTables<V> = { lengths: [], byLength: new Map() };

  get isEmpty(): boolean {
    return this.#v4.lengths.length === 0 && this.#v6.lengths.length === 0;
  }

  /** The prefix lengths in use for a family, longest first. */
  lengths(family: IpFamily): readonly number[] {
    return this.#of(family).lengths;
  }

  /** The value of the block of this length that holds the address. */
  at(words: IpWords, length: number): V | undefined {
    const table = this.#of(words.family).byLength.get(length);
    return table === undefined ? undefined : slotOf(table, maskWords(words, length))?.value;
  }

  /** Whether any block holds the address. */
  covers(words: IpWords): boolean {
    for (const length of this.#of(words.family).lengths)
      if (this.at(words, length) !== undefined) return true;
    return false;
  }

  set(words: IpWords, length: number, value: V): void {
    const tables = this.#of(words.family);
    let table = tables.byLength.get(length);
    if (table === undefined) {
      table = new Map();
      tables.byLength.set(length, table);
      tables.lengths = [...tables.byLength.keys()].sort((a, b) => b - a);
    }
    const block = maskWords(words, length);
    const slot = slotOf(table, block);
    if (slot !== undefined) slot.value = value;
    else addSlot(table, block, value);
  }

  delete(words: IpWords, length: number): void {
    const tables = this.#of(words.family);
    const table = tables.byLength.get(length);
    if (table === undefined) return;
    const block = maskWords(words, length);
    const hash = hashOf(block);
    const rest = without(table.get(hash), block);
    if (rest === undefined) table.delete(hash);
    else table.set(hash, rest);
    if (table.size > 0) return;
    tables.byLength.delete(length);
    tables.lengths = tables.lengths.filter((one) => one !== length);
  }

  #of(family: IpFamily): FamilyTables<V> {
    return family === 4 ? this.#v4 : this.#v6;
  }
}

function slotOf<V>(table: Table<V>, block: IpWords): Slot<V> | undefined {
  let slot = table.get(hashOf(block));
  while (slot !== undefined && !sameBlock(block, slot)) slot = slot.next;
  return slot;
}

function addSlot<V>(table: Table<V>, block: IpWords, value: V): void {
  const { w0, w1, w2, w3 } = block;
  const hash = hashOf(block);
  table.set(hash, { w0, w1, w2, w3, value, next: table.get(hash) });
}

/** The chain without the slot of a block. */
function without<V>(head: Slot<V> | undefined, block: IpWords): Slot<V> | undefined {
  if (head === undefined || sameBlock(block, head)) return head?.next;
  let slot = head;
  while (slot.next !== undefined && !sameBlock(block, slot.next)) slot = slot.next;
  slot.next = slot.next?.next;
  return head;
}
