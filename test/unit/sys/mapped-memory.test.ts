/** Buffers that the kernel maps: many in one mapping, each its own. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { discardContent, mapBuffer } from '../../../src/sys/mapped-memory.ts';
import { addressOf } from '../../../src/sys/native-buffer.ts';

const SIZE = 64 * 1024;

test('many buffers come out of one mapping, since each mapping makes all threads of the process wait', () => {
  const addresses = Array.from({ length: 256 }, () => addressOf(mapBuffer(SIZE)));
  // The kernel places mappings downwards, so that two of them never follow each other like this.
  const begins = addresses.filter((address, i) => i === 0 || address !== addresses[i - 1]! + BigInt(SIZE));
  assert.ok(begins.length <= 6, `${begins.length} mappings for 16 MiB`);
});

test('a buffer that is larger than a mapping usually is has one of its own', () => {
  const { bytes } = mapBuffer(8 * 1024 * 1024);
  bytes.fill(1);
  assert.equal(bytes[bytes.length - 1], 1);
});

test('buffers do not overlap, and what one gives back leaves its neighbours as they are', () => {
  const buffers = Array.from({ length: 200 }, () => mapBuffer(SIZE));
  for (const [i, buffer] of buffers.entries()) buffer.bytes.fill(i + 1);
  for (let i = 0; i < buffers.length; i += 2) discardContent(buffers[i]!);
  for (const [i, buffer] of buffers.entries()) {
    const expected = i % 2 === 0 ? 0 : i + 1;
    assert.ok(
      buffer.bytes.every((byte) => byte === expected),
      `buffer ${i}`,
    );
  }
});
