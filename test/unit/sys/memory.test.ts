/** Native buffers, addresses in the kernel's form, and where pointers may be known. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SocketAddress } from '../../../src/base/ip.ts';
import { familyOf, ipFromBytes } from '../../../src/base/ip.ts';
import { addressAt, addressOf, NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { AddressCell } from '../../../src/sys/socket-address.ts';

const socketAddress: fc.Arbitrary<SocketAddress> = fc
  .tuple(fc.oneof(bytesOf(4), bytesOf(16)), fc.nat(65535))
  .map(([bytes, port]) => ({ ip: ipFromBytes(bytes)!, port }));

function bytesOf(length: number): fc.Arbitrary<Uint8Array> {
  return fc.uint8Array({ minLength: length, maxLength: length });
}

test('an address read back from the kernel form is the one written, on sockets of either family', () => {
  const cell = new AddressCell();
  fc.assert(
    fc.property(socketAddress, (address) => {
      assert.equal(cell.write(address, 6), 28);
      assert.deepEqual(cell.read(), address);
      if (familyOf(address.ip) === 6) return;
      assert.equal(cell.write(address, 4), 16);
      assert.deepEqual(cell.read(), address);
    }),
  );
});

test('a path is taken up to 107 bytes and without a zero byte', () => {
  const cell = new AddressCell();
  assert.equal(cell.writePath('/'.padEnd(107, 'x')), 110);
  assert.equal(cell.read(), undefined);
  assert.equal(cell.writePath('/'.padEnd(108, 'x')), undefined);
  assert.equal(cell.writePath('a\0b'), undefined);
});

test('a range outside of the buffer has no address', () => {
  const buffer = new NativeBuffer(100);
  assert.equal(addressAt(buffer, 40, 60), addressOf(buffer) + 40n);
  for (const [offset, length] of [
    [0, 101],
    [100, 1],
    [-1, 5],
    [5, -1],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    assert.throws(() => addressAt(buffer, offset, length), RangeError);
  }
});

test('no file outside of src/sys imports what gives an address', () => {
  const root = join(import.meta.dirname, '../../../src');
  const walk = (folder: string): string[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
  const importsAddress = /import [^;]*\b(addressOf|addressAt|lastingAddressOf)\b[^;]*native-buffer\.ts/;
  const guilty = walk(root).filter(
    (path) => !path.startsWith(join(root, 'sys')) && importsAddress.test(readFileSync(path, 'utf8')),
  );
  assert.deepEqual(guilty, []);
});
