/** Decodes header blocks (RFC 7541) under limits that a hostile block cannot get round. */

import { Buffer } from 'node:buffer';
import { FIELD_OVERHEAD_BYTES, type HeaderField, type HeaderList } from './header-list.ts';
import { HpackDynamicTable } from './hpack-dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_TABLE } from './hpack-static-table.ts';
import { HEADER_BOMB_FACTOR } from './http2-limits.ts';
import { HUFFMAN_INVALID, HUFFMAN_MAX_EXPANSION, huffmanDecode } from './huffman.ts';

/**
 * `ok`: see {@link HpackDecoder.headers}. `too-large`: over a limit, but the compression state is intact, so only
 * this message is lost. `bomb`: so far over a limit that it is no mistake; the state is lost and with it the connection.
 * `invalid`: so it is (COMPRESSION_ERROR).
 */
export type HeaderBlockOutcome = 'ok' | 'too-large' | 'bomb' | 'invalid';

export interface HpackDecoderLimits {
  /** What we announce as SETTINGS_HEADER_TABLE_SIZE, in bytes. */
  readonly tableSize: number;
  /** Decoded size, counted as SETTINGS_MAX_HEADER_LIST_SIZE does; also the longest single string. */
  readonly listSize: number;
  /** Number of fields: bounds what a block of one-byte references can grow into. */
  readonly fields: number;
}

/** RFC 7541 §4.2: the smallest and the final size; more of them only cost time. */
const MAX_TABLE_SIZE_UPDATES = 2;
/** Integers beyond 28 bits mean nothing here: every length and index is far smaller. */
const MAX_INTEGER_SHIFT = 28;
const SCRATCH_BYTES = 4096;
const NOTHING = new Uint8Array(0);

/** One per connection and direction. Not re-entrant. */
export class HpackDecoder {
  readonly #limits: HpackDecoderLimits;
  readonly #table: HpackDynamicTable;
  // Of the caller, and only during a call: it is a pooled buffer, which must not be kept alive here.
  #bytes: Uint8Array = NOTHING;
  #at = 0;
  #end = 0;
  #invalid = false;
  #tooLarge = false;
  #isBomb = false;
  #listSize = 0;
  #fields = 0;
  #insertions = 0;
  #headers: HeaderField[] = [];

  constructor(limits: HpackDecoderLimits) {
    this.#limits = limits;
    this.#table = new HpackDynamicTable(limits.tableSize);
  }

  /** The list of the last block for which `decode` returned `ok`; the caller may keep it. */
  get headers(): HeaderList {
    return this.#headers;
  }

  /** Entries that the last block had for the table, those that did not fit among them. */
  get insertions(): number {
    return this.#insertions;
  }

  /** Bytes now in the dynamic table. */
  get tableSize(): number {
    return this.#table.size;
  }

  /** Decodes the complete header block in [start, end). Never throws. */
  decode(bytes: Uint8Array, start: number, end: number): HeaderBlockOutcome {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#invalid = false;
    this.#tooLarge = false;
    this.#isBomb = false;
    this.#listSize = 0;
    this.#fields = 0;
    this.#insertions = 0;
    this.#headers = [];
    this.#sizeUpdates();
    while (this.#at < this.#end && !this.#invalid && !this.#isBomb) this.#field();
    this.#bytes = NOTHING;
    if (this.#invalid) return 'invalid';
    if (this.#isBomb) return 'bomb';
    return this.#tooLarge ? 'too-large' : 'ok';
  }

  /** RFC 7541 §4.2: allowed at the beginning of a block only. */
  #sizeUpdates(): void {
    let updates = 0;
    while (this.#at < this.#end && (this.#bytes[this.#at]! & 0xe0) === 0x20) {
      const size = this.#integer(5);
      if (this.#invalid) return;
      if (size > this.#limits.tableSize || ++updates > MAX_TABLE_SIZE_UPDATES) this.#invalid = true;
      else this.#table.resize(size);
    }
  }

  /** RFC 7541 §6. */
  #field(): void {
    const first = this.#bytes[this.#at]!;
    if ((first & 0x80) !== 0) this.#indexed();
    else if ((first & 0x40) !== 0) this.#literal(6, true);
    else if ((first & 0x20) !== 0) this.#invalid = true;
    else this.#literal(4, false);
  }

  #indexed(): void {
    const field = this.#entry(this.#integer(7));
    if (field !== undefined) this.#emit(field);
  }

  #literal(prefixBits: number, indexed: boolean): void {
    const nameIndex = this.#integer(prefixBits);
    const name = nameIndex === 0 ? this.#string() : this.#entry(nameIndex)?.[0];
    const value = this.#invalid ? undefined : this.#string();
    if (this.#invalid) return;
    if (indexed) this.#insertions++;
    if (name === undefined || value === undefined) {
      // Too long to be kept. It is longer than the table too, which such an entry empties (RFC 7541 §4.4).
      if (indexed) this.#table.clear();
      return;
    }
    const field: HeaderField = [name, value];
    if (indexed) this.#table.add(field);
    this.#emit(field);
  }

  #entry(index: number): HeaderField | undefined {
    if (this.#invalid) return undefined;
    const field = index <= STATIC_ENTRIES ? STATIC_TABLE[index] : this.#table.at(index - STATIC_ENTRIES - 1);
    if (index === 0 || field === undefined) {
      this.#invalid = true;
      return undefined;
    }
    return field;
  }

  #emit(field: HeaderField): void {
    const { listSize, fields } = this.#limits;
    this.#listSize += field[0].length + field[1].length + FIELD_OVERHEAD_BYTES;
    this.#fields++;
    if (this.#listSize > listSize || this.#fields > fields) this.#tooLarge = true;
    if (this.#listSize > listSize * HEADER_BOMB_FACTOR || this.#fields > fields * HEADER_BOMB_FACTOR) {
      this.#isBomb = true;
    }
    if (!this.#tooLarge) this.#headers.push(field);
  }

  /** RFC 7541 §5.1. */
  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1;
    let value = this.#bytes[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; this.#at < this.#end && shift < MAX_INTEGER_SHIFT; shift += 7) {
      const octet = this.#bytes[this.#at++]!;
      value += (octet & 0x7f) << shift;
      if ((octet & 0x80) === 0) return value;
    }
    this.#invalid = true;
    return 0;
  }

  /** RFC 7541 §5.2; undefined when invalid, or when too long and skipped. */
  #string(): string | undefined {
    if (this.#at >= this.#end) {
      this.#invalid = true;
      return undefined;
    }
    const huffman = (this.#bytes[this.#at]! & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    if (this.#invalid || length > this.#end - start) {
      this.#invalid = true;
      return undefined;
    }
    this.#at = start + length;
    // A coded string may be up to 30/8 times as long as what it stands for; the table is smaller still.
    if (length > (huffman ? this.#limits.listSize * 4 : this.#limits.listSize)) {
      this.#tooLarge = true;
      return undefined;
    }
    return huffman ? this.#huffmanString(start) : latin1(this.#bytes, start, this.#at);
  }

  #huffmanString(start: number): string | undefined {
    const room = Math.ceil((this.#at - start) * HUFFMAN_MAX_EXPANSION);
    const out = room <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(room);
    const length = huffmanDecode(this.#bytes, start, this.#at, out);
    if (length === HUFFMAN_INVALID) {
      this.#invalid = true;
      return undefined;
    }
    return latin1(out, 0, length);
  }
}

const scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

/** Works on any byte array, without a Buffer around it; Node has it, its type declarations do not. */
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}
