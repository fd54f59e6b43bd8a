/** google.protobuf.Struct, held as the JSON object that it stands for. */

import { type BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { xdsErrors } from './errors.ts';
import {
  BOOL,
  type DecodeBudget,
  DOUBLE,
  INT32,
  readEnd,
  readTag,
  STRING,
  skipField,
  tagOf,
  type ValueType,
} from './wire-type.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: JsonValue;
}

const FIELDS_TAG = tagOf(1, WireType.LengthDelimited);
const KEY_TAG = tagOf(1, WireType.LengthDelimited);
const ENTRY_VALUE_TAG = tagOf(2, WireType.LengthDelimited);
const LIST_VALUES_TAG = tagOf(1, WireType.LengthDelimited);

/** Tags of the oneof in google.protobuf.Value. */
const VALUE_TAG = {
  null: tagOf(1, WireType.Varint),
  number: tagOf(2, WireType.Bit64),
  string: tagOf(3, WireType.LengthDelimited),
  bool: tagOf(4, WireType.Varint),
  struct: tagOf(5, WireType.LengthDelimited),
  list: tagOf(6, WireType.LengthDelimited),
} as const;

/** A field type for message schemas. A second occurrence adds its members to those of the first. */
export const STRUCT: ValueType<JsonObject> = {
  wireType: WireType.LengthDelimited,
  zero: Object.freeze({}),
  read: (reader, budget, earlier) => {
    const members = new Map(Object.entries((earlier ?? {}) as JsonObject));
    eachField(reader, budget, (tag) => {
      if (tag !== FIELDS_TAG) return false;
      budget.countElement();
      readEntry(reader, budget, members);
      return true;
    });
    // fromEntries makes own properties whatever their names are, `__proto__` included.
    return Object.fromEntries(members);
  },
  write: (writer, value) => {
    writer.fork();
    for (const name of Object.keys(value).sort()) writeEntry(writer, name, value[name]!);
    writer.join();
  },
};

function eachField(reader: BinaryReader, budget: DecodeBudget, take: (tag: number) => boolean): void {
  const end = readEnd(reader);
  budget.enter();
  while (reader.pos < end) {
    const tag = readTag(reader);
    if (!take(tag)) skipField(reader, tag);
  }
  budget.leave();
  if (reader.pos !== end) throw xdsErrors.AMBIT_PROTOBUF_MALFORMED('a Struct runs over its end');
}

function readEntry(reader: BinaryReader, budget: DecodeBudget, members: Map<string, JsonValue>): void {
  let name = '';
  let value: JsonValue = null;
  eachField(reader, budget, (tag) => {
    if (tag === KEY_TAG) name = STRING.read(reader, budget);
    else if (tag === ENTRY_VALUE_TAG) value = readValue(reader, budget);
    else return false;
    return true;
  });
  members.set(name, value);
}

function readValue(reader: BinaryReader, budget: DecodeBudget): JsonValue {
  let value: JsonValue = null;
  eachField(reader, budget, (tag) => {
    const read = VALUE_READERS.get(tag);
    if (read === undefined) return false;
    value = read(reader, budget);
    return true;
  });
  return value;
}

const VALUE_READERS: ReadonlyMap<number, (reader: BinaryReader, budget: DecodeBudget) => JsonValue> = new Map(
  [
    [
      VALUE_TAG.null,
      (reader: BinaryReader, budget: DecodeBudget): JsonValue => {
        INT32.read(reader, budget);
        return null;
      },
    ],
    [VALUE_TAG.number, DOUBLE.read],
    [VALUE_TAG.string, STRING.read],
    [VALUE_TAG.bool, BOOL.read],
    [VALUE_TAG.struct, STRUCT.read],
    [VALUE_TAG.list, readList],
  ],
);

function readList(reader: BinaryReader, budget: DecodeBudget): JsonValue[] {
  const list: JsonValue[] = [];
  eachField(reader, budget, (tag) => {
    if (tag !== LIST_VALUES_TAG) return false;
    budget.countElement();
    list.push(readValue(reader, budget));
    return true;
  });
  return list;
}

function writeEntry(writer: BinaryWriter, name: string, value: JsonValue): void {
  writer.uint32(FIELDS_TAG).fork();
  STRING.write(writer.uint32(KEY_TAG), name);
  writer.uint32(ENTRY_VALUE_TAG).fork();
  writeValue(writer, value);
  writer.join().join();
}

function writeValue(writer: BinaryWriter, value: JsonValue): void {
  if (value === null) INT32.write(writer.uint32(VALUE_TAG.null), 0);
  else if (typeof value === 'number') DOUBLE.write(writer.uint32(VALUE_TAG.number), value);
  else if (typeof value === 'string') STRING.write(writer.uint32(VALUE_TAG.string), value);
  else if (typeof value === 'boolean') BOOL.write(writer.uint32(VALUE_TAG.bool), value);
  else if (isList(value)) writeList(writer, value);
  else STRUCT.write(writer.uint32(VALUE_TAG.struct), value);
}

function writeList(writer: BinaryWriter, values: readonly JsonValue[]): void {
  writer.uint32(VALUE_TAG.list).fork();
  for (const value of values) {
    writer.uint32(LIST_VALUES_TAG).fork();
    writeValue(writer, value);
    writer.join();
  }
  writer.join();
}

function isList(value: JsonObject | readonly JsonValue[]): value is readonly JsonValue[] {
  return Array.isArray(value);
}
