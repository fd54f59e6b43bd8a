/** Every fuzz target stands its seeds and what it did not stand once; the fuzzer itself repeats what it is seeded with. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedInputs } from '../../fuzz/corpus.ts';
import { bytesOf, type FuzzTarget } from '../../fuzz/fuzz-target.ts';
import { Fuzzer } from '../../fuzz/fuzzer.ts';
import { TARGETS } from '../../fuzz/targets.ts';

/** Besides what is committed. */
const MUTATED = 200;
const SEED = 20_261_128;

for (const target of TARGETS) {
  test(`${target.name} stands its seeds, its old findings and some inputs made of them`, () => {
    const fuzzer = new Fuzzer(target, SEED);
    for (const input of committedInputs(target)) fuzzer.feed(input);
    for (let i = 0; i < MUTATED; i++) fuzzer.feed(fuzzer.next());
    assert.deepEqual(
      fuzzer.findings.map(({ what }) => what),
      [],
    );
    assert.ok(fuzzer.answers > 1, 'every input has the same answer');
  });
}

/** Breaks at one byte in one place, and dawdles at another. */
const FRAGILE: FuzzTarget = {
  name: 'fragile',
  seeds: () => [bytesOf('hello')],
  words: ['boom'],
  run: (input) => {
    const text = Buffer.from(input).toString('latin1');
    if (text.startsWith('boom')) throw new TypeError('boom');
    return text.slice(0, 2);
  },
};

function inputsOf(seed: number): readonly string[] {
  const fuzzer = new Fuzzer(FRAGILE, seed);
  for (const input of FRAGILE.seeds()) fuzzer.feed(input);
  return Array.from({ length: 300 }, () => {
    const input = fuzzer.next();
    fuzzer.feed(input);
    return Buffer.from(input).toString('hex');
  });
}

test('the same seed makes the same inputs, another one makes others', () => {
  assert.deepEqual(inputsOf(1), inputsOf(1));
  assert.notDeepEqual(inputsOf(1), inputsOf(2));
});

test('what a target throws is found once, with the input', () => {
  const fuzzer = new Fuzzer(FRAGILE, 1);
  for (const input of FRAGILE.seeds()) fuzzer.feed(input);
  for (let i = 0; i < 20_000; i++) fuzzer.feed(fuzzer.next());
  assert.equal(fuzzer.findings.length, 1);
  const [{ what, input }] = fuzzer.findings as [(typeof fuzzer.findings)[number]];
  assert.match(what, /^TypeError: boom/);
  assert.match(Buffer.from(input).toString('latin1'), /^boom/);
});
