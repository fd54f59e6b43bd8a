/** When bytes are not in order. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesFaults } from '../../chaos/invariants.ts';
import type { EndedConnection, Ending } from '../../chaos/traffic-main.ts';

const ended = (how: Ending): EndedConnection => ({
  kind: 'ended',
  what: 'stream',
  startMs: 1000,
  endMs: 2000,
  received: 5,
  how,
  detail: '5 of 8 bytes came back',
});
const world = (how: Ending) => ({ traffic: [{ node: 'node1', ended: [ended(how)] }] });

test('a clean end before the data is a fault unless the process at the end of it was killed', () => {
  const told = ['stream from node1 truncated: 5 of 8 bytes came back'];
  assert.deepEqual(bytesFaults(world('truncated'), { deaths: [] }, 0), told);
  assert.deepEqual(bytesFaults(world('truncated'), { deaths: ['node2'] }, 0), told);
  assert.deepEqual(bytesFaults(world('truncated'), { deaths: ['node1'] }, 0), []);
});

test('wrong bytes are a fault whoever was killed, and a reset is none', () => {
  assert.equal(bytesFaults(world('corrupt'), { deaths: ['node1'] }, 0).length, 1);
  assert.deepEqual(bytesFaults(world('reset'), { deaths: [] }, 0), []);
});

test('what ended before the fault began is not its own', () => {
  assert.deepEqual(bytesFaults(world('truncated'), { deaths: [] }, 2001), []);
});
