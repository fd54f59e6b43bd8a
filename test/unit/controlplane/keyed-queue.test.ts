/** Writes to many objects: the last wish counts, failures come back, and an API server is not flooded. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyedQueue, WRITE_BURST } from '../../../src/controlplane/keyed-queue.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { eventually } from '../../support/eventually.ts';

setLogLevels('controlplane=off');

test('of several wishes for one object that wait, only the last one is done, after the one under way', async () => {
  const queue = new KeyedQueue('things');
  const done: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  queue.put('a', async () => {
    await promise;
    done.push('first');
  });
  queue.put('a', async () => void done.push('second'));
  queue.put('a', async () => void done.push('third'));
  queue.put('b', async () => void done.push('other'));
  assert.equal(queue.depth, 1);
  resolve();
  await eventually('all of them', () => done.length === 3);
  assert.deepEqual(done, ['other', 'first', 'third']);
});

test('what failed is tried again until it succeeds, unless it is no longer wanted', async () => {
  const queue = new KeyedQueue('things');
  let tried = 0;
  let dropped = 0;
  queue.put('a', async () => {
    if (tried++ === 0) throw new Error('conflict');
  });
  queue.put('b', async () => {
    dropped++;
    throw new Error('conflict');
  });
  await eventually('two failures', () => queue.counters.failed === 2);
  queue.forget('b');
  await eventually('success', () => queue.counters.done === 1);
  assert.deepEqual([tried, dropped], [2, 1]);
});

test('what has begun is tried again, unless nobody wants it any more', async () => {
  const queue = new KeyedQueue('things');
  const { promise, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  const tried = { dropped: 0, forgotten: 0 };
  for (const key of ['dropped', 'forgotten'] as const) {
    queue.put(key, () => (tried[key]++ === 0 ? promise : Promise.resolve()));
  }
  queue.drop('dropped');
  queue.forget('forgotten');
  reject(new Error('conflict'));
  await eventually('the second attempt', () => tried.dropped === 2);
  await eventually('its end', () => queue.counters.done === 1);
  assert.deepEqual(tried, { dropped: 2, forgotten: 1 });
});

test('a newer wish takes the place of one that failed', async () => {
  const queue = new KeyedQueue('things');
  const done: string[] = [];
  queue.put('a', async () => {
    throw new Error('conflict');
  });
  await eventually('the failure', () => queue.counters.failed === 1);
  queue.put('a', async () => void done.push('newer'));
  await eventually('the newer one', () => done.length === 1);
  assert.equal(queue.counters.failed, 1);
});

test('many writes are spread over time, and none is lost', async () => {
  const queue = new KeyedQueue('things');
  const done = new Set<number>();
  for (let i = 0; i < WRITE_BURST + 10; i++) queue.put(String(i), async () => void done.add(i));
  await eventually('the burst', () => done.size === WRITE_BURST);
  assert.ok(queue.depth > 0);
  await eventually('all of them', () => done.size === WRITE_BURST + 10);
});

test('a queue that is cleared does nothing more', async () => {
  const queue = new KeyedQueue('things');
  let done = 0;
  for (let i = 0; i < WRITE_BURST * 2; i++) queue.put(String(i), async () => void done++);
  queue.retain(new Set(['0', String(WRITE_BURST * 2 - 1)]));
  queue.clear();
  assert.equal(queue.depth, 0);
  await eventually('those that had begun', () => queue.counters.done === done);
  assert.ok(done <= WRITE_BURST);
});
