/** Encodes header lists (RFC 7541): what repeats goes into the dynamic table, what is secret never does. */

import type { HeaderField, HeaderList } from './header-list.ts';
import { HpackDynamicTable } from './hpack-dynamic-table.ts';
import { STATIC_ENTRIES, staticFieldIndex, staticNameIndex } from './hpack-static-table.ts';
import { huffmanEncode, huffmanLength } from './huffman.ts';

/** RFC 7541 §7.1.3: a peer that can guess at values must not learn from the compressed size. */
const NEVER_INDEXED = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);
/** Different on every message: they would only push out what repeats. */
const NOT_INDEXED = new Set([':path', 'traceparent', 'forwarded', 'content-length', 'x-request-id', 'date']);
/** Prefixes of RFC 7541 §6.2: pattern and bits of the name index. */
const INCREMENTAL = { pattern: 0x40, bits: 6 } as const;
const WITHOUT_INDEXING = { pattern: 0x00, bits: 4 } as const;
const NEVER = { pattern: 0x10, bits: 4 } as const;
type Literal = typeof INCREMENTAL | typeof WITHOUT_INDEXING | typeof NEVER;
/** Prefix octets of one field at most: an index and two lengths of up to 5 octets each. */
const FIELD_PREFIX_BYTES = 15;
/** Two table size updates at most. */
const BLOCK_PREFIX_BYTES = 10;
const QUESTION_MARK = 0x3f;
const NOTHING = new Uint8Array(0);

/** Most octets that the list can take. */
export function maxEncodedSize(headers: HeaderList): number {
  let size = BLOCK_PREFIX_BYTES;
  for (const [name, value] of headers) size += name.length + value.length + FIELD_PREFIX_BYTES;
  return size;
}

/** One per connection and direction. Blocks must reach the wire in the order of the calls to `encode`. */
export class HpackEncoder {
  readonly #table: HpackDynamicTable;
  readonly #capacity: number;
  // Of the caller, and only during a call: it is a pooled buffer, which must not be kept alive here.
  #out: Uint8Array = NOTHING;
  #at = 0;
  #smallestPending = -1;

  /** @param capacityBytes the largest table we keep, whatever the peer allows. */
  constructor(capacityBytes: number) {
    this.#table = new HpackDynamicTable(capacityBytes);
    this.#capacity = capacityBytes;
  }

  /** Applies the peer's SETTINGS_HEADER_TABLE_SIZE; announced at the beginning of the next block. */
  setMaxTableSize(peerMaximum: number): void {
    const size = Math.min(peerMaximum, this.#capacity);
    if (size === this.#table.maxSize && this.#smallestPending < 0) return;
    this.#smallestPending = this.#smallestPending < 0 ? size : Math.min(this.#smallestPending, size);
    this.#table.resize(size);
  }

  /** Writes the block at the offset, where {@link maxEncodedSize} octets are free, and returns the offset behind it. */
  encode(headers: HeaderList, out: Uint8Array, offset: number): number {
    this.#out = out;
    this.#at = offset;
    this.#sizeUpdates();
    for (const field of headers) this.#field(field);
    this.#out = NOTHING;
    return this.#at;
  }

  #sizeUpdates(): void {
    if (this.#smallestPending < 0) return;
    if (this.#smallestPending < this.#table.maxSize) this.#integer(0x20, 5, this.#smallestPending);
    this.#integer(0x20, 5, this.#table.maxSize);
    this.#smallestPending = -1;
  }

  #field(field: HeaderField): void {
    const [name, value] = field;
    const staticName = staticNameIndex(name);
    const literal = literalFor(name);
    if (literal === NEVER) {
      this.#literal(literal, staticName, field);
      return;
    }
    const index = staticFieldIndex(staticName, name, value) || this.#dynamicIndex(field);
    if (index > 0) {
      this.#integer(0x80, 7, index);
      return;
    }
    const nameIndex = staticName || this.#dynamicNameIndex(name);
    // The value may never come again; but its name does, and takes longer to code and decode each time than the value.
    const kept = literal === INCREMENTAL || nameIndex === 0;
    this.#literal(kept ? INCREMENTAL : literal, nameIndex, field);
    if (kept) this.#table.add(field);
  }

  #literal(literal: Literal, nameIndex: number, field: HeaderField): void {
    this.#integer(literal.pattern, literal.bits, nameIndex);
    if (nameIndex === 0) this.#string(field[0]);
    // What is sent once would be coded, and decoded, once for each message.
    if (literal === WITHOUT_INDEXING) this.#plain(field[1]);
    else this.#string(field[1]);
  }

  #dynamicIndex(field: HeaderField): number {
    for (let i = 0; i < this.#table.count; i++) {
      const entry = this.#table.at(i)!;
      if (entry[0] === field[0] && entry[1] === field[1]) return STATIC_ENTRIES + 1 + i;
    }
    return 0;
  }

  #dynamicNameIndex(name: string): number {
    for (let i = 0; i < this.#table.count; i++) {
      if (this.#table.at(i)![0] === name) return STATIC_ENTRIES + 1 + i;
    }
    return 0;
  }

  #integer(pattern: number, prefixBits: number, value: number): void {
    const mask = (1 << prefixBits) - 1;
    if (value < mask) {
      this.#out[this.#at++] = pattern | value;
      return;
    }
    this.#out[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#out[this.#at++] = (rest & 0x7f) | 0x80;
    this.#out[this.#at++] = rest;
  }

  #string(text: string): void {
    const coded = huffmanLength(text);
    if (coded < text.length && isLatin1(text)) {
      this.#integer(0x80, 7, coded);
      this.#at = huffmanEncode(text, this.#out, this.#at);
      return;
    }
    this.#plain(text);
  }

  #plain(text: string): void {
    this.#integer(0, 7, text.length);
    for (let i = 0; i < text.length; i++) this.#out[this.#at++] = octetOf(text.charCodeAt(i));
  }
}

function literalFor(name: string): Literal {
  if (NEVER_INDEXED.has(name)) return NEVER;
  return NOT_INDEXED.has(name) ? WITHOUT_INDEXING : INCREMENTAL;
}

/** Cutting a character down to its low octet could make a line feed out of it. */
function octetOf(code: number): number {
  return code > 0xff ? QUESTION_MARK : code;
}

function isLatin1(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0xff) return false;
  return true;
}
