import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Readiness } from '../../../src/ztunnel/control/readiness.ts';

test('a proxy is ready once everything that it waits for is there, and names what is missing', () => {
  const readiness = new Readiness(['mesh', 'pods']);
  assert.deepEqual([readiness.ready, readiness.missing], [false, ['mesh', 'pods']]);
  readiness.done('pods');
  assert.deepEqual([readiness.ready, readiness.missing], [false, ['mesh']]);
  readiness.done('mesh');
  assert.deepEqual([readiness.ready, readiness.missing], [true, []]);
});

test('a task that is undone makes the proxy unready again until it is done again', () => {
  const readiness = new Readiness(['pods']);
  readiness.done('pods');
  readiness.undone('pods');
  readiness.undone('pods');
  assert.deepEqual(readiness.missing, ['pods']);
  readiness.done('pods');
  assert.equal(readiness.ready, true);
});

test('a reason that was not there at the start can take readiness away', () => {
  const readiness = new Readiness([]);
  assert.equal(readiness.ready, true);
  readiness.undone('draining');
  assert.deepEqual([readiness.ready, readiness.missing], [false, ['draining']]);
});
