/** Protobuf messages described by values: one schema gives both the codec and the TypeScript type of a message. */

import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { AmbitError, messageOf } from '../base/errors.ts';
import { xdsErrors } from './errors.ts';
import {
  DecodeBudget,
  readEnd,
  readTag,
  type ScalarType,
  STRING,
  skipField,
  tagOf,
  type ValueType,
} from './wire-type.ts';

/** Reads the value of one tag into what the field holds so far; returns what it holds then. */
interface FieldReader {
  readonly tag: number;
  readonly read: (reader: BinaryReader, earlier: unknown, budget: DecodeBudget) => unknown;
}

/** One entry of a message: a field, or a oneof with all of its fields. */
export interface Field<Value, Init = Value> {
  readonly initial: Value;
  readonly readers: readonly FieldReader[];
  readonly write: (writer: BinaryWriter, value: Init) => void;
}

type Shape = Readonly<Record<string, Field<unknown, never>>>;

/** What decoding gives: every field is there. */
export type MessageValue<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Field<infer Value, never> ? Value : never;
};

/** What encoding takes: a field left out has its default. */
export type MessageInit<S extends Shape> = {
  readonly [K in keyof S]?: (S[K] extends Field<unknown, infer Init> ? Init : never) | undefined;
};

export interface MessageType<Value, Init> extends ValueType<Value, Init> {
  /** Full protobuf name, such as `istio.workload.Address`. */
  readonly typeName: string;
  /** `type.googleapis.com/<type name>`. */
  readonly typeUrl: string;
  readonly encode: (value: Init) => Uint8Array;
  /** Throws AMBIT_PROTOBUF_MALFORMED or AMBIT_PROTOBUF_LIMIT, and nothing else, whatever the bytes are. */
  readonly decode: (bytes: Uint8Array) => Value;
}

/** The value type of a message type: `type Workload = ValueOf<typeof Workload>`. */
export type ValueOf<T> = T extends MessageType<infer Value, never> ? Value : never;
/** What the encoder of a message type takes. */
export type InitOf<T> = T extends MessageType<unknown, infer Init> ? Init : never;

const EMPTY_LIST: readonly never[] = Object.freeze([]);
const EMPTY_MAP: ReadonlyMap<string, never> = new Map<string, never>();

/** A field without presence: absent and zero are the same, and zero is not written. */
export function singular<Value>(fieldNumber: number, type: ScalarType<Value>): Field<Value> {
  const tag = tagOf(fieldNumber, type.wireType);
  return {
    initial: type.zero,
    readers: [{ tag, read: (reader, _earlier, budget) => type.read(reader, budget) }],
    write: (writer, value) => {
      if (!type.isZero(value)) type.write(writer.uint32(tag), value);
    },
  };
}

/** A field with presence: undefined when absent. */
export function optional<Value, Init>(
  fieldNumber: number,
  type: ValueType<Value, Init>,
): Field<Value | undefined, Init | undefined> {
  const tag = tagOf(fieldNumber, type.wireType);
  return {
    initial: undefined,
    readers: [{ tag, read: (reader, earlier, budget) => type.read(reader, budget, earlier) }],
    write: (writer, value) => {
      if (value !== undefined) type.write(writer.uint32(tag), value);
    },
  };
}

/** A list. Numbers are written packed (proto3) and read both packed and one by one. */
export function repeated<Value, Init>(
  fieldNumber: number,
  type: ValueType<Value, Init>,
): Field<readonly Value[], readonly Init[]> {
  const tag = tagOf(fieldNumber, type.wireType);
  const readOne: FieldReader = {
    tag,
    read: (reader, earlier, budget) => {
      budget.countElement();
      return append(earlier as Value[], type.read(reader, budget));
    },
  };
  if (type.wireType === WireType.LengthDelimited) {
    const write = (writer: BinaryWriter, values: readonly Init[]): void => {
      for (const value of values) type.write(writer.uint32(tag), value);
    };
    return { initial: EMPTY_LIST, readers: [readOne], write };
  }
  return packed(fieldNumber, type, readOne);
}

function packed<Value, Init>(
  fieldNumber: number,
  type: ValueType<Value, Init>,
  readOne: FieldReader,
): Field<readonly Value[], readonly Init[]> {
  const tag = tagOf(fieldNumber, WireType.LengthDelimited);
  const readAll: FieldReader = {
    tag,
    read: (reader, earlier, budget) => {
      const end = readEnd(reader);
      let list = earlier;
      while (reader.pos < end) list = readOne.read(reader, list, budget);
      expectEnd(reader, end);
      return list;
    },
  };
  const write = (writer: BinaryWriter, values: readonly Init[]): void => {
    if (values.length === 0) return;
    writer.uint32(tag).fork();
    for (const value of values) type.write(writer, value);
    writer.join();
  };
  return { initial: EMPTY_LIST, readers: [readOne, readAll], write };
}

/** A map from strings. Entries are written in the order of their keys, so that equal maps give equal bytes. */
export function mapOf<Value, Init>(
  fieldNumber: number,
  type: ValueType<Value, Init>,
): Field<ReadonlyMap<string, Value>, ReadonlyMap<string, Init>> {
  const tag = tagOf(fieldNumber, WireType.LengthDelimited);
  const key = singular(1, STRING);
  const value = optional(2, type);
  const entry = message('map entry', { key, value });
  return {
    initial: EMPTY_MAP,
    readers: [
      {
        tag,
        read: (reader, earlier, budget) => {
          budget.countElement();
          const one = entry.read(reader, budget);
          const map = earlier === EMPTY_MAP ? new Map<string, Value>() : (earlier as Map<string, Value>);
          return map.set(one.key, one.value ?? type.zero);
        },
      },
    ],
    write: (writer, map) => {
      for (const name of sortedKeys(map)) {
        writer.uint32(tag).fork();
        key.write(writer, name);
        value.write(writer, map.get(name));
        writer.join();
      }
    },
  };
}

/** The one field of a oneof that is set, by its name. */
export type OneofValue<Cases> = {
  readonly [K in keyof Cases]: Cases[K] extends readonly [number, ValueType<infer Value, never>]
    ? { readonly kind: K; readonly value: Value }
    : never;
}[keyof Cases];

export type OneofInit<Cases> = {
  readonly [K in keyof Cases]: Cases[K] extends readonly [number, ValueType<unknown, infer Init>]
    ? { readonly kind: K; readonly value: Init }
    : never;
}[keyof Cases];

type Cases = Readonly<Record<string, readonly [number, ValueType<unknown, never>]>>;
interface Chosen {
  readonly kind: string;
  readonly value: unknown;
}

/** At most one of several fields: `{ kind, value }`, or undefined when none is set. */
export function oneof<const C extends Cases>(
  cases: C,
): Field<OneofValue<C> | undefined, OneofInit<C> | undefined> {
  const readers = Object.entries(cases).map(([kind, [fieldNumber, type]]): FieldReader => {
    const read: FieldReader['read'] = (reader, earlier, budget) => {
      const chosen = earlier as Chosen | undefined;
      const value = type.read(reader, budget, chosen?.kind === kind ? chosen.value : undefined);
      return { kind, value };
    };
    return { tag: tagOf(fieldNumber, type.wireType), read };
  });
  const write = (writer: BinaryWriter, chosen: OneofInit<C> | undefined): void => {
    if (chosen === undefined) return;
    const { kind, value } = chosen as Chosen;
    const [fieldNumber, type] = cases[kind]!;
    type.write(writer.uint32(tagOf(fieldNumber, type.wireType)), value as never);
  };
  return { initial: undefined, readers, write };
}

interface NamedReader {
  readonly name: string;
  readonly read: FieldReader['read'];
}

/** Describes a message. The fields have to stand in the order of their numbers, which is the order of writing. */
export function message<const S extends Shape>(
  typeName: string,
  shape: S,
): MessageType<MessageValue<S>, MessageInit<S>> {
  return new SchemaMessage<S>(typeName, shape);
}

type Fields = Record<string, unknown>;

/**
 * An object with these properties, of the kind that V8 copies fast. One that gets more than a dozen properties by
 * computed names would be a hash table, and copying that takes longer than all the rest of decoding.
 */
function fastObject(names: readonly string[]): Fields {
  return JSON.parse(`{${names.map((name) => `${JSON.stringify(name)}:null`).join(',')}}`) as Fields;
}

class SchemaMessage<S extends Shape> implements MessageType<MessageValue<S>, MessageInit<S>> {
  readonly typeName: string;
  readonly typeUrl: string;
  readonly wireType = WireType.LengthDelimited;
  readonly zero: MessageValue<S>;
  readonly #initial: Fields;
  readonly #byTag = new Map<number, NamedReader>();
  readonly #writers: readonly { readonly name: string; readonly write: Shape[string]['write'] }[];

  constructor(typeName: string, shape: S) {
    this.typeName = typeName;
    this.typeUrl = `type.googleapis.com/${typeName}`;
    this.#initial = fastObject(Object.keys(shape));
    for (const [name, field] of Object.entries(shape)) {
      this.#initial[name] = field.initial;
      for (const { tag, read } of field.readers) this.#byTag.set(tag, { name, read });
    }
    this.#writers = Object.entries(shape).map(([name, field]) => ({ name, write: field.write }));
    this.zero = Object.freeze({ ...this.#initial }) as MessageValue<S>;
  }

  read = (reader: BinaryReader, budget: DecodeBudget, earlier?: unknown): MessageValue<S> => {
    const into = (earlier as Fields | undefined) ?? { ...this.#initial };
    return this.#readFields(reader, readEnd(reader), into, budget);
  };

  write = (writer: BinaryWriter, value: MessageInit<S>): void => {
    this.#writeFields(writer.fork(), value);
    writer.join();
  };

  encode = (value: MessageInit<S>): Uint8Array => {
    const writer = new BinaryWriter();
    this.#writeFields(writer, value);
    return writer.finish();
  };

  decode = (bytes: Uint8Array): MessageValue<S> =>
    guardDecode(this.typeName, () =>
      this.#readFields(new BinaryReader(bytes), bytes.length, { ...this.#initial }, new DecodeBudget()),
    );

  #readFields(reader: BinaryReader, end: number, into: Fields, budget: DecodeBudget): MessageValue<S> {
    budget.enter();
    while (reader.pos < end) {
      const tag = readTag(reader);
      const field = this.#byTag.get(tag);
      if (field === undefined) skipField(reader, tag);
      else into[field.name] = field.read(reader, into[field.name], budget);
    }
    expectEnd(reader, end);
    budget.leave();
    return into as MessageValue<S>;
  }

  #writeFields(writer: BinaryWriter, value: MessageInit<S>): void {
    for (const field of this.#writers) {
      const one = value[field.name];
      if (one !== undefined) field.write(writer, one as never);
    }
  }
}

/** Runs a decoder over bytes that may be anything: whatever it throws becomes an error of ours. */
function guardDecode<T>(typeName: string, decode: () => T): T {
  try {
    return decode();
  } catch (thrown) {
    if (thrown instanceof AmbitError && thrown.code === 'AMBIT_PROTOBUF_LIMIT') throw thrown;
    throw xdsErrors.AMBIT_PROTOBUF_MALFORMED(`not a ${typeName}: ${messageOf(thrown)}`, thrown);
  }
}

/** A value inside must end where the length in front of it said; one that runs over would read its neighbour. */
function expectEnd(reader: BinaryReader, end: number): void {
  if (reader.pos !== end)
    throw xdsErrors.AMBIT_PROTOBUF_MALFORMED('a field runs over the end of its message');
}

function append<Value>(list: Value[], value: Value): Value[] {
  if (list === (EMPTY_LIST as unknown)) return [value];
  list.push(value);
  return list;
}

function sortedKeys(map: ReadonlyMap<string, unknown>): Iterable<string> {
  return map.size < 2 ? map.keys() : [...map.keys()].sort();
}
