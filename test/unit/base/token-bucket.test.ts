/** How often something may be done. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBucket } from '../../../src/base/token-bucket.ts';

test('a burst passes at once, and then as many as the rate gives', () => {
  const bucket = new TokenBucket({ burst: 3, perSecond: 10 }, 0);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take(0)),
    [true, true, true, false],
  );
  assert.equal(bucket.msUntilNext(0), 100);
  assert.equal(bucket.take(99), false);
  assert.equal(bucket.take(100), true);
  assert.equal(bucket.isFull(100), false);
  assert.equal(bucket.isFull(500), true);
  assert.deepEqual(
    [1, 2, 3, 4].map(() => bucket.take(60_000)),
    [true, true, true, false],
  );
});

test('a clock that is set back takes nothing away', () => {
  const bucket = new TokenBucket({ burst: 1, perSecond: 1 }, 10_000);
  assert.equal(bucket.take(10_000), true);
  assert.equal(bucket.take(5_000), false);
  assert.equal(bucket.take(6_000), true);
});
