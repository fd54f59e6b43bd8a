/** The flags of the connection to a cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDuration } from '../../../../src/cli/cluster/cluster-options.ts';

test('durations are read as Go writes them, and a bare number is seconds', () => {
  const cases: readonly (readonly [string, number])[] = [
    ['90s', 90_000],
    ['5m12s', 312_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['10', 10_000],
    ['0', 0],
  ];
  for (const [text, ms] of cases) assert.equal(parseDuration(text), ms, text);
});

test('what is no duration is refused', () => {
  for (const text of ['', 'soon', '5 m', '-1s', '1s!', 's']) {
    assert.throws(() => parseDuration(text), /no duration/, text);
  }
});
