/** What a protobuf field may hold: how one value of a type is read from the wire and written to it. */

import { type BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { xdsErrors } from './errors.ts';

/** As deep as protobuf's own implementations go by default. */
export const MAX_NESTING = 100;
/** Repeated and map elements in one message: two bytes of input can make an object of a hundred. */
export const MAX_ELEMENTS = 8_000_000;

/** Bounds the work and the memory that one decode may cost. */
export class DecodeBudget {
  #nesting = 0;
  #elements = 0;

  enter(): void {
    if (++this.#nesting > MAX_NESTING)
      throw xdsErrors.AMBIT_PROTOBUF_LIMIT(`nested deeper than ${MAX_NESTING}`);
  }

  leave(): void {
    this.#nesting--;
  }

  countElement(): void {
    if (++this.#elements > MAX_ELEMENTS)
      throw xdsErrors.AMBIT_PROTOBUF_LIMIT(`more than ${MAX_ELEMENTS} elements`);
  }
}

/** A type of values; `Init` is what may be given to write one (for messages: every field may be left out). */
export interface ValueType<Value, Init = Value> {
  readonly wireType: WireType;
  /** What an absent value stands for. */
  readonly zero: Value;
  /** Reads one value, its length included; `earlier` is one that a message has to be merged into. */
  readonly read: (reader: BinaryReader, budget: DecodeBudget, earlier?: unknown) => Value;
  readonly write: (writer: BinaryWriter, value: Init) => void;
}

export interface ScalarType<Value> extends ValueType<Value> {
  readonly isZero: (value: Value) => boolean;
}

function scalar<Value>(
  wireType: WireType,
  zero: Value,
  read: (reader: BinaryReader) => Value,
  write: (writer: BinaryWriter, value: Value) => unknown,
): ScalarType<Value> {
  return { wireType, zero, read, write, isZero: (value) => value === zero };
}

/** UTF-8 is checked: a string that is not text is malformed. */
export const STRING = scalar<string>(
  WireType.LengthDelimited,
  '',
  (reader) => reader.string(true),
  (writer, value) => writer.string(value),
);

/** Decoded bytes are a view on the input: whoever keeps them keeps the whole message, unless they are copied. */
export const BYTES: ScalarType<Uint8Array> = {
  wireType: WireType.LengthDelimited,
  zero: new Uint8Array(0),
  read: (reader) => reader.bytes(),
  write: (writer, value) => {
    writer.bytes(value);
  },
  isZero: (value) => value.length === 0,
};

export const UINT32 = scalar<number>(
  WireType.Varint,
  0,
  (reader) => reader.uint32(),
  (writer, value) => writer.uint32(value),
);

export const INT32 = scalar<number>(
  WireType.Varint,
  0,
  (reader) => reader.int32(),
  (writer, value) => writer.int32(value),
);

/** Enumerations are open (proto3): a number that the schema has no name for is kept, and judged by the reader. */
export const ENUM = INT32;

export const BOOL = scalar<boolean>(
  WireType.Varint,
  false,
  (reader) => reader.bool(),
  (writer, value) => writer.bool(value),
);

export const DOUBLE: ScalarType<number> = {
  ...scalar<number>(
    WireType.Bit64,
    0,
    (reader) => reader.double(),
    (writer, value) => writer.double(value),
  ),
  isZero: (value) => Object.is(value, 0),
};

/** Held as a number: a value beyond 2^53 is refused instead of being rounded. */
export const INT64 = scalar<number>(
  WireType.Varint,
  0,
  (reader) => toSafeInteger(reader.int64()),
  (writer, value) => writer.int64(value),
);

export const UINT64 = scalar<number>(
  WireType.Varint,
  0,
  (reader) => toSafeInteger(reader.uint64()),
  (writer, value) => writer.uint64(value),
);

function toSafeInteger(value: bigint | string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) throw xdsErrors.AMBIT_PROTOBUF_LIMIT(`${value} is beyond 2^53`);
  return number;
}

/** Reads the length of what follows; returns the position where it ends. */
export function readEnd(reader: BinaryReader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw xdsErrors.AMBIT_PROTOBUF_MALFORMED('a length points beyond the end');
  return end;
}

/** The next tag: field number and wire type in one number, as on the wire. */
export function readTag(reader: BinaryReader): number {
  const start = reader.pos;
  const tag = reader.uint32();
  if (tag >>> 3 === 0 || reader.pos - start > 5) throw xdsErrors.AMBIT_PROTOBUF_MALFORMED('an illegal tag');
  return tag;
}

/** Steps over a field that the schema does not know. */
export function skipField(reader: BinaryReader, tag: number): void {
  reader.skip((tag & 7) as WireType, tag >>> 3, MAX_NESTING);
}

export function tagOf(fieldNumber: number, wireType: WireType): number {
  return ((fieldNumber << 3) | wireType) >>> 0;
}
