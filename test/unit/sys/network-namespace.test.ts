/** What handles on network namespaces do without any privilege; entering others is tested in test/netns. */

import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import { NetworkNamespace } from '../../../src/sys/network-namespace.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';

test('two handles on one namespace have one identity, and running there needs no privilege', () => {
  const before = descriptorCount();
  const first = NetworkNamespace.current();
  const second = NetworkNamespace.open('/proc/self/ns/net');
  assert.equal(first.inode, second.inode);
  assert.match(first.inode, /^\d+:\d+$/);
  assert.equal(
    first.run(() => second.run(() => 'result')),
    'result',
  );
  assert.deepEqual(first.run(networkInterfaces), networkInterfaces());
  first.close();
  second.close();
  // One more is kept: the way back.
  assert.ok(descriptorCount() <= before + 1);
});

test('a path without a namespace is an error that names it', () => {
  assert.throws(
    () => NetworkNamespace.open('/nowhere/at/all'),
    (error: AmbitError) =>
      error.code === 'AMBIT_SYSTEM_CALL_FAILED' && error.message.includes('/nowhere/at/all'),
  );
});

test('what the function throws comes out', () => {
  const here = NetworkNamespace.current();
  assert.throws(
    () =>
      here.run(() => {
        throw new Error('thrown inside');
      }),
    /thrown inside/,
  );
  here.close();
});
