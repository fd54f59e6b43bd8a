/** Reads DER that a peer sent: strict (X.690 §10), bounded, and never past the bytes it was given. */

import { identityErrors } from './errors.ts';

/** Identifier octets of the ASN.1 types that X.509 uses. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Nesting that is followed at most; the deepest thing read here, a name in an extension of a CSR, lies 9 deep. */
const MAX_DEPTH = 16;
/** Bytes of an object identifier at most; the longest that X.509 knows have 10. */
const MAX_OID_BYTES = 32;
/** The bits that say that the tag number continues in further bytes; X.509 has no such tag. */
const HIGH_TAG = 0x1f;
/** Octets of a GeneralizedTime, YYYYMMDDHHMMSSZ. */
const MAX_TIME_OCTETS = 15;
/** Octets of a length at most: 4 cover anything that fits into memory. */
const MAX_LENGTH_OCTETS = 4;

/** The identifier octet of a context-specific tag. */
export function contextTag(number: number, form: 'primitive' | 'constructed'): number {
  return (form === 'constructed' ? 0xa0 : 0x80) | number;
}

/**
 * A cursor over the elements of one constructed value. It follows only what its caller names, so neither its stack
 * nor its work depends on how deep the input is nested. Every method throws AMBIT_DER_MALFORMED on bytes that are
 * not what was asked for.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #depth: number;
  #offset: number;
  #content = 0;
  #next = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length, depth = 0) {
    if (depth > MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH}`, start);
    this.#bytes = bytes;
    this.#offset = start;
    this.#end = end;
    this.#depth = depth;
  }

  get atEnd(): boolean {
    return this.#offset >= this.#end;
  }

  /** The identifier octet of the next element; -1 at the end. */
  get nextTag(): number {
    return this.atEnd ? -1 : this.#bytes[this.#offset]!;
  }

  /** A reader of what is inside the next element. */
  enter(tag: number): DerReader {
    this.#readHeader(tag);
    const inside = new DerReader(this.#bytes, this.#content, this.#next, this.#depth + 1);
    this.#offset = this.#next;
    return inside;
  }

  /** The content octets of the next element, not copied. */
  content(tag: number): Uint8Array {
    this.#readHeader(tag);
    this.#offset = this.#next;
    return this.#bytes.subarray(this.#content, this.#next);
  }

  /** The next element with its header, not copied. */
  element(tag: number): Uint8Array {
    const start = this.#offset;
    this.#readHeader(tag);
    this.#offset = this.#next;
    return this.#bytes.subarray(start, this.#next);
  }

  /** Passes over the next element if it has this tag; says whether it did. */
  skipIf(tag: number): boolean {
    if (this.nextTag !== tag) return false;
    this.skip(tag);
    return true;
  }

  skip(tag: number): void {
    this.#readHeader(tag);
    this.#offset = this.#next;
  }

  /** An object identifier as the latin1 text of its content octets, the form of {@link OID}. */
  oid(): string {
    const content = this.content(TAG.oid);
    if (content.length === 0 || content.length > MAX_OID_BYTES) throw this.#wrong('an object identifier');
    return String.fromCharCode(...content);
  }

  /** An integer's content octets in two's complement, which DER demands to be as few as possible. */
  integer(): Uint8Array {
    const content = this.content(TAG.integer);
    const [first = 0, second = 0] = content;
    const padded =
      content.length > 1 && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (content.length === 0 || padded) throw this.#wrong('an integer');
    return content;
  }

  /** A non-negative integer below 2^31. */
  smallInteger(): number {
    const content = this.integer();
    if (content.length > 4 || content[0]! >= 0x80) throw this.#wrong('a small integer');
    return content.reduce((value, byte) => value * 256 + byte, 0);
  }

  boolean(): boolean {
    const content = this.content(TAG.boolean);
    if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw this.#wrong('a boolean');
    return content[0] === 0xff;
  }

  /** The octets of a bit string whose length is a multiple of eight bits. */
  bitString(): Uint8Array {
    const content = this.content(TAG.bitString);
    if (content[0] !== 0) throw this.#wrong('a bit string of whole octets');
    return content.subarray(1);
  }

  /** A UTCTime or GeneralizedTime in the only forms RFC 5280 §4.1.2.5 allows, in milliseconds since 1970. */
  timeMs(): number {
    const tag = this.nextTag === TAG.utcTime ? TAG.utcTime : TAG.generalizedTime;
    const content = this.content(tag);
    const text = String.fromCharCode(...content.subarray(0, MAX_TIME_OCTETS + 1));
    const digits = tag === TAG.utcTime ? `${centuryOf(text)}${text}` : text;
    const iso = digits.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6.000Z');
    const timeMs = Date.parse(iso);
    if (Number.isNaN(timeMs) || new Date(timeMs).toISOString() !== iso) throw this.#wrong('a time');
    return timeMs;
  }

  /** Refuses anything that follows what was read. */
  finish(): void {
    if (!this.atEnd) throw malformed('unexpected bytes after the last element', this.#offset);
  }

  #readHeader(tag: number): void {
    const bytes = this.#bytes;
    const start = this.#offset;
    if (start + 2 > this.#end) throw malformed('truncated', start);
    if (bytes[start] !== tag) throw malformed(`tag ${hex(tag)} expected, ${hex(bytes[start]!)} found`, start);
    if ((tag & HIGH_TAG) === HIGH_TAG) throw malformed('a tag of several bytes', start);
    const first = bytes[start + 1]!;
    this.#content = first < 0x80 ? start + 2 : start + 2 + (first & 0x7f);
    const length = first < 0x80 ? first : this.#longLength(start, first & 0x7f);
    this.#next = this.#content + length;
    if (this.#next > this.#end) throw malformed('an element is longer than what contains it', start);
  }

  #longLength(start: number, octets: number): number {
    if (octets === 0 || octets > MAX_LENGTH_OCTETS || this.#content > this.#end) {
      throw malformed('a length is indefinite, too long or truncated', start);
    }
    let length = 0;
    for (let i = start + 2; i < this.#content; i++) length = length * 256 + this.#bytes[i]!;
    if (length < 0x80 || length < 256 ** (octets - 1)) throw malformed('a length is padded', start);
    return length;
  }

  #wrong(what: string): Error {
    return malformed(`${what} is not encoded as DER demands`, this.#offset);
  }
}

/** RFC 5280 §4.1.2.5.1: two-digit years from 50 on belong to the last century. */
function centuryOf(utcTime: string): string {
  return utcTime >= '5' ? '19' : '20';
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}

function malformed(what: string, offset: number): Error {
  return identityErrors.AMBIT_DER_MALFORMED(`malformed DER at byte ${offset}: ${what}`);
}
