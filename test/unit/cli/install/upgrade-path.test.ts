/** Which upgrades are allowed. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upgradePath } from '../../../../src/cli/install/upgrade-path.ts';

function reasonOf(from: string | undefined, to: string): string | undefined {
  const path = upgradePath(from, to);
  return path.kind === 'refused' ? path.reason : undefined;
}

test('the next patch and the next minor version are supported', () => {
  assert.deepEqual(upgradePath('0.1.0', '0.1.7'), { kind: 'supported' });
  assert.deepEqual(upgradePath('0.1.9', '0.2.0'), { kind: 'supported' });
  assert.deepEqual(upgradePath('v1.9.3-rc.1', '1.10.0'), { kind: 'supported' });
});

test('the same version may be applied again', () => {
  assert.deepEqual(upgradePath('0.1.0', '0.1.0'), { kind: 'same' });
});

test('nothing goes back, over a major version, or over more than one minor version', () => {
  assert.equal(reasonOf('0.2.0', '0.1.9'), '0.2.0 is installed, which is newer than 0.1.9');
  assert.equal(reasonOf('0.9.0', '1.0.0'), '0.9.0 and 1.0.0 differ in their major version');
  assert.equal(reasonOf('0.1.0', '0.3.0'), '0.1.0 and 0.3.0 are 2 minor versions apart');
});

test('what is no version is not upgraded', () => {
  assert.equal(reasonOf(undefined, '0.1.0'), 'the installed version cannot be told');
  assert.equal(reasonOf('latest', '0.1.0'), 'latest cannot be compared with 0.1.0');
});
