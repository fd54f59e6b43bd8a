/** State directories: whose they are, and when what is in them may be removed. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startTimeOf } from '../../../src/sandbox/host/process-table.ts';
import {
  claimState,
  isAlive,
  readOwner,
  removeState,
  stateDirectory,
  untilEnded,
  writeOwner,
} from '../../../src/sandbox/host/state-directory.ts';

function base(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-state-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'ambit');
}

test('a state directory is claimed once while its owner lives', async (t) => {
  const state = join(base(t), 'one');
  await claimState(state);
  assert.deepEqual(readOwner(state), { pid: process.pid, startTime: startTimeOf(process.pid) });
  await assert.rejects(claimState(state), { code: 'AMBIT_SANDBOX_ALREADY_UP' });
});

test('what a dead owner left is removed, also when its number belongs to somebody else by now', async (t) => {
  const state = join(base(t), 'one');
  await claimState(state);
  writeFileSync(join(state, 'left-over'), '');
  writeFileSync(join(state, 'owner.json'), JSON.stringify({ pid: process.pid, startTime: '1' }));
  await claimState(state);
  assert.equal(existsSync(join(state, 'left-over')), false);
  removeState(state);
  assert.equal(existsSync(join(state, '..')), false);
});

test('a directory that others may write to is not used', async (t) => {
  const folder = base(t);
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  await assert.rejects(claimState(join(folder, 'one')), { code: 'AMBIT_SANDBOX_STATE_UNSAFE' });
});

test('names that would lead elsewhere, or make sockets unreachable, are refused', () => {
  for (const name of ['', '..', 'a/b', 'UP', '-x', 'x-', 'x'.repeat(33)]) {
    assert.throws(() => stateDirectory(name), { code: 'AMBIT_SANDBOX_NAME_INVALID' }, name);
  }
  assert.match(stateDirectory('ok-1'), /\/ok-1$/);
});

test('the end of an owner is noticed', async (t) => {
  const state = join(base(t), 'one');
  await claimState(state);
  const child = spawn('sleep', ['60']);
  writeOwner(state, child.pid!);
  const owner = readOwner(state)!;
  assert.equal(isAlive(owner), true);
  assert.equal(await untilEnded(owner, 30), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(await untilEnded(owner, 5000), true);
});
