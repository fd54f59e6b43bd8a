import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';

const RING = join(import.meta.dirname, '..', '..', '..', 'scripts', 'run-ring.sh');
const DEADLINE_MS = 60_000;
const LEAK = "import('node:net').then(({ createServer }) => createServer().listen(0));";

/** Runs files of tests as a ring does; each is over for a second before it is ended. */
function runRing(t: TestContext, files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-ring-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, body] of Object.entries(files))
    writeFileSync(join(folder, name), `import { test } from 'node:test';\n${body}\n`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const paths = Object.keys(files).map((name) => join(folder, name));
  const { status, stdout, stderr } = spawnSync(RING, ['1', ...paths], {
    encoding: 'utf8',
    env: { ...env, TEST_LINGER_MS: '1000' },
    timeout: DEADLINE_MS,
  });
  return { status, output: stdout + stderr };
}

test('a file that does not end after a failed assertion is ended, named with what it leaked, and tried again', (t) => {
  const { status, output } = runRing(t, {
    'leak.test.mjs': `test('leaks', () => { ${LEAK} throw new Error('too early'); });`,
    'good.test.mjs': "test('is good', () => {});",
  });
  assert.equal(status, 1, output);
  assert.match(output, /leak\.test\.mjs is over but does not end; there are still: .*TCPServerWrap/);
  assert.match(output, /SECOND RUN[\s\S]*leak\.test\.mjs/);
  assert.match(output, /is good/);
});

test('a file that leaks fails even though its tests pass, and one that ends does not', (t) => {
  const leak = `test('leaks', () => { ${LEAK} });`;
  assert.equal(runRing(t, { 'leak.test.mjs': leak }).status, 1);
  const good = runRing(t, { 'good.test.mjs': "test('is good', () => {});" });
  assert.equal(good.status, 0, good.output);
});
