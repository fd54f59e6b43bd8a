/** What the fuzzer runs: a parser, inputs to begin with, and what it may answer. */

import assert from 'node:assert/strict';
import { AmbitError } from '../../src/base/errors.ts';

export interface FuzzTarget {
  readonly name: string;
  /** Sound inputs, small. */
  readonly seeds: () => readonly Uint8Array[];
  /** Pieces that occur in inputs, for those that chance would not find. */
  readonly words?: readonly string[];
  /**
   * Feeds the parser and checks what must hold of its answer. Returns in few words what came of it: an input with a new
   * answer is kept and built upon. Whatever it throws is a finding.
   */
  readonly run: (input: Uint8Array) => string;
}

const decoder = new TextDecoder();

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** As UTF-8, wrong bytes replaced. */
export function textOf(input: Uint8Array): string {
  return decoder.decode(input);
}

/** A target whose parser takes text. */
export function textTarget(target: {
  readonly name: string;
  readonly seeds: () => readonly string[];
  readonly words?: readonly string[];
  readonly run: (text: string) => string;
}): FuzzTarget {
  const { name, seeds, words, run } = target;
  return {
    name,
    seeds: () => seeds().map(bytesOf),
    ...(words !== undefined && { words }),
    run: (input) => run(textOf(input)),
  };
}

/** Lets the documented errors pass as answers: those with a code of ours. */
export function documented(run: () => string): string {
  try {
    return run();
  } catch (thrown) {
    if (thrown instanceof AmbitError) return `${thrown.code} ${kindOf(thrown.message)}`;
    throw thrown;
  }
}

/** The same without the message, where that repeats the input. */
export function codeOf(run: () => string): string {
  return documented(run).split(' ', 1)[0]!;
}

/** A message without what it quotes from the input. */
export function kindOf(message: string): string {
  return message
    .replaceAll(/"[^"]*"?/g, '""')
    .replaceAll(/[0-9a-f]*\d[0-9a-f]*/gi, '0')
    .slice(0, 120);
}

/** How large something is, roughly: so that growth is a new answer, but not each step of it. */
export function magnitude(count: number): number {
  return 32 - Math.clz32(count);
}

/** What was parsed, written out and parsed again is the same. */
export function sameAgain<T>(value: T, write: (value: T) => string, parse: (text: string) => T): void {
  assert.deepEqual(parse(write(value)), value);
}
