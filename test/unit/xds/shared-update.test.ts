/** Updates on their way from one thread to another. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameRejected, readSharedUpdate, shareUpdate } from '../../../src/xds/shared-update.ts';

test('an update arrives with the bytes of each resource, and is copied to no thread', () => {
  const resource = fc.record({ name: fc.string(), bytes: fc.uint8Array({ maxLength: 40 }) });
  const update = fc.record({
    typeUrl: fc.string(),
    resources: fc.array(resource),
    removed: fc.array(fc.string()),
  });
  fc.assert(
    fc.property(update, (sent) => {
      const message = shareUpdate(sent);
      const { typeUrl, resources, removed } = readSharedUpdate(structuredClone(message));
      assert.deepEqual({ typeUrl, removed }, { typeUrl: sent.typeUrl, removed: sent.removed });
      const bytes = resources.map((one) => Uint8Array.from(one.bytes));
      assert.deepEqual(
        bytes,
        sent.resources.map((one) => one.bytes),
      );
      message.bytes.fill(0xff);
      assert.ok(resources.every((one) => one.bytes.every((byte) => byte === 0xff)));
    }),
  );
});

test('what a thread refuses has its name again where the update came from', () => {
  const resources = ['a', 'b', 'c'].map((name, i) => ({ name, bytes: Uint8Array.of(i) }));
  const read = readSharedUpdate(shareUpdate({ typeUrl: 't', resources, removed: [] }));
  const refused = read.resources.filter(({ bytes }) => bytes[0] !== 1);
  const rejected = refused.map(({ name }) => ({ name, reason: 'why' }));
  assert.deepEqual(nameRejected(rejected, resources), [
    { name: 'a', reason: 'why' },
    { name: 'c', reason: 'why' },
  ]);
});
