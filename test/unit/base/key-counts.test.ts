import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KeyCounts } from '../../../src/base/key-counts.ts';

test('each key has a count of its own, and a key of which nothing is left is forgotten', () => {
  const counts = new KeyCounts();
  assert.ok(counts.isEmpty);
  counts.add('a');
  counts.add('a');
  counts.add('b');
  counts.remove('a');
  assert.deepEqual([counts.of('a'), counts.of('b'), counts.of('c')], [1, 1, 0]);
  counts.remove('a');
  counts.remove('b');
  assert.ok(counts.isEmpty);
});

test('what was not counted can be removed without making the count negative', () => {
  const counts = new KeyCounts();
  counts.remove('a');
  counts.add('a');
  assert.equal(counts.of('a'), 1);
});
