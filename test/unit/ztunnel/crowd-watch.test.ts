/** When a crowd of connections counts as gone. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CROWD, CROWD_SHARE, CrowdWatch } from '../../../src/ztunnel/proxy/crowd-watch.ts';

/** What the watch says at each of these numbers of connections in turn. */
function watch(...counts: readonly number[]): readonly boolean[] {
  const crowds = new CrowdWatch();
  return counts.map((count) => crowds.hasGone(count));
}

test('a crowd has gone once no more of it are going', () => {
  assert.deepEqual(watch(CROWD, 100, 0, 0, 0), [false, false, false, true, false]);
});

test('fewer than a crowd may come and go', () => {
  assert.deepEqual(watch(CROWD - 1, 0, 0), [false, false, false]);
});

test('among many connections a crowd is a share of them', () => {
  const many = (2 * CROWD) / CROWD_SHARE;
  assert.deepEqual(watch(many, many - CROWD, many - CROWD), [false, false, false]);
  assert.deepEqual(watch(many, many - 2 * CROWD, many - 2 * CROWD), [false, false, true]);
});

test('a crowd that goes bit by bit is noticed', () => {
  assert.deepEqual(watch(CROWD, CROWD / 2, CROWD / 2, 0, 0).at(-1), true);
});
