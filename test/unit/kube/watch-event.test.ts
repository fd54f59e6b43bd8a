/** Reading single events, and comparing versions. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { isNotNewer, parseWatchEvent } from '../../../src/kube/watch-event.ts';

test('versions compare as the numbers they are, of any length', () => {
  const version = fc.bigInt({ min: 1n, max: 2n ** 70n });
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(isNotNewer(String(a), String(b)), a <= b);
    }),
  );
});

test('of versions that are no numbers nothing is known', () => {
  for (const [a, b] of [
    ['', '1'],
    ['1', ''],
    ['abc', '5'],
    ['05', '7'],
    ['-1', '5'],
  ] as const) {
    assert.equal(isNotNewer(a, b), false);
  }
});

test('no line makes the reader fail other than by its own error', () => {
  const type = fc.constantFrom('ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR', 'other');
  const event = fc.record({ type, object: fc.jsonValue() }).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(fc.oneof(event, fc.json(), fc.string()), (line) => {
      try {
        parseWatchEvent(line);
      } catch (thrown) {
        assert.ok(thrown instanceof AmbitError);
        assert.equal(thrown.code, 'AMBIT_KUBE_RESPONSE_INVALID');
      }
    }),
    { numRuns: 1000 },
  );
});
