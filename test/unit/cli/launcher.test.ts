/** The launcher from wherever it may be called, by whatever name. */

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { LAUNCHER, type Outcome, run } from '../../support/ambit-command.ts';

const ROOT = dirname(dirname(LAUNCHER));
const scratch = mkdtempSync(join(realpathSync(tmpdir()), 'ambit launcher '));
after(() => rmSync(scratch, { recursive: true, force: true }));

function folder(...names: readonly string[]): string {
  const path = join(scratch, ...names);
  mkdirSync(path, { recursive: true });
  return path;
}

function assertHelp(outcome: Outcome): void {
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.match(outcome.stdout, /^Usage: ambit /);
  assert.equal(outcome.stderr, '');
}

test('it runs from any directory', async () => {
  assertHelp(await run(LAUNCHER, ['--help'], { cwd: '/' }));
  assertHelp(await run('./ambit', ['--help'], { cwd: dirname(LAUNCHER) }));
  assertHelp(await run('bin/ambit', ['--help'], { cwd: ROOT }));
});

test('it runs as a plugin of kubectl: through a symbolic link of that name in a folder of PATH', async () => {
  const plugins = folder('plugins');
  symlinkSync(LAUNCHER, join(plugins, 'kubectl-ambit'));
  const env = { PATH: `${plugins}:${process.env.PATH}` };
  assertHelp(await run('kubectl-ambit', ['--help'], { cwd: scratch, env }));
});

test('it follows links to links, absolute and relative, and a link to its folder', async () => {
  const [one, two] = [folder('links', 'one'), folder('links', 'two')];
  symlinkSync(LAUNCHER, join(one, 'first'));
  symlinkSync('../one/first', join(two, 'second'));
  symlinkSync('two/second', join(scratch, 'links', 'third'));
  assertHelp(await run(join(scratch, 'links', 'third'), ['--help']));
  symlinkSync(dirname(LAUNCHER), join(scratch, 'commands'));
  assertHelp(await run(join(scratch, 'commands', 'ambit'), ['--help']));
});

test('it runs in a checkout whose path has spaces', async () => {
  const checkout = folder('a checkout', 'with spaces');
  for (const name of ['bin', 'src', 'node_modules', 'package.json']) {
    symlinkSync(join(ROOT, name), join(checkout, name));
  }
  rmSync(join(checkout, 'bin'));
  mkdirSync(join(checkout, 'bin'));
  copyFileSync(LAUNCHER, join(checkout, 'bin', 'ambit'));
  assertHelp(await run(join(checkout, 'bin', 'ambit'), ['--help']));
});

test('it is not misled by CDPATH', async () => {
  folder('elsewhere', 'bin');
  const env = { CDPATH: join(scratch, 'elsewhere') };
  assertHelp(await run('bin/ambit', ['--help'], { cwd: ROOT, env }));
});

test('arguments reach the program as they are', async () => {
  const outcome = await run(LAUNCHER, ['status', '--file', 'no such file *']);
  assert.match(outcome.stdout, /no such file \* cannot be read/);
});

test('without node_modules it says what is missing and what to do', async () => {
  const bin = folder('bare checkout', 'bin');
  copyFileSync(LAUNCHER, join(bin, 'ambit'));
  const outcome = await run(join(bin, 'ambit'), ['status']);
  const root = dirname(bin);
  assert.equal(outcome.code, 1);
  assert.equal(outcome.stdout, '');
  assert.equal(
    outcome.stderr,
    `ambit: Node 26 is missing: in a checkout run 'make setup' in ${root}, else install the npm package again with its scripts\n`,
  );
});
