import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { Authorization } from '../../../src/xds/authorization-messages.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node } from '../../../src/xds/discovery-messages.ts';
import { mapOf, message, oneof, optional, repeated, singular } from '../../../src/xds/message-schema.ts';
import type { JsonObject } from '../../../src/xds/struct-value.ts';
import { Duration } from '../../../src/xds/well-known-messages.ts';
import {
  BOOL,
  BYTES,
  DOUBLE,
  ENUM,
  INT32,
  INT64,
  MAX_NESTING,
  STRING,
  UINT32,
  UINT64,
} from '../../../src/xds/wire-type.ts';
import { Address, Workload } from '../../../src/xds/workload-messages.ts';
import { WorkloadRequest } from '../../../src/xds/zds-messages.ts';
import { jsonObject } from './protoc.ts';

const Inner = message('test.Inner', { text: singular(1, STRING), numbers: repeated(2, UINT32) });
const Everything = message('test.Everything', {
  text: singular(1, STRING),
  bytes: singular(2, BYTES),
  uint32: singular(3, UINT32),
  int32: singular(4, INT32),
  uint64: singular(5, UINT64),
  int64: singular(6, INT64),
  truth: singular(7, BOOL),
  choice: singular(8, ENUM),
  double: singular(9, DOUBLE),
  maybe: optional(10, UINT32),
  inner: optional(11, Inner),
  inners: repeated(12, Inner),
  numbers: repeated(13, INT32),
  map: mapOf(14, Inner),
  names: mapOf(15, STRING),
  either: oneof({ left: [16, STRING], right: [2000, Inner] }),
});

const text = fc.string({ unit: 'grapheme' });
const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const plain = { noNullPrototype: true } as const;
const inner = fc.record({ text, numbers: fc.array(uint32, { maxLength: 5 }) }, plain);
const everything = fc.record(
  {
    text,
    bytes: fc.uint8Array(),
    uint32,
    int32: fc.integer(),
    uint64: fc.nat(Number.MAX_SAFE_INTEGER),
    int64: fc.maxSafeInteger(),
    truth: fc.boolean(),
    choice: fc.integer(),
    double: fc.double(),
    maybe: fc.option(uint32, { nil: undefined }),
    inner: fc.option(inner, { nil: undefined }),
    inners: fc.array(inner, { maxLength: 4 }),
    numbers: fc.array(fc.integer(), { maxLength: 6 }),
    map: fc.array(fc.tuple(text, inner), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    names: fc.array(fc.tuple(text, text), { maxLength: 4 }).map((pairs) => new Map(pairs)),
    either: fc.option(
      fc.oneof(
        text.map((value) => ({ kind: 'left' as const, value })),
        inner.map((value) => ({ kind: 'right' as const, value })),
      ),
      { nil: undefined },
    ),
  },
  plain,
);

const decoders = [
  Everything,
  Address,
  Authorization,
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  WorkloadRequest,
];

test('what was encoded is decoded again', () => {
  fc.assert(
    fc.property(everything, (value) => {
      assert.deepEqual(Everything.decode(Everything.encode(value)), value);
    }),
  );
});

test('a Struct comes back as the same JSON object', () => {
  fc.assert(
    fc.property(jsonObject as fc.Arbitrary<JsonObject>, (metadata) => {
      assert.deepEqual(Node.decode(Node.encode({ metadata })).metadata, metadata);
    }),
  );
});

test('equal maps give equal bytes, whatever the order of their entries', () => {
  const there = new Map([
    ['b', 'x'],
    ['a', 'y'],
  ]);
  const back = new Map([...there].reverse());
  assert.deepEqual(Everything.encode({ names: there }), Everything.encode({ names: back }));
});

test('any bytes decode or raise an error of the catalogue, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const decoder of decoders) decodesOrRefuses(decoder, bytes);
    }),
    { numRuns: 2000 },
  );
});

test('a damaged message decodes or raises an error of the catalogue, and nothing else', () => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(everything, damage, fc.nat(), (value, changes, cut) => {
      const bytes = Everything.encode(value);
      for (const [position, byte] of changes) if (bytes.length > 0) bytes[position % bytes.length] = byte;
      decodesOrRefuses(Everything, bytes);
      decodesOrRefuses(Everything, bytes.subarray(0, cut % (bytes.length + 1)));
    }),
    { numRuns: 1000 },
  );
});

function decodesOrRefuses(decoder: { decode(bytes: Uint8Array): unknown }, bytes: Uint8Array): void {
  try {
    decoder.decode(bytes);
  } catch (thrown) {
    assert.ok(thrown instanceof AmbitError, `threw ${thrown}`);
    assert.match(thrown.code, /^AMBIT_PROTOBUF_(MALFORMED|LIMIT)$/);
  }
}

test('fields that the schema does not know are stepped over', () => {
  const Newer = message('test.Newer', {
    text: singular(1, STRING),
    more: repeated(70, Inner),
    fraction: singular(71, DOUBLE),
    count: singular(72, UINT64),
  });
  const bytes = Newer.encode({ text: 'kept', more: [{ text: 'x' }, {}], fraction: 1.5, count: 9 });
  assert.equal(Everything.decode(bytes).text, 'kept');
});

test('a group, which nobody has written for decades, is stepped over', () => {
  const writer = new BinaryWriter();
  writer.tag(90, WireType.StartGroup).tag(1, WireType.Varint).uint32(1).tag(90, WireType.EndGroup);
  writer.tag(1, WireType.LengthDelimited).string('after');
  assert.equal(Everything.decode(writer.finish()).text, 'after');
});

test('a known field of another wire type counts as unknown', () => {
  const writer = new BinaryWriter().tag(11, WireType.Varint).uint32(1);
  assert.equal(Everything.decode(writer.finish()).inner, undefined);
});

test('repeated numbers are read packed and one by one', () => {
  const writer = new BinaryWriter();
  writer.tag(13, WireType.Varint).int32(-1).tag(13, WireType.LengthDelimited).fork().int32(2).int32(3).join();
  assert.deepEqual(Everything.decode(writer.finish()).numbers, [-1, 2, 3]);
});

test('a message given in two parts is merged', () => {
  const first = Everything.encode({ inner: { text: 'a', numbers: [1] }, maybe: 1 });
  const second = Everything.encode({ inner: { numbers: [2] }, maybe: 0 });
  const merged = Everything.decode(Buffer.concat([first, second]));
  assert.deepEqual(merged.inner, { text: 'a', numbers: [1, 2] });
  assert.equal(merged.maybe, 0);
});

test('of a oneof the last field wins', () => {
  const left = Everything.encode({ either: { kind: 'left', value: '' } });
  const right = Everything.encode({ either: { kind: 'right', value: {} } });
  assert.equal(Everything.decode(Buffer.concat([right, left])).either?.kind, 'left');
  assert.equal(Everything.decode(Buffer.concat([left, right])).either?.kind, 'right');
});

test('decoding twice gives lists and maps of their own', () => {
  const bytes = Everything.encode({ numbers: [1], names: new Map([['a', 'b']]) });
  const [one, two] = [Everything.decode(bytes), Everything.decode(bytes)];
  assert.notEqual(one.numbers, two.numbers);
  assert.notEqual(one.names, two.names);
  assert.deepEqual(Everything.decode(new Uint8Array(0)).numbers, []);
});

test('text that is not UTF-8 is refused', () => {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(Uint8Array.of(0xff, 0xfe));
  assert.throws(() => Everything.decode(writer.finish()), { code: 'AMBIT_PROTOBUF_MALFORMED' });
});

test('a value that runs over the end of its message is refused', () => {
  const writer = new BinaryWriter();
  writer
    .tag(11, WireType.LengthDelimited)
    .uint32(3)
    .tag(1, WireType.LengthDelimited)
    .uint32(5)
    .raw(Buffer.from('hello'));
  assert.throws(() => Everything.decode(writer.finish()), { code: 'AMBIT_PROTOBUF_MALFORMED' });
});

test('nesting has a limit', () => {
  const nested = (levels: number): Record<string, never> =>
    levels === 0 ? {} : ({ a: nested(levels - 1) } as unknown as Record<string, never>);
  assert.doesNotThrow(() => Node.decode(Node.encode({ metadata: nested(20) })));
  assert.throws(() => Node.decode(Node.encode({ metadata: nested(MAX_NESTING) })), {
    code: 'AMBIT_PROTOBUF_LIMIT',
  });
});

test('a 64-bit number that a double cannot hold is refused, not rounded', () => {
  const writer = new BinaryWriter().tag(1, WireType.Varint).int64(2n ** 60n);
  assert.throws(() => Duration.decode(writer.finish()), { code: 'AMBIT_PROTOBUF_LIMIT' });
});

test('an enumeration keeps a number that has no name', () => {
  assert.equal(Workload.decode(Workload.encode({ tunnelProtocol: 77 })).tunnelProtocol, 77);
});
