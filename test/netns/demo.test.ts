/** The demo that README.md promises, as it is. */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..');
const NAME = 'demo-test';
const DEADLINE_MS = 180_000;

test('every step of the demo comes out as it says, and nothing stays behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-demo-'));
  const { NODE_TEST_CONTEXT: _, XDG_RUNTIME_DIR: __, KEEP: ___, ...inherited } = process.env;
  const env = { ...inherited, NAME, HOME: folder, TMPDIR: folder };
  const node = (...args: readonly string[]) => ['--disable-warning=ExperimentalWarning', ...args];
  try {
    const child = spawn(process.execPath, node(join(ROOT, 'demo', 'demo.ts')), {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: DEADLINE_MS,
    });
    const [stdout, stderr, status] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve) => child.once('exit', resolve)),
    ]);
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /orders placed from before the label until now, 0 failed/);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith('ambit-')),
      [],
    );
  } finally {
    const down = node(join(ROOT, 'src', 'main.ts'), 'sandbox', 'down', '--name', NAME);
    spawnSync(process.execPath, down, { env, timeout: DEADLINE_MS });
    rmSync(folder, { recursive: true, force: true });
  }
});
