/** The lists of a policy's match in the form in which asking them is cheapest. */

import type { Cidr } from '../base/ip.ts';
import type { StringMatch } from './authorization.ts';
import { CidrTable } from './cidr-table.ts';
import { type IpWords, wordsOfBytes } from './ip-words.ts';

/** Up to this many exact strings are compared one by one, which is faster than hashing a fresh string. */
const LINEAR_STRINGS = 4;

export class StringMatcher {
  readonly #few: readonly string[];
  readonly #many: ReadonlySet<string> | undefined;
  readonly #prefixes: readonly string[];
  readonly #suffixes: readonly string[];
  readonly #presence: boolean;

  constructor(matches: readonly StringMatch[]) {
    const exact = valuesOf(matches, 'exact');
    this.#few = exact.length <= LINEAR_STRINGS ? exact : [];
    this.#many = exact.length <= LINEAR_STRINGS ? undefined : new Set(exact);
    this.#prefixes = valuesOf(matches, 'prefix');
    this.#suffixes = valuesOf(matches, 'suffix');
    this.#presence = matches.some((match) => match.kind === 'presence');
  }

  matches(value: string): boolean {
    if (this.#presence && value !== '') return true;
    for (const exact of this.#few) if (exact === value) return true;
    if (this.#many?.has(value)) return true;
    for (const prefix of this.#prefixes) if (value.startsWith(prefix)) return true;
    for (const suffix of this.#suffixes) if (value.endsWith(suffix)) return true;
    return false;
  }
}

export class BlockMatcher {
  readonly #table = new CidrTable<true>();

  constructor(blocks: readonly Cidr[]) {
    for (const block of blocks) this.#table.set(wordsOfBytes(block.bytes), block.prefixLength, true);
  }

  matches(words: IpWords): boolean {
    return this.#table.covers(words);
  }
}

function valuesOf(matches: readonly StringMatch[], kind: 'exact' | 'prefix' | 'suffix'): readonly string[] {
  return matches.flatMap((match) => (match.kind !== 'presence' && match.kind === kind ? [match.value] : []));
}
