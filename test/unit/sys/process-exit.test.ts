/** How processes end that have made native calls: real child processes. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const folder = mkdtempSync(join(tmpdir(), 'ambit-exit-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const module = (name: string): string =>
  JSON.stringify(new URL(`../../../src/sys/${name}.ts`, import.meta.url).href);
const EXIT = `import { exitProcess } from ${module('process-exit')};\n`;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(source: string, ...flags: string[]): Outcome {
  const file = join(folder, 'program.test.mjs');
  writeFileSync(file, EXIT + source);
  const args = ['--disable-warning=ExperimentalWarning', ...flags, file];
  // Otherwise node --test takes itself for a child of the runner of this file.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const result = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    env,
    timeout: 30_000,
    maxBuffer: 1e8,
  });
  return { status: result.status, stdout: result.stdout, stderr: result.stderr };
}

test('a program that ends by itself ends with 0, or with the exit code it has set', () => {
  assert.deepEqual(run("console.log('done');"), { status: 0, stdout: 'done\n', stderr: '' });
  assert.equal(run('process.exitCode = 7;').status, 7);
});

test('process.exit() and exitProcess() keep their code, and every exit listener is heard first', () => {
  const listeners = `process.on('exit', (code) => console.log('late', code));\n`;
  assert.deepEqual(run(`${listeners}process.exit(3);`), { status: 3, stdout: 'late 3\n', stderr: '' });
  assert.deepEqual(run(`${listeners}exitProcess(4);`), { status: 4, stdout: 'late 4\n', stderr: '' });
});

test('an exit listener may still change the code', () => {
  assert.equal(run(`process.on('exit', () => { process.exitCode = 9; });`).status, 9);
});

test('an exception that nobody catches is printed and makes the program fail', () => {
  for (const source of ["throw new Error('fatal one');", "Promise.reject(new Error('fatal one'));"]) {
    const outcome = run(source);
    assert.equal(outcome.status, 1);
    assert.match(outcome.stderr, /fatal one/);
  }
});

test('an exception that a listener caught does not change how the program ends', () => {
  const outcome = run(
    `process.on('uncaughtException', () => { process.exitCode = 5; }); setTimeout(() => { throw new Error('x'); });`,
  );
  assert.deepEqual(outcome, { status: 5, stdout: '', stderr: '' });
});

test('what was logged is written before the end', () => {
  const logModule = JSON.stringify(new URL('../../../src/telemetry/log.ts', import.meta.url).href);
  const outcome = run(
    `import { logger } from ${logModule}; logger('test').info('last words'); exitProcess(0);`,
  );
  assert.match(outcome.stdout, /last words/);
});

test('a long text on standard output arrives whole through a pipe', () => {
  const outcome = run("console.log('x'.repeat(5_000_000));");
  assert.equal(outcome.stdout.length, 5_000_001);
});

test('a worker may end the process, and one that sleeps in a system call does not keep it', () => {
  const reactor = JSON.stringify(new URL('../../../src/io/reactor.ts', import.meta.url).href);
  const ending = `new (await import('node:worker_threads')).Worker(
    'import(' + ${JSON.stringify(module('process-exit'))} + ').then((m) => m.exitProcess(6))', { eval: true });`;
  assert.equal(run(ending).status, 6);
  const sleeping = `const { Worker } = await import('node:worker_threads');
    const code = 'import(' + ${JSON.stringify(reactor)} + ').then((m) => {' +
      'const r = new m.Reactor(); require("node:worker_threads").parentPort.postMessage(1); r.run(); })';
    const worker = new Worker(code, { eval: true });
    worker.once('message', () => { worker.unref(); console.log('ready'); });`;
  assert.deepEqual(run(sleeping), { status: 0, stdout: 'ready\n', stderr: '' });
});

test('node --test still tells a failing test from a passing one', () => {
  const failing = `import { test } from 'node:test'; test('wrong', () => { throw new Error('failed on purpose'); });`;
  const outcome = run(failing, '--test');
  assert.equal(outcome.status, 1);
  assert.match(outcome.stdout, /failed on purpose/);
  assert.match(outcome.stdout, /fail 1/);
  const passing = run(`import { test } from 'node:test'; test('right', () => {});`, '--test');
  assert.equal(passing.status, 0);
  assert.match(passing.stdout, /pass 1/);
});

test('without node:ffi the error says what to do', () => {
  const outcome = run('', '--no-experimental-ffi');
  assert.equal(outcome.status, 1);
  assert.match(outcome.stderr, /AMBIT_RUNTIME_UNSUPPORTED/);
  assert.match(outcome.stderr, /node:ffi is switched off/);
});
