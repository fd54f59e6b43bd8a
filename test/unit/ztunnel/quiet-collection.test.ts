/** When a reactor that has become quiet, or that a crowd has left, collects its garbage. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { COLLECTION_STEPS } from '../../../src/sys/process-memory.ts';
import { CROWD } from '../../../src/ztunnel/proxy/crowd-watch.ts';
import {
  MIN_GROWTH,
  MIN_GROWTH_SHARE,
  QuietCollection,
} from '../../../src/ztunnel/proxy/quiet-collection.ts';

/** A thread whose heap, events and connections a test moves; the last step brings its heap down to what is live. */
function threadOf(live: number) {
  const thread = { events: 0, size: live, live, connections: 0, steps: 0, collections: 0 };
  const collection = new QuietCollection({
    events: () => thread.events,
    heapSize: () => thread.size,
    connections: () => thread.connections,
    step: () => {
      thread.steps++;
      if (thread.steps % COLLECTION_STEPS === 0) thread.size = thread.live;
    },
    release: () => {
      thread.size = thread.live;
    },
    finished: () => thread.collections++,
  });
  collection.look();
  /** As many intervals as a collection has steps, quiet or each with an event. */
  const look = ({ busy = false, times = COLLECTION_STEPS } = {}) => {
    for (let i = 0; i < times; i++) {
      if (busy) thread.events++;
      collection.look();
    }
  };
  return { thread, collection, look };
}

test('a heap that has grown is collected step by step in intervals without an event', () => {
  const { thread, look } = threadOf(4 * MIN_GROWTH);
  thread.size += MIN_GROWTH;
  look({ busy: true });
  assert.equal(thread.steps, 0);
  look({ times: 1 });
  assert.equal(thread.steps, 1);
  look({ busy: true });
  assert.equal(thread.steps, 1);
  look({ times: COLLECTION_STEPS - 1 });
  assert.equal(thread.collections, 1);
});

test('a heap that has hardly grown is left alone', () => {
  const { thread, look } = threadOf(4 * MIN_GROWTH);
  thread.size += MIN_GROWTH - 1;
  look();
  assert.equal(thread.steps, 0);
});

test('what is live is not collected for again', () => {
  const { thread, look } = threadOf(4 * MIN_GROWTH);
  thread.size += 5 * MIN_GROWTH;
  thread.live = thread.size;
  look({ times: 2 * COLLECTION_STEPS });
  assert.equal(thread.steps, COLLECTION_STEPS);
});

test('a large heap has to grow by a share of it', () => {
  const live = (2 * MIN_GROWTH) / MIN_GROWTH_SHARE;
  const { thread, look } = threadOf(live);
  thread.size = live + 2 * MIN_GROWTH - 1;
  look();
  assert.equal(thread.steps, 0);
  thread.size++;
  look();
  assert.equal(thread.collections, 1);
});

test('growth counts from what the heap shrank to by itself', () => {
  const { thread, look } = threadOf(4 * MIN_GROWTH);
  thread.size = 3 * MIN_GROWTH;
  look({ times: 1 });
  thread.size = 4 * MIN_GROWTH;
  look();
  assert.equal(thread.collections, 1);
});

test('a start is not taken for growth', () => {
  const { thread } = threadOf(100 * MIN_GROWTH);
  assert.equal(thread.steps, 0);
});

test('what a start took goes in the first quiet interval, at once and however little the heap has grown', () => {
  const { thread, collection, look } = threadOf(4 * MIN_GROWTH);
  collection.releaseWhenQuiet();
  look({ busy: true });
  assert.equal(thread.collections, 0);
  look();
  assert.deepEqual([thread.steps, thread.collections], [0, 1]);
});

test('what a crowd has left is collected although others have work for the thread', () => {
  const { thread, look } = threadOf(4 * MIN_GROWTH);
  thread.connections = CROWD + 10;
  look({ busy: true });
  assert.equal(thread.steps, 0);
  thread.connections = 10;
  look({ busy: true, times: 1 });
  assert.equal(thread.steps, 0, 'while it goes');
  look({ busy: true });
  assert.deepEqual([thread.steps, thread.collections], [COLLECTION_STEPS, 1]);
  look({ busy: true });
  assert.equal(thread.collections, 1);
});
