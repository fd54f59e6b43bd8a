import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cidr, type IpAddress, ipFromBytes, ipToBytes } from '../../../src/base/ip.ts';
import { CidrTable } from '../../../src/mesh/cidr-table.ts';
import { ipWords, wordsOfBytes } from '../../../src/mesh/ip-words.ts';
import { block, ip } from './builders.ts';

const anyV4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ipFromBytes(bytes)!);
const anyV6 = fc
  .array(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(255) }), {
    minLength: 16,
    maxLength: 16,
  })
  .map((bytes) => ipFromBytes(Uint8Array.from(bytes))!);
const anyIp: fc.Arbitrary<IpAddress> = fc.oneof(anyV4, anyV6);
/** Few addresses, so that blocks hold each other and what is asked for. */
const near = fc.constantFrom(
  ...['10.0.0.1', '10.0.0.2', '10.128.0.1', '::', 'fd00::1', 'fd00:0:0:1::'].map(ip),
);
const anyBlock = fc.tuple(fc.oneof(near, anyIp), fc.nat(128)).map(([address, length]) => {
  const bytes = ipToBytes(address);
  return new Cidr(bytes, Math.min(length, bytes.length * 8));
});

test('the words of an address are those of its bytes', () => {
  fc.assert(
    fc.property(anyIp, (address) => assert.deepEqual(ipWords(address), wordsOfBytes(ipToBytes(address)))),
  );
});

test('the longest block at which a table finds an address is the longest that contains it', () => {
  fc.assert(
    fc.property(fc.array(anyBlock, { maxLength: 20 }), fc.oneof(near, anyIp), (blocks, address) => {
      const table = new CidrTable<string>();
      for (const one of new Map(blocks.map((each) => [each.toString(), each])).values()) {
        table.set(wordsOfBytes(one.bytes), one.prefixLength, one.toString());
      }
      const words = ipWords(address);
      const found = table
        .lengths(words.family)
        .map((length) => table.at(words, length))
        .find((value) => value !== undefined);
      const holding = blocks
        .filter((one) => one.contains(address))
        .sort((a, b) => b.prefixLength - a.prefixLength);
      assert.equal(found, holding[0]?.toString());
      assert.equal(table.covers(words), holding.length > 0);
    }),
  );
});

function withBitFlipped(address: IpAddress, bit: number): IpAddress {
  const bytes = ipToBytes(address);
  bytes[bit >> 3]! ^= 0x80 >> (bit & 7);
  return ipFromBytes(bytes)!;
}

test('a block ends exactly at its last bit', () => {
  fc.assert(
    fc.property(anyIp, fc.integer({ min: 1, max: 127 }), (address, wanted) => {
      const bits = ipToBytes(address).length * 8;
      const length = Math.min(wanted, bits - 1);
      const table = new CidrTable<true>();
      table.set(ipWords(address), length, true);
      assert.equal(table.covers(ipWords(withBitFlipped(address, length))), true);
      assert.equal(table.covers(ipWords(withBitFlipped(address, length - 1))), false);
    }),
  );
});

test('a table from which every block was deleted is empty', () => {
  fc.assert(
    fc.property(fc.array(anyBlock, { maxLength: 20 }), (blocks) => {
      const table = new CidrTable<true>();
      const distinct = [...new Map(blocks.map((each) => [each.toString(), each])).values()];
      for (const one of distinct) table.set(wordsOfBytes(one.bytes), one.prefixLength, true);
      for (const [i, one] of distinct.entries()) {
        table.delete(wordsOfBytes(one.bytes), one.prefixLength);
        assert.equal(table.at(wordsOfBytes(one.bytes), one.prefixLength), undefined);
        for (const rest of distinct.slice(i + 1)) {
          assert.equal(table.at(wordsOfBytes(rest.bytes), rest.prefixLength), true);
        }
      }
      assert.ok(table.isEmpty);
    }),
  );
});

test('blocks whose words hash alike are told apart', () => {
  const table = new CidrTable<string>();
  // Both hash to 0: the first word of the second block cancels what its second word contributes.
  const colliding = new Cidr(new Uint8Array(16), 64);
  const w1 = 1;
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, Math.imul(w1, 0x9e3779b1));
  view.setInt32(4, w1);
  const other = new Cidr(bytes, 64);
  table.set(wordsOfBytes(colliding.bytes), 64, 'zero');
  table.set(wordsOfBytes(other.bytes), 64, 'other');
  assert.equal(table.at(wordsOfBytes(colliding.bytes), 64), 'zero');
  assert.equal(table.at(wordsOfBytes(other.bytes), 64), 'other');
  table.delete(wordsOfBytes(colliding.bytes), 64);
  assert.equal(table.at(wordsOfBytes(colliding.bytes), 64), undefined);
  assert.equal(table.at(wordsOfBytes(other.bytes), 64), 'other');
});

test('deleting what is not there changes nothing', () => {
  const table = new CidrTable<string>();
  table.set(ipWords(ip('10.0.0.0')), 8, 'ten');
  table.delete(ipWords(ip('10.0.0.0')), 16);
  table.delete(ipWords(ip('11.0.0.0')), 8);
  assert.equal(table.at(ipWords(ip('10.1.2.3')), 8), 'ten');
  assert.equal(block('10.0.0.0/8').contains(ip('10.1.2.3')), true);
});
