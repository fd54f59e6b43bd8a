/** Native functions without the checks of node:ffi around them. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directFunctions, self } from '../../../src/sys/ffi.ts';
import { libc } from '../../../src/sys/libc.ts';
import { addressOf, NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { openssl } from '../../../src/sys/openssl.ts';

/** Written in JavaScript, or in machine code by Node. */
function isBare(native: (...args: never[]) => unknown): boolean {
  return Function.prototype.toString.call(native).includes('[native code]');
}

test('the functions of the data plane are called without JavaScript in between', () => {
  // A Node in which this fails still works, at two thirds of the speed.
  for (const [name, native] of Object.entries(libc)) assert.ok(isBare(native), name);
  for (const name of ['SSL_read', 'SSL_write', 'SSL_get_error', 'BIO_nread0', 'BIO_nread'] as const) {
    assert.ok(isBare(openssl[name]), name);
  }
});

test('a function with strings among its arguments is the usual one, since they need a conversion', () => {
  const { strlen } = directFunctions({ strlen: { arguments: ['string'], return: 'u64' } });
  assert.equal(strlen('seven b'), 7n);
});

test('a bare function takes and returns what the usual one does', () => {
  const signature = { arguments: ['pointer', 'i32', 'u64'], return: 'pointer' } as const;
  const usual = self.getFunction('memchr', signature);
  const { memchr } = directFunctions({ memchr: signature });
  const text = new NativeBuffer(16);
  text.bytes[11] = 0x61;
  for (const find of [usual, memchr]) {
    assert.equal(find(addressOf(text), 0x61, 16n), addressOf(text) + 11n);
    assert.equal(find(addressOf(text), 0x62, 16n), 0n);
  }
});

test('what functions inherit is as before', () => {
  const last = Object.getPrototypeOf(Function.prototype);
  assert.throws(() => directFunctions({ no_such_function: { arguments: [], return: 'void' } }));
  assert.equal(Object.getPrototypeOf(Function.prototype), last);
  assert.equal(last, Object.prototype);
});
