/** Debian's protoc as the judge of our codec: runs it, and makes arbitrary messages out of the .proto files. */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { message, optional, repeated, singular, type ValueOf } from '../../../src/xds/message-schema.ts';
import { BOOL, ENUM, INT32, STRING } from '../../../src/xds/wire-type.ts';

const PROTO_FOLDER = join(import.meta.dirname, '../../../proto');
const PROTO_FILES = readdirSync(PROTO_FOLDER).filter((name) => name.endsWith('.proto'));

export const protocMissing: string | false =
  spawnSync('protoc', ['--version']).status === 0
    ? false
    : 'PROTOC IS MISSING: the codec was NOT checked against the .proto files (Debian package protobuf-compiler)';

export function protoc(args: readonly string[], input: Uint8Array | string = ''): Buffer {
  const result = spawnSync('protoc', [`-I${PROTO_FOLDER}`, ...args], { input, maxBuffer: 64 << 20 });
  if (result.status !== 0) throw new Error(`protoc ${args.join(' ')}: ${result.stderr}\ninput: ${input}`);
  return result.stdout;
}

/** By way of a file: protoc cannot open the socket pair that a child's standard output is. */
function descriptorSet(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-protoc-'));
  const path = join(folder, 'set.pb');
  try {
    protoc(['--include_imports', `--descriptor_set_out=${path}`, ...PROTO_FILES]);
    return readFileSync(path);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function protocEncode(typeName: string, text: string): Uint8Array {
  return protoc([`--encode=${typeName}`, ...PROTO_FILES, 'google/rpc/status.proto'], text);
}

export function protocDecode(typeName: string, bytes: Uint8Array): string {
  return protoc([`--decode=${typeName}`, ...PROTO_FILES, 'google/rpc/status.proto'], bytes).toString();
}

const FieldDescriptor = message('FieldDescriptorProto', {
  name: singular(1, STRING),
  number: singular(3, INT32),
  label: singular(4, ENUM),
  type: singular(5, ENUM),
  typeName: singular(6, STRING),
  oneofIndex: optional(9, INT32),
  proto3Optional: singular(17, BOOL),
});
type FieldDescriptor = ValueOf<typeof FieldDescriptor>;
const EnumDescriptor = message('EnumDescriptorProto', {
  name: singular(1, STRING),
  values: repeated(2, message('EnumValue', { name: singular(1, STRING), number: singular(2, INT32) })),
});
const NestedDescriptor = {
  name: singular(1, STRING),
  fields: repeated(2, FieldDescriptor),
  enums: repeated(4, EnumDescriptor),
  options: optional(7, message('MessageOptions', { mapEntry: singular(7, BOOL) })),
  oneofs: repeated(8, message('OneofDescriptor', { name: singular(1, STRING) })),
};
const InnerDescriptor = message('DescriptorProto', NestedDescriptor);
const MessageDescriptor = message('DescriptorProto', {
  name: NestedDescriptor.name,
  fields: NestedDescriptor.fields,
  nested: repeated(3, InnerDescriptor),
  enums: NestedDescriptor.enums,
  options: NestedDescriptor.options,
  oneofs: NestedDescriptor.oneofs,
});
type MessageDescriptor = Omit<ValueOf<typeof MessageDescriptor>, 'nested'>;
const FileDescriptorSet = message('FileDescriptorSet', {
  files: repeated(
    1,
    message('FileDescriptorProto', {
      package: singular(2, STRING),
      messages: repeated(4, MessageDescriptor),
      enums: repeated(5, EnumDescriptor),
    }),
  ),
});

const TYPE = {
  DOUBLE: 1,
  INT64: 3,
  INT32: 5,
  BOOL: 8,
  STRING: 9,
  MESSAGE: 11,
  BYTES: 12,
  UINT32: 13,
  ENUM: 14,
};
const LABEL_REPEATED = 3;

/** A message as text for protoc, and as what our decoder has to make of it. */
export interface Sample {
  readonly text: string;
  readonly value: unknown;
}

/** The message types of the .proto files, with an arbitrary for each. */
export class ProtoFiles {
  readonly #messages = new Map<string, MessageDescriptor>();
  readonly #enums = new Map<string, readonly number[]>();

  constructor() {
    for (const file of FileDescriptorSet.decode(descriptorSet()).files) {
      this.#addEnums(file.package, file.enums);
      for (const one of file.messages) {
        this.#messages.set(`.${file.package}.${one.name}`, one);
        this.#addEnums(`${file.package}.${one.name}`, one.enums);
        for (const nested of one.nested) {
          this.#messages.set(`.${file.package}.${one.name}.${nested.name}`, nested);
        }
      }
    }
  }

  #addEnums(scope: string, enums: readonly ValueOf<typeof EnumDescriptor>[]): void {
    for (const one of enums) {
      this.#enums.set(
        `.${scope}.${one.name}`,
        one.values.map((value) => value.number),
      );
    }
  }

  arbitrary(typeName: string, depth = 0): fc.Arbitrary<Sample> {
    if (typeName === '.google.protobuf.Struct') return struct();
    if (typeName === '.google.protobuf.Empty') return fc.constant({ text: '', value: {} });
    const descriptor = this.#messages.get(typeName);
    if (descriptor === undefined) throw new Error(`no ${typeName} in the .proto files`);
    const entries = this.#entries(descriptor, depth);
    return fc.record(entries).map((chosen) => ({
      text: Object.values(chosen)
        .map((sample) => sample.text)
        .join('\n'),
      value: Object.fromEntries(Object.entries(chosen).map(([name, sample]) => [name, sample.value])),
    }));
  }

  #entries(descriptor: MessageDescriptor, depth: number): Record<string, fc.Arbitrary<Sample>> {
    const entries: Record<string, fc.Arbitrary<Sample>> = {};
    for (const field of descriptor.fields) {
      if (field.oneofIndex !== undefined && !field.proto3Optional) continue;
      entries[camelCase(field.name)] = this.#field(field, depth);
    }
    descriptor.oneofs.forEach((oneof, index) => {
      const cases = descriptor.fields.filter((field) => field.oneofIndex === index && !field.proto3Optional);
      if (cases.length > 0) entries[camelCase(oneof.name)] = this.#oneof(cases, depth);
    });
    return entries;
  }

  #oneof(cases: readonly FieldDescriptor[], depth: number): fc.Arbitrary<Sample> {
    const set = cases.map((field) =>
      this.#one(field, depth).map((sample) => ({
        text: `${field.name}${sample.text}`,
        value: { kind: camelCase(field.name), value: sample.value },
      })),
    );
    return fc.oneof(fc.constant({ text: '', value: undefined }), ...set);
  }

  #field(field: FieldDescriptor, depth: number): fc.Arbitrary<Sample> {
    const one = this.#one(field, depth);
    if (this.#messages.get(field.typeName)?.options?.mapEntry === true) return this.#map(field, depth);
    if (field.label === LABEL_REPEATED) {
      return fc.array(one, { maxLength: depth > 2 ? 1 : 3 }).map((samples) => ({
        text: samples.map((sample) => `${field.name}${sample.text}`).join('\n'),
        value: samples.map((sample) => sample.value),
      }));
    }
    const some = one.map((sample) => ({ text: `${field.name}${sample.text}`, value: sample.value }));
    if (field.type !== TYPE.MESSAGE && !field.proto3Optional) return some;
    return fc.oneof(fc.constant({ text: '', value: undefined }), some);
  }

  #map(field: FieldDescriptor, depth: number): fc.Arbitrary<Sample> {
    const [key, value] = this.#messages.get(field.typeName)!.fields as [FieldDescriptor, FieldDescriptor];
    const entry = fc.tuple(this.#one(key, depth), this.#one(value, depth));
    return fc.uniqueArray(entry, { maxLength: 3, selector: ([name]) => name.value }).map((pairs) => ({
      text: pairs.map(([k, v]) => `${field.name} { key${k.text} value${v.text} }`).join('\n'),
      value: new Map(pairs.map(([k, v]) => [k.value, v.value])),
    }));
  }

  /** What follows the name of a field: `: 7` or ` { … }`. */
  #one(field: FieldDescriptor, depth: number): fc.Arbitrary<Sample> {
    const colon = <T>(arbitrary: fc.Arbitrary<T>, format: (value: T) => string): fc.Arbitrary<Sample> =>
      arbitrary.map((value) => ({ text: `: ${format(value)}`, value }));
    switch (field.type) {
      case TYPE.STRING:
        return colon(fc.string({ unit: 'grapheme' }), (value) => quote(Buffer.from(value)));
      case TYPE.BYTES:
        return fc.uint8Array({ maxLength: 40 }).map((value) => ({
          text: `: ${quote(value)}`,
          value: Buffer.from(value),
        }));
      case TYPE.BOOL:
        return colon(fc.boolean(), String);
      case TYPE.UINT32:
        return colon(fc.integer({ min: 0, max: 2 ** 32 - 1 }), String);
      case TYPE.INT32:
        return colon(fc.integer(), String);
      case TYPE.INT64:
        return colon(fc.maxSafeInteger(), String);
      case TYPE.DOUBLE:
        return colon(fc.double({ noNaN: true }), String);
      case TYPE.ENUM:
        return colon(fc.constantFrom(...this.#enums.get(field.typeName)!), String);
      case TYPE.MESSAGE:
        return this.arbitrary(field.typeName, depth + 1).map((sample) => ({
          text: ` {\n${sample.text}\n}`,
          value: sample.value,
        }));
      default:
        throw new Error(`field type ${field.type} of ${field.name}`);
    }
  }
}

const json = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.string({ unit: 'grapheme' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 3, noNullPrototype: true }),
}));

/** Arbitrary JSON objects, as they fit into google.protobuf.Struct. */
export const jsonObject = json.object;

function struct(): fc.Arbitrary<Sample> {
  return jsonObject.map((value) => ({ text: structText(value), value }));
}

function structText(object: Record<string, unknown>): string {
  return Object.entries(object)
    .map(([key, value]) => `fields { key: ${quote(Buffer.from(key))} value { ${valueText(value)} } }`)
    .join('\n');
}

function valueText(value: unknown): string {
  if (value === null) return 'null_value: NULL_VALUE';
  if (typeof value === 'boolean') return `bool_value: ${value}`;
  if (typeof value === 'number') return `number_value: ${Object.is(value, -0) ? '-0' : value}`;
  if (typeof value === 'string') return `string_value: ${quote(Buffer.from(value))}`;
  if (Array.isArray(value)) {
    return `list_value { ${value.map((one) => `values { ${valueText(one)} }`).join(' ')} }`;
  }
  return `struct_value { ${structText(value as Record<string, unknown>)} }`;
}

function quote(bytes: Uint8Array): string {
  const escaped = Array.from(bytes, (byte) => `\\${byte.toString(8).padStart(3, '0')}`);
  return `"${escaped.join('')}"`;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
