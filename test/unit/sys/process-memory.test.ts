/** What a process keeps of the memory that its start took. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

const MODULE = new URL('../../../src/sys/process-memory.ts', import.meta.url).href;

const PRELUDE = `
  import { readFileSync } from 'node:fs';
  import * as memory from '${MODULE}';
  const kib = (name) => Number.parseInt(readFileSync('/proc/self/status', 'utf8').split(name + ':')[1], 10);
`;

/** Runs a script in a process of its own, which prints what it finds. */
function run(script: string): Record<string, number> {
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', PRELUDE + script];
  return JSON.parse(execFileSync(process.execPath, flags, { encoding: 'utf8', timeout: 60_000 }));
}

test('pages of the program that its start alone needed leave the process, which goes on', () => {
  const { before, after, sum } = run(`
    await import('node:http2');
    const before = kib('RssFile');
    memory.releaseProcessMemory();
    const after = kib('RssFile');
    const { createHash } = await import('node:crypto');
    const digest = createHash('sha256').update('still here').digest();
    console.log(JSON.stringify({ before, after, sum: digest.length + JSON.parse('[1,2]').length }));
  `);
  assert.ok(after! < before! / 2, `${before} KiB of files before, ${after} after`);
  assert.equal(sum, 34);
});

/** Leaves what a large read leaves, and prints how much of it is in the process before and after. */
const LITTER = `
  let garbage = Array.from({ length: 300_000 }, (_, i) => ({ i, text: 'item ' + i }));
  const before = kib('RssAnon');
  garbage = undefined;
  memory.releaseThreadMemory();
  console.log(JSON.stringify({ before, after: kib('RssAnon') }));
`;

test('garbage of the main thread goes back to the kernel', () => {
  const { before, after } = run(LITTER);
  assert.ok(after! < before! - 10 * 1024, `${before} KiB before, ${after} after`);
});

test('garbage of another thread goes back to the kernel', () => {
  const code = encodeURIComponent(PRELUDE + LITTER);
  const { before, after } = run(`
    import { Worker } from 'node:worker_threads';
    memory.keepMemorySmall();
    new Worker(new URL('data:text/javascript,${code.replaceAll("'", '%27')}'));
  `);
  assert.ok(after! < before! - 10 * 1024, `${before} KiB before, ${after} after`);
});
