/** What a process keeps of the memory that its start took. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { YOUNG_GENERATION_MB } from '../../../src/sys/process-memory.ts';

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

/** Leaves what a large read leaves, and prints how much of it is in the process before and after it was released. */
const litter = (release: string) => `
  const never = new Int32Array(new SharedArrayBuffer(4));
  let garbage = Array.from({ length: 300_000 }, (_, i) => ({ i, text: 'item ' + i }));
  const before = kib('RssAnon');
  garbage = undefined;
  ${release}
  console.log(JSON.stringify({ before, after: kib('RssAnon') }));
`;

/** In a thread whose heap has the limits of a reactor, and which like one never runs Node's event loop unless it waits. */
function runInThread(script: string, setting = 'memory.collectOften();'): Record<string, number> {
  const code = encodeURIComponent(PRELUDE + script).replaceAll("'", '%27');
  return run(`
    import { Worker } from 'node:worker_threads';
    memory.keepMemorySmall();
    ${setting}
    new Worker(new URL('data:text/javascript,${code}'), {
      resourceLimits: { maxOldGenerationSizeMb: 1024, maxYoungGenerationSizeMb: memory.YOUNG_GENERATION_MB },
    });
  `);
}

test('garbage of the main thread goes back to the kernel', () => {
  const { before, after } = run(litter('memory.releaseThreadMemory();'));
  assert.ok(after! < before! - 10 * 1024, `${before} KiB before, ${after} after`);
});

test('garbage of another thread goes back to the kernel', () => {
  const { before, after } = runInThread(litter('memory.releaseThreadMemory();'));
  assert.ok(after! < before! - 10 * 1024, `${before} KiB before, ${after} after`);
});

test('it does so in steps as well', () => {
  const { before, after } = runInThread(
    litter(`
      for (let step = 0; step < memory.COLLECTION_STEPS; step++) {
        memory.collectThreadStep();
        Atomics.wait(never, 0, 0, 250);
      }
    `),
  );
  assert.ok(after! < before! - 10 * 1024, `${before} KiB before, ${after} after`);
});

test('free blocks of the allocator go back to the kernel from between those in use', () => {
  const { before, after } = run(`
    memory.keepMemorySmall();
    const blocks = Array.from({ length: 2000 }, () => [new Uint8Array(32 * 1024).fill(1), new Uint8Array(512)]);
    const kept = blocks.map(([, small]) => small);
    blocks.length = 0;
    memory.releaseThreadMemory();
    const before = kib('RssAnon');
    memory.releaseFreeBlocks();
    console.log(JSON.stringify({ before, after: kib('RssAnon'), kept: kept.length }));
  `);
  assert.ok(after! < before! - 32 * 1024, `${before} KiB before, ${after} after`);
});

/**
 * Lets objects live just long enough to be promoted, at a pace that leaves V8 time to mark beside it, and prints by how many
 * bytes they grew at most.
 */
const PROMOTED = `
  const { getHeapSpaceStatistics } = await import('node:v8');
  const oldSpace = () => getHeapSpaceStatistics().find((space) => space.space_name === 'old_space').space_used_size;
  const live = Array.from({ length: 60_000 }, (_, i) => ({ i, text: 'item ' + i }));
  memory.releaseThreadMemory();
  const before = oldSpace();
  const never = new Int32Array(new SharedArrayBuffer(4));
  let growth = 0;
  for (let i = 0; i < 300_000; i++) {
    live[i % live.length] = { i, text: 'item ' + i };
    if (i % 500 !== 0) continue;
    growth = Math.max(growth, oldSpace() - before);
    Atomics.wait(never, 0, 0, 1);
  }
  console.log(JSON.stringify({ growth }));
`;

test('garbage that was promoted is collected in small portions where that was asked for', () => {
  const [often, seldom] = [runInThread(PROMOTED).growth!, runInThread(PROMOTED, '').growth!];
  assert.ok(often < seldom * 0.75, `${often} bytes, ${seldom} where it was not`);
});

test('what is set before threads start leaves compiled code of use to them', () => {
  const { before, after } = run(`
    const { cachedDataVersionTag } = await import('node:v8');
    const before = cachedDataVersionTag();
    memory.keepMemorySmall();
    console.log(JSON.stringify({ before, after: cachedDataVersionTag() }));
  `);
  assert.equal(after, before);
});

test('the young generation of a thread has its size from the start', () => {
  const { capacity } = runInThread(
    `
    const { getHeapSpaceStatistics } = await import('node:v8');
    const space = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space');
    console.log(JSON.stringify({ capacity: space.space_used_size + space.space_available_size }));
  `,
    '',
  );
  assert.equal(Math.round(capacity! / 2 ** 20), YOUNG_GENERATION_MB / 3);
});

test('what a busy place in the program makes is collected young, although what it made before lives long', () => {
  const { full, young } = runInThread(`
    const { PerformanceObserver, constants } = await import('node:perf_hooks');
    const counts = { full: 0, young: 0 };
    const seen = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        counts[detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR ? 'full' : 'young']++;
      }
    });
    seen.observe({ entryTypes: ['gc'] });
    const field = (i) => ['name ' + i, 'value ' + i];
    const lasting = Array.from({ length: 60_000 }, (_, i) => field(i));
    const table = new Array(30).fill(undefined);
    for (let i = 0; i < 6_000_000; i++) table[i % table.length] = field(i);
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(JSON.stringify({ ...counts, lasting: lasting.length }));
  `);
  assert.ok(young! > 100, `${young} young collections`);
  assert.ok(full! < young! / 50, `${full} full collections, ${young} young ones`);
});
