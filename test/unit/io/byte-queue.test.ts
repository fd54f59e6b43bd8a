/** Byte queues against plain arrays, and the pool they borrow from. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { acquireBuffer, buffersInUse, releaseBuffer } from '../../../src/io/buffer-pool.ts';
import { ByteQueue } from '../../../src/io/byte-queue.ts';

const CAPACITY = 16 * 1024;

function contentOf(queue: ByteQueue): number[] {
  return [...queue.buffer.bytes.subarray(queue.start, queue.end)];
}

test('whatever is appended, consumed, compacted, settled and expanded, the waiting bytes stay the same', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), bytes: fc.uint8Array({ maxLength: 6000 }) }),
    fc.record({ kind: fc.constant('consume' as const), count: fc.nat(8000) }),
    fc.record({ kind: fc.constantFrom('compact', 'settle', 'expand', 'clear') }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const queue = new ByteQueue(CAPACITY);
      let expected: number[] = [];
      for (const one of steps) {
        if (one.kind === 'append' && 'bytes' in one) {
          queue.expand();
          if (queue.space() < one.bytes.length) queue.compact();
          if (queue.space() < one.bytes.length) continue;
          queue.append(one.bytes);
          expected = [...expected, ...one.bytes];
        } else if (one.kind === 'consume' && 'count' in one) {
          const count = Math.min(one.count, queue.length);
          queue.consume(count);
          expected = expected.slice(count);
        } else if (one.kind === 'compact') queue.compact();
        else if (one.kind === 'settle') queue.settle();
        else if (one.kind === 'expand') queue.expand();
        else if (one.kind === 'clear') {
          queue.clear();
          expected = [];
        }
        assert.equal(queue.length, expected.length);
        assert.deepEqual(contentOf(queue), expected);
      }
    }),
    { numRuns: 200 },
  );
});

test('an empty queue holds no buffer, one with little left a small one', () => {
  const queue = new ByteQueue(CAPACITY);
  queue.append(Uint8Array.of(1, 2, 3));
  assert.equal(queue.buffer.size, CAPACITY);
  queue.consume(1);
  queue.settle();
  assert.ok(queue.buffer.size < CAPACITY);
  assert.deepEqual(contentOf(queue), [2, 3]);
  queue.expand();
  assert.equal(queue.buffer.size, CAPACITY);
  const lent = queue.buffer;
  queue.consume(2);
  queue.settle();
  assert.equal(acquireBuffer(CAPACITY), lent);
});

test('the pool gives back what it was given, by size', () => {
  const small = acquireBuffer(100);
  const large = acquireBuffer(200);
  releaseBuffer(small);
  releaseBuffer(large);
  assert.equal(acquireBuffer(200), large);
  assert.equal(acquireBuffer(100), small);
  assert.notEqual(acquireBuffer(100), small);
});

test('a large buffer that was full and is not among the few kept warm gives its pages back', () => {
  const size = 128 * 1024;
  const lent = Array.from({ length: 40 }, () => acquireBuffer(size));
  const before = buffersInUse();
  for (const buffer of lent) buffer.bytes.fill(7);
  for (const buffer of lent) releaseBuffer(buffer, size);
  assert.equal(buffersInUse(), before - 40);
  const again = Array.from({ length: 40 }, () => acquireBuffer(size));
  assert.deepEqual(new Set(again), new Set(lent));
  const warm = again.filter((buffer) => buffer.bytes[size - 1] === 7);
  assert.equal(warm.length, 16);
  for (const buffer of again) releaseBuffer(buffer, 100);
  const third = Array.from({ length: 40 }, () => acquireBuffer(size));
  assert.equal(third.filter((buffer) => buffer.bytes[size - 1] === 7).length, 16);
  for (const buffer of third) releaseBuffer(buffer);
});

test('however many buffers a burst took, the next ones are warm, and stay so', () => {
  const size = 192 * 1024;
  const lent = Array.from({ length: 40 }, () => acquireBuffer(size));
  for (const buffer of lent) buffer.bytes.fill(7);
  for (const buffer of lent) releaseBuffer(buffer);
  for (let round = 0; round < 3; round++) {
    const next = Array.from({ length: 16 }, () => acquireBuffer(size));
    assert.equal(next.filter((buffer) => buffer.bytes[size - 1] === 7).length, 16);
    for (const buffer of next) releaseBuffer(buffer);
  }
});
