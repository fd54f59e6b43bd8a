/** When a reactor that has become quiet collects its garbage. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MIN_GROWTH,
  MIN_GROWTH_SHARE,
  QuietCollection,
} from '../../../src/ztunnel/proxy/quiet-collection.ts';

/** A thread whose heap and events a test moves; a collection brings its heap down to what is live. */
function threadOf(live: number) {
  const thread = { events: 0, size: live, live, collections: 0 };
  const collection = new QuietCollection({
    events: () => thread.events,
    heapSize: () => thread.size,
    collect: () => {
      thread.collections++;
      thread.size = thread.live;
    },
  });
  collection.look();
  return { thread, collection };
}

test('a heap that has grown is collected in the first interval without an event', () => {
  const { thread, collection } = threadOf(4 * MIN_GROWTH);
  thread.size += MIN_GROWTH;
  thread.events++;
  collection.look();
  assert.equal(thread.collections, 0);
  collection.look();
  assert.equal(thread.collections, 1);
});

test('a heap that has hardly grown is left alone', () => {
  const { thread, collection } = threadOf(4 * MIN_GROWTH);
  thread.size += MIN_GROWTH - 1;
  collection.look();
  assert.equal(thread.collections, 0);
});

test('what is live is not collected for again', () => {
  const { thread, collection } = threadOf(4 * MIN_GROWTH);
  thread.size += 5 * MIN_GROWTH;
  thread.live = thread.size;
  collection.look();
  collection.look();
  assert.equal(thread.collections, 1);
});

test('a large heap has to grow by a share of it', () => {
  const live = (2 * MIN_GROWTH) / MIN_GROWTH_SHARE;
  const { thread, collection } = threadOf(live);
  thread.size = live + 2 * MIN_GROWTH - 1;
  collection.look();
  assert.equal(thread.collections, 0);
  thread.size++;
  collection.look();
  assert.equal(thread.collections, 1);
});

test('growth counts from what the heap shrank to by itself', () => {
  const { thread, collection } = threadOf(4 * MIN_GROWTH);
  thread.size = 3 * MIN_GROWTH;
  collection.look();
  thread.size = 4 * MIN_GROWTH;
  collection.look();
  assert.equal(thread.collections, 1);
});

test('a start is not taken for growth', () => {
  const { thread } = threadOf(100 * MIN_GROWTH);
  assert.equal(thread.collections, 0);
});

test('a collection that was asked for is where growth counts from', () => {
  const { thread, collection } = threadOf(4 * MIN_GROWTH);
  thread.size = 9 * MIN_GROWTH;
  thread.live = 8 * MIN_GROWTH;
  collection.collect();
  thread.size = 9 * MIN_GROWTH - 1;
  collection.look();
  assert.equal(thread.collections, 1);
});
