/** What a captured segment is judged by. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OffTheMesh } from '../../chaos/wire-watch.ts';

const see = (source: string, destination: string, text = '') => {
  const wire = new OffTheMesh(['10.244.1.3', 'fd00:10:244:2::3']);
  wire.see({ source, destination, text });
  return wire.take();
};

test('HBONE of pods, and whatever others say, is in order', () => {
  assert.deepEqual(see('10.244.1.3:40000', '10.244.2.3:15008', '..x'), {
    readable: [],
    bypassing: [],
    tunnelled: 1,
  });
  assert.deepEqual(see('172.30.0.11:40000', '10.96.0.5:15012').bypassing, []);
});

test('an empty segment of a pod to any other port is a bypass, in both families', () => {
  assert.equal(see('10.244.1.3:40000', '10.244.2.3:9000').bypassing.length, 1);
  assert.equal(see('[fd00:10:244:1::3]:40000', '[fd00:10:244:2::3]:9000').bypassing.length, 1);
});

test('readable words are told even inside HBONE', () => {
  assert.equal(see('10.244.1.3:40000', '10.244.2.3:15008', 'some readable words 0001').readable.length, 1);
});
