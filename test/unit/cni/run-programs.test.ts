/** Running programs: their input, output and end, several in one shell, and a bounded number at once. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { runProgram, runPrograms } from '../../../src/cni/run-programs.ts';
import { WorkLimit } from '../../../src/cni/work-limit.ts';

test('a program gets its input, and its output and status come back', async () => {
  const result = await runProgram({ argv: ['/bin/sh', '-c', 'cat; echo no >&2; exit 3'], input: 'yes\n' });
  assert.deepEqual(result, { status: 3, stdout: 'yes\n', stderr: 'no' });
});

test('a program that does not exist has the shell’s status for that', async () => {
  const result = await runProgram({ argv: ['/no/such/program'] });
  assert.equal(result.status, 127);
  assert.match(result.stderr, /not found/);
});

test('a program that prints without end is stopped, and the next one runs', async () => {
  await assert.rejects(runProgram({ argv: ['yes'] }), { code: 'AMBIT_CNI_PROGRAM_FAILED' });
  assert.equal((await runProgram({ argv: ['printf', 'next'] })).stdout, 'next');
});

test('a program that takes its shell with it is a failure, and the next one runs', async () => {
  const killed = await runProgram({ argv: ['/bin/sh', '-c', 'kill -9 $PPID'] });
  assert.notEqual(killed.status, 0);
  const killAll = runProgram({ argv: ['/bin/sh', '-c', 'kill -9 0'] });
  await assert.rejects(killAll, { code: 'AMBIT_CNI_PROGRAM_FAILED' });
  assert.equal((await runProgram({ argv: ['printf', 'next'] })).stdout, 'next');
});

test('programs run one after the other, and a failure of one does not keep the next', async () => {
  const results = await runPrograms([
    { argv: ['printf', 'a\nb'] },
    { argv: ['/no/such/program'] },
    { argv: ['cat'], input: "it's $HOME `x` \\n\n" },
    { argv: ['/bin/sh', '-c', 'echo warning >&2; exit 7'] },
  ]);
  assert.deepEqual(
    results.map((result) => [result.status, result.stdout]),
    [
      [0, 'a\nb'],
      [127, ''],
      [0, "it's $HOME `x` \\n\n"],
      [7, ''],
    ],
  );
  assert.match(results[1]!.stderr, /not found/);
  assert.equal(results[3]!.stderr, 'warning');
});

test('arguments and input arrive as they are, whatever they hold', async () => {
  const word = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((text) => !text.includes('\0'));
  await fc.assert(
    fc.asyncProperty(word, word, async (argument, input) => {
      const [first, second] = await runPrograms([
        { argv: ['printf', '%s', argument] },
        { argv: ['cat'], input: `${input}\n` },
      ]);
      assert.deepEqual([first!.stdout, second!.stdout], [argument, `${input}\n`]);
    }),
    { numRuns: 50 },
  );
});

test('long input and long output arrive whole, many at once', async () => {
  const lines = 'a rule of some length\n'.repeat(20_000);
  const results = await Promise.all(
    Array.from({ length: 8 }, () => runProgram({ argv: ['cat'], input: lines })),
  );
  for (const result of results) assert.equal(result.stdout, lines);
});

test('no more tasks run at once than the limit, all are run, and urgent ones go first', async () => {
  const limit = new WorkLimit(2);
  let running = 0;
  let most = 0;
  const order: string[] = [];
  const task = (name: string) => async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
    order.push(name);
    if (name === 'c') throw new Error('c');
  };
  const results = await Promise.allSettled([
    limit.run(task('a')),
    limit.run(task('b')),
    limit.run(task('c')),
    limit.run(task('d')),
    limit.run(task('urgent'), true),
  ]);
  assert.deepEqual([most, running, order.length], [2, 0, 5]);
  assert.ok(order.indexOf('urgent') < order.indexOf('d'));
  assert.deepEqual(
    results.map((result) => result.status).filter((status) => status === 'rejected').length,
    1,
  );
  assert.equal(await limit.run(async () => 'free'), 'free');
});
