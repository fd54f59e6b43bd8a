/** Runs one target with inputs out of each other, and keeps those that had a new answer. */

import { Random } from '../support/random.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { Mutator } from './mutator.ts';

/** An input of 16 KiB must be done within this time, whatever it is; measured thrice, as others use the machine too. */
const SLOW_MS = 100;
const MICROSECONDS = 1000;
const MEASURED = 3;
/** Inputs with a new answer beyond it take the place of others. */
const MAX_CORPUS = 2000;
/** Of one target; behind the first ones there is rarely a new cause. */
const MAX_FINDINGS = 5;

export interface Finding {
  readonly what: string;
  readonly input: Uint8Array;
}

export class Fuzzer {
  readonly findings: Finding[] = [];
  readonly #target: FuzzTarget;
  readonly #random: Random;
  readonly #mutator: Mutator;
  readonly #corpus: Uint8Array[] = [];
  readonly #answers = new Set<string>();
  readonly #causes = new Set<string>();
  #runs = 0;

  constructor(target: FuzzTarget, seed: number) {
    this.#target = target;
    this.#random = new Random(seed);
    this.#mutator = new Mutator(this.#random, target.words ?? []);
  }

  get runs(): number {
    return this.#runs;
  }

  get answers(): number {
    return this.#answers.size;
  }

  /** Inputs whose answers were new. */
  get corpus(): readonly Uint8Array[] {
    return this.#corpus;
  }

  /** Enough was found. */
  get isDone(): boolean {
    return this.findings.length >= MAX_FINDINGS;
  }

  /** The input that follows. */
  next(): Uint8Array {
    const from = this.#random.oneOf(this.#corpus);
    return this.#mutator.mutate(from, this.#random.oneOf(this.#corpus));
  }

  /** Runs the target once. */
  feed(input: Uint8Array): void {
    this.#runs++;
    const start = performance.now();
    try {
      this.#note(this.#target.run(input), input);
    } catch (thrown) {
      if (this.#corpus.length === 0) this.#corpus.push(input);
      this.#find(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown), input);
    }
    if (performance.now() - start > SLOW_MS && this.#isSlow(input))
      this.#find(`slower than ${SLOW_MS} ms`, input);
  }

  #note(answer: string, input: Uint8Array): void {
    // The first input is kept in any case, so that there is something to begin with.
    if (this.#answers.has(answer) && this.#corpus.length > 0) return;
    this.#answers.add(answer);
    if (this.#corpus.length < MAX_CORPUS) this.#corpus.push(input);
    else this.#corpus[this.#random.below(MAX_CORPUS)] = input;
  }

  /** By the time of the processor: what other programs take is not the input's fault. */
  #isSlow(input: Uint8Array): boolean {
    for (let i = 0; i < MEASURED; i++) {
      const before = process.threadCpuUsage();
      try {
        this.#target.run(input);
      } catch {
        return false;
      }
      const { user, system } = process.threadCpuUsage(before);
      if (user + system <= SLOW_MS * MICROSECONDS) return false;
    }
    return true;
  }

  /** Once for each place that it comes from. */
  #find(what: string, input: Uint8Array): void {
    const cause = what
      .split('\n')
      .filter((line) => line.trimStart().startsWith('at '))
      .slice(0, 3)
      .join();
    if (this.#causes.has(cause)) return;
    this.#causes.add(cause);
    this.findings.push({ what, input });
  }
}
