import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../../../src/base/backoff.ts';

const LIMITS = { minMs: 10, maxMs: 15_000 };

function delays(count: number, random: () => number, backoff = new Backoff({ ...LIMITS, random })): number[] {
  return Array.from({ length: count }, () => backoff.next());
}

test('the ceiling doubles with every failure up to the longest delay, and stays there', () => {
  const almostOne = () => 1 - Number.EPSILON;
  assert.deepEqual(
    delays(13, almostOne),
    [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 15_000, 15_000],
  );
});

test('a delay is never shorter than half of the shortest, and may be that at any time', () => {
  assert.deepEqual(
    delays(4, () => 0),
    [5, 5, 5, 5],
  );
});

test('after a success it starts again', () => {
  const half = () => 0.5;
  const backoff = new Backoff({ ...LIMITS, random: half });
  const before = delays(5, half, backoff);
  backoff.reset();
  assert.deepEqual(delays(5, half, backoff), before);
});

test('every delay lies between half the shortest and the longest, and is a whole number', () => {
  const limits = fc.tuple(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100_000 }));
  const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(limits, draws, ([minMs, more], values) => {
      const maxMs = minMs + more;
      let i = 0;
      const backoff = new Backoff({ minMs, maxMs, random: () => values[i++ % values.length]! });
      for (const delay of delays(40, Math.random, backoff)) {
        assert.ok(Number.isInteger(delay) && delay >= Math.floor(minMs / 2) && delay <= maxMs, String(delay));
      }
    }),
  );
});

test('many who failed together do not come back together', () => {
  const found = new Set(Array.from({ length: 200 }, () => delays(10, Math.random).at(-1)));
  assert.ok(found.size > 50);
});
