import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { FIELD_OVERHEAD_BYTES, type HeaderField } from '../../../src/http/header-list.ts';
import { HpackDecoder } from '../../../src/http/hpack-decoder.ts';
import { HpackEncoder, maxEncodedSize } from '../../../src/http/hpack-encoder.ts';

const LIMITS = { tableSize: 4096, listSize: 65_536, fields: 128 };

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

function decoded(decoder: HpackDecoder, block: Uint8Array): HeaderField[] {
  assert.equal(decoder.decode(block, 0, block.length), 'ok');
  return [...decoder.headers];
}

function encoded(encoder: HpackEncoder, headers: readonly HeaderField[]): Uint8Array {
  const out = new Uint8Array(maxEncodedSize(headers) + 3);
  const end = encoder.encode(headers, out, 3);
  assert.ok(end <= out.length);
  return out.subarray(3, end);
}

const request = (authority: string, path: string, scheme: string, ...more: HeaderField[]): HeaderField[] => [
  [':method', 'GET'],
  [':scheme', scheme],
  [':path', path],
  [':authority', authority],
  ...more,
];

test('decodes the request examples of RFC 7541 appendix C.3', () => {
  const decoder = new HpackDecoder(LIMITS);
  const first = decoded(decoder, hex('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d'));
  assert.deepEqual(first, request('www.example.com', '/', 'http'));
  const second = decoded(decoder, hex('8286 84be 5808 6e6f 2d63 6163 6865'));
  assert.deepEqual(second, request('www.example.com', '/', 'http', ['cache-control', 'no-cache']));
  const third = decoded(
    decoder,
    hex('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65'),
  );
  assert.deepEqual(third, request('www.example.com', '/index.html', 'https', ['custom-key', 'custom-value']));
  assert.equal(decoder.tableSize, 164);
});

test('decodes the Huffman-coded responses of RFC 7541 appendix C.6, which evict', () => {
  const decoder = new HpackDecoder({ ...LIMITS, tableSize: 256 });
  const location: HeaderField = ['location', 'https://www.example.com'];
  const date: HeaderField = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'];
  const control: HeaderField = ['cache-control', 'private'];
  assert.deepEqual(
    decoded(
      decoder,
      hex(
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
      ),
    ),
    [[':status', '302'], control, date, location],
  );
  assert.equal(decoder.tableSize, 222);
  assert.deepEqual(decoded(decoder, hex('4883 640e ffc1 c0bf')), [
    [':status', '307'],
    control,
    date,
    location,
  ]);
  assert.deepEqual(
    decoded(
      decoder,
      hex(
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ),
    ),
    [
      [':status', '200'],
      control,
      ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
      location,
      ['content-encoding', 'gzip'],
      ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
    ],
  );
  assert.equal(decoder.tableSize, 215);
});

test('a field that differs each time puts its name into the table, once, and no further value', () => {
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(LIMITS);
  const trace = (digit: string): HeaderField[] => [['traceparent', digit.repeat(55)]];
  const first = encoded(encoder, trace('1'));
  assert.deepEqual(decoded(decoder, first), trace('1'));
  const size = decoder.tableSize;
  assert.equal(size, FIELD_OVERHEAD_BYTES + 'traceparent'.length + 55);
  for (const digit of ['2', '3']) {
    const block = encoded(encoder, trace(digit));
    assert.deepEqual(decoded(decoder, block), trace(digit));
    // Two octets of an index beyond the static table, one of a length, and the value as it is.
    assert.equal(block.length, 2 + 1 + 55);
    assert.equal(decoder.tableSize, size);
  }
});

const name = fc.oneof(
  fc.constantFrom(':authority', ':status', 'baggage', 'cookie', 'traceparent', 'x-a', 'content-length'),
  fc.stringMatching(/^[a-z0-9-]{1,40}$/),
);
const value = fc.oneof(
  fc.constantFrom('', '200', '10.0.0.1:8080'),
  fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
);
const headers = fc.array(fc.tuple(name, value), { maxLength: 20 });

test('lists survive encoding and decoding while the table changes its size', () => {
  const steps = fc.array(fc.tuple(headers, fc.option(fc.integer({ min: 0, max: 8192 }))), { maxLength: 30 });
  fc.assert(
    fc.property(steps, (list) => {
      const encoder = new HpackEncoder(4096);
      const decoder = new HpackDecoder(LIMITS);
      for (const [fields, tableSize] of list) {
        if (tableSize !== null) encoder.setMaxTableSize(tableSize);
        assert.deepEqual(decoded(decoder, encoded(encoder, fields)), fields);
        assert.ok(decoder.tableSize <= 4096);
      }
    }),
  );
});

test('what repeats costs one octet the second time, what is secret is never put into the table', () => {
  const encoder = new HpackEncoder(4096);
  const repeated: HeaderField[] = [['baggage', 'k8s.namespace.name=shop,service.name=cart']];
  encoded(encoder, repeated);
  assert.equal(encoded(encoder, repeated).length, 1);
  const secret: HeaderField[] = [['authorization', 'Bearer abc']];
  assert.equal(encoded(encoder, secret)[0]! & 0xf0, 0x10);
  assert.equal(encoded(encoder, secret)[0]! & 0xf0, 0x10);
});

test('characters beyond Latin-1 cannot become control characters', () => {
  const block = encoded(new HpackEncoder(0), [['x-a', 'one\u010dtwo\u010a']]);
  assert.deepEqual(decoded(new HpackDecoder(LIMITS), block), [['x-a', 'one?two?']]);
});

test('random bytes are decoded or refused, within every limit', () => {
  const limits = { tableSize: 256, listSize: 300, fields: 5 };
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 6 }), (blocks) => {
      const decoder = new HpackDecoder(limits);
      for (const block of blocks) {
        const outcome = decoder.decode(block, 0, block.length);
        assert.ok(decoder.tableSize <= limits.tableSize);
        if (outcome !== 'ok') continue;
        assert.ok(decoder.headers.length <= limits.fields);
        const sizes = decoder.headers.map(([key, text]) => key.length + text.length + FIELD_OVERHEAD_BYTES);
        assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= limits.listSize);
      }
    }),
    { numRuns: 1000 },
  );
});

test('one-octet references that are too large cost no memory and leave the state intact; a bomb ends at once', () => {
  const decoder = new HpackDecoder({ ...LIMITS, fields: 100_000 });
  const fields: HeaderField[] = [['x-bomb', 'a'.repeat(4000)]];
  const first = encoded(new HpackEncoder(4096), fields);
  assert.deepEqual(decoded(decoder, first), fields);
  const bomb = new Uint8Array(60_000).fill(0x80 | 62);
  assert.equal(decoder.decode(bomb, 0, 60), 'too-large');
  assert.ok(decoder.headers.length <= 16);
  assert.deepEqual(decoded(decoder, Uint8Array.of(0x80 | 62)), fields);
  assert.equal(decoder.decode(bomb, 0, bomb.length), 'bomb');
});

test('too many fields are too large although they are small', () => {
  const decoder = new HpackDecoder(LIMITS);
  const block = new Uint8Array(129).fill(0x82);
  assert.equal(decoder.decode(block, 0, 128), 'ok');
  assert.equal(decoder.decode(block, 0, 129), 'too-large');
});

test('a string over the list limit is skipped, and an indexed one empties the table', () => {
  const decoder = new HpackDecoder({ tableSize: 4096, listSize: 5000, fields: 10 });
  decoded(decoder, encoded(new HpackEncoder(4096), [['x-a', '1']]));
  assert.ok(decoder.tableSize > 0);
  const long = encoded(new HpackEncoder(4096), [['x-b', '\u00ff'.repeat(6000)]]);
  assert.equal(decoder.decode(long, 0, long.length), 'too-large');
  assert.equal(decoder.tableSize, 0);
  assert.deepEqual(decoded(decoder, Uint8Array.of(0x82)), [[':method', 'GET']]);
});

const invalidBlocks: readonly (readonly [why: string, block: string])[] = [
  ['index 0', '80'],
  ['an index behind the table', 'be'],
  ['a name index behind the table', '7e 01 61'],
  ['an integer without end', 'ff ff ff ff ff ff ff'],
  ['a cut integer', 'ff 80'],
  ['a cut string', '40 0a 61'],
  ['a missing value', '40 01 61'],
  ['a wrong Huffman code', '40 81 00 01 61'],
  ['a table larger than allowed', '3f e2 1f'],
  ['three table size updates', '20 20 20 82'],
  ['a table size update behind a field', '82 20'],
];

for (const [why, block] of invalidBlocks) {
  test(`a block with ${why} is invalid`, () => {
    const bytes = hex(block);
    assert.equal(new HpackDecoder(LIMITS).decode(bytes, 0, bytes.length), 'invalid');
  });
}

test('a table size update of the full size is fine', () => {
  assert.deepEqual(decoded(new HpackDecoder(LIMITS), hex('20 3f e1 1f 82')), [[':method', 'GET']]);
});

test('the memory of a block is not kept alive by the codec that has worked on it', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const encoder = new HpackEncoder(4096);
  const decoder = new HpackDecoder(LIMITS);
  const buffer = ((): WeakRef<Uint8Array> => {
    const bytes = new Uint8Array(256 * 1024);
    const end = encoder.encode([['x-a', 'some value']], bytes, 0);
    assert.equal(decoder.decode(bytes, 0, end), 'ok');
    return new WeakRef(bytes);
  })();
  await nextTurn();
  collect();
  assert.equal(buffer.deref(), undefined);
  assert.equal(decoder.headers.length + encoder.encode([], new Uint8Array(20), 0), 1);
});
