/** DER as written by us and read by OpenSSL and ourselves, and DER as an attacker would write it. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { contextTag, DerReader, TAG } from '../../../src/identity/der-reader.ts';
import {
  bitString,
  booleanTrue,
  contextConstructed,
  contextPrimitive,
  type DerValue,
  encodeDer,
  encoded,
  integer,
  nullValue,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from '../../../src/identity/der-writer.ts';
import { OID } from '../../../src/identity/object-identifiers.ts';

function reader(...bytes: number[]): DerReader {
  return new DerReader(Uint8Array.from(bytes));
}

const malformed = (thrown: unknown): boolean =>
  thrown instanceof AmbitError && thrown.code === 'AMBIT_DER_MALFORMED';

test('OpenSSL reads every type that is written', () => {
  const value = sequence(
    integer(Uint8Array.of(0x80, 1)),
    booleanTrue(),
    nullValue(),
    oid(OID.subjectAltName),
    oid(OID.ecdsaWithSha256),
    octetString(Uint8Array.of(1, 2)),
    bitString(Uint8Array.of(0x80), 7),
    utf8String('cluster.local'),
    time(Date.UTC(2026, 10, 23, 6, 17, 9)),
    time(Date.UTC(2050, 0, 1)),
    set(contextConstructed(3, contextPrimitive(6, Buffer.from('spiffe://a/ns/b/sa/c')))),
    encoded(encodeDer(sequence(nullValue()))),
    undefined,
  );
  const text = execFileSync('openssl', ['asn1parse', '-inform', 'DER'], {
    input: encodeDer(value),
    encoding: 'utf8',
  });
  for (const expected of [
    /INTEGER +:8001/,
    /BOOLEAN +:255/,
    /OBJECT +:X509v3 Subject Alternative Name/,
    /OBJECT +:ecdsa-with-SHA256/,
    /OCTET STRING +\[HEX DUMP\]:0102/,
    /UTF8STRING +:cluster\.local/,
    /UTCTIME +:261123061709Z/,
    /GENERALIZEDTIME +:20500101000000Z/,
    /cont \[ 3 \]/,
    /cont \[ 6 \]/,
  ]) {
    assert.match(text, expected);
  }
});

test('what is written is read back', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 40_000 }),
      fc.uint8Array({ minLength: 1, maxLength: 20 }).filter((bytes) => bytes[0] !== 0),
      fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }),
      (octets, magnitude, date) => {
        const seconds = Math.floor(date.getTime() / 1000) * 1000;
        const der = encodeDer(
          sequence(octetString(octets), integer(magnitude), time(seconds), bitString(octets)),
        );
        const inside = new DerReader(der).enter(TAG.sequence);
        assert.deepEqual(Buffer.from(inside.content(TAG.octetString)), Buffer.from(octets));
        const read = inside.integer();
        assert.deepEqual(Buffer.from(read[0] === 0 ? read.subarray(1) : read), Buffer.from(magnitude));
        assert.equal(inside.timeMs(), seconds);
        assert.deepEqual(Buffer.from(inside.bitString()), Buffer.from(octets));
        inside.finish();
      },
    ),
    { numRuns: 100 },
  );
});

test('encodings that BER allows and DER does not are refused', () => {
  const cases: [string, () => unknown][] = [
    ['indefinite length', () => reader(0x30, 0x80, 0, 0).enter(TAG.sequence)],
    ['padded long length', () => reader(0x04, 0x81, 0x01, 7).content(TAG.octetString)],
    ['length with a leading zero', () => reader(0x04, 0x82, 0x00, 0x80, 7).content(TAG.octetString)],
    ['five length octets', () => reader(0x04, 0x85, 0, 0, 0, 0, 1, 7).content(TAG.octetString)],
    ['length past the end', () => reader(0x04, 0x05, 7).content(TAG.octetString)],
    ['length octets past the end', () => reader(0x04, 0x84, 1).content(TAG.octetString)],
    ['length 2^32-1', () => reader(0x04, 0x84, 255, 255, 255, 255, 1).content(TAG.octetString)],
    ['another tag', () => reader(0x05, 0).content(TAG.octetString)],
    ['nothing', () => reader().content(TAG.octetString)],
    ['trailing bytes', () => reader(0x05, 0).finish()],
    ['padded integer', () => reader(2, 2, 0, 1).integer()],
    ['padded negative integer', () => reader(2, 2, 0xff, 0x80).integer()],
    ['empty integer', () => reader(2, 0).integer()],
    ['negative small integer', () => reader(2, 1, 0x80).smallInteger()],
    ['large small integer', () => reader(2, 5, 1, 0, 0, 0, 0).smallInteger()],
    ['boolean of 1', () => reader(1, 1, 1).boolean()],
    ['empty bit string', () => reader(3, 0).bitString()],
    ['bit string with spare bits', () => reader(3, 2, 4, 0xf0).bitString()],
    ['empty object identifier', () => reader(6, 0).oid()],
    ['object identifier of 40 bytes', () => reader(6, 40, ...new Array<number>(40).fill(1)).oid()],
  ];
  for (const [name, read] of cases) assert.throws(read, malformed, name);
});

test('times that do not exist, lack seconds or carry an offset are refused', () => {
  const texts = ['2611230617Z', '261123061709+0100', '261323061709Z', '260230000000Z', '261123241709Z'];
  for (const text of [
    ...texts,
    '261123066009Z',
    '261123061760Z',
    '',
    'Z',
    '261123061709Z0',
    '261123061709',
  ]) {
    assert.throws(() => reader(0x17, text.length, ...Buffer.from(text)).timeMs(), malformed, text);
  }
  assert.throws(() => reader(0x18, 17, ...Buffer.from('20261123061709.5Z')).timeMs(), malformed);
  assert.equal(reader(0x17, 13, ...Buffer.from('500101000000Z')).timeMs(), Date.UTC(1950, 0, 1));
  assert.equal(
    reader(0x17, 13, ...Buffer.from('491231235959Z')).timeMs(),
    Date.UTC(2049, 11, 31, 23, 59, 59),
  );
});

test('nesting is followed to a fixed depth only', () => {
  let value: DerValue = nullValue();
  for (let i = 0; i < 100; i++) value = sequence(value);
  let inside = new DerReader(encodeDer(value));
  assert.throws(() => {
    for (let i = 0; i < 100; i++) inside = inside.enter(TAG.sequence);
  }, malformed);
});

test('arbitrary bytes never make the reader throw anything else or run on', () => {
  const steps: ((r: DerReader) => unknown)[] = [
    (r) => r.enter(TAG.sequence),
    (r) => r.enter(contextTag(0, 'constructed')),
    (r) => r.integer(),
    (r) => r.smallInteger(),
    (r) => r.oid(),
    (r) => r.bitString(),
    (r) => r.boolean(),
    (r) => r.timeMs(),
    (r) => r.element(TAG.set),
    (r) => r.skipIf(TAG.null),
    (r) => r.finish(),
  ];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(fc.nat(steps.length - 1), { maxLength: 12 }),
      (bytes, order) => {
        let current = new DerReader(bytes);
        try {
          for (const index of order) {
            const result = steps[index]!(current);
            if (result instanceof DerReader) current = result;
          }
        } catch (thrown) {
          assert.ok(malformed(thrown), String(thrown));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
