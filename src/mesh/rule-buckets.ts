/** Rules filed under values that a connection can have, with a look-up for each way of comparing. */

import type { Cidr } from '../base/ip.ts';
import { CidrTable } from './cidr-table.ts';
import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import { type IpWords, wordsOfBytes } from './ip-words.ts';
import type { PolicySubject } from './policy-subject.ts';

export type Bucket = CompiledRule[];

export interface RuleBuckets<K> {
  get(key: K): Bucket | undefined;
  /** Files a rule; a second time under the same key is without effect as long as no other rule came in between. */
  file(key: K, rule: CompiledRule): void;
  unfile(key: K, rule: CompiledRule): void;
  /** The policy of a filed rule that matches. */
  firstMatch(subject: PolicySubject): CompiledPolicy | undefined;
}

/** The policy of a rule of the bucket that matches. */
export function firstIn(bucket: Bucket | undefined, subject: PolicySubject): CompiledPolicy | undefined {
  if (bucket === undefined) return undefined;
  for (const rule of bucket) if (rule.matches(subject)) return rule.policy;
  return undefined;
}

/** The order within a bucket carries no meaning, so the last rule takes the free place. */
export function removeRule(bucket: Bucket, rule: CompiledRule): void {
  const at = bucket.indexOf(rule);
  if (at < 0) return;
  const last = bucket.pop()!;
  if (last !== rule) bucket[at] = last;
}

function fileIn(bucket: Bucket | undefined, rule: CompiledRule): Bucket {
  if (bucket === undefined) return [rule];
  if (bucket.at(-1) !== rule) bucket.push(rule);
  return bucket;
}

/** By a value that the connection has exactly. */
export class ExactBuckets<K extends string | number> implements RuleBuckets<K> {
  readonly #buckets = new Map<K, Bucket>();
  readonly #keyOf: (subject: PolicySubject) => K;

  constructor(keyOf: (subject: PolicySubject) => K) {
    this.#keyOf = keyOf;
  }

  get(key: K): Bucket | undefined {
    return this.#buckets.get(key);
  }

  file(key: K, rule: CompiledRule): void {
    this.#buckets.set(key, fileIn(this.#buckets.get(key), rule));
  }

  unfile(key: K, rule: CompiledRule): void {
    const bucket = this.#buckets.get(key);
    if (bucket === undefined) return;
    removeRule(bucket, rule);
    if (bucket.length === 0) this.#buckets.delete(key);
  }

  firstMatch(subject: PolicySubject): CompiledPolicy | undefined {
    return this.#buckets.size === 0 ? undefined : firstIn(this.#buckets.get(this.#keyOf(subject)), subject);
  }
}

/** By the beginning or the end of a text: one table for each length in use. */
export class AffixBuckets implements RuleBuckets<string> {
  readonly #byLength = new Map<number, ExactBuckets<string>>();
  readonly #affixOf: (subject: PolicySubject, length: number) => string;

  private constructor(affixOf: (subject: PolicySubject, length: number) => string) {
    this.#affixOf = affixOf;
  }

  static byPrefix(textOf: (subject: PolicySubject) => string): AffixBuckets {
    return new AffixBuckets((subject, length) => textOf(subject).slice(0, length));
  }

  static bySuffix(textOf: (subject: PolicySubject) => string): AffixBuckets {
    return new AffixBuckets((subject, length) => {
      const text = textOf(subject);
      return text.slice(Math.max(0, text.length - length));
    });
  }

  get(key: string): Bucket | undefined {
    return this.#byLength.get(key.length)?.get(key);
  }

  file(key: string, rule: CompiledRule): void {
    const { length } = key;
    let buckets = this.#byLength.get(length);
    if (buckets === undefined) {
      buckets = new ExactBuckets((subject) => this.#affixOf(subject, length));
      this.#byLength.set(length, buckets);
    }
    buckets.file(key, rule);
  }

  unfile(key: string, rule: CompiledRule): void {
    this.#byLength.get(key.length)?.unfile(key, rule);
  }

  firstMatch(subject: PolicySubject): CompiledPolicy | undefined {
    if (this.#byLength.size === 0) return undefined;
    for (const buckets of this.#byLength.values()) {
      const found = buckets.firstMatch(subject);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** By a block that holds an address of the connection. */
export class BlockBuckets implements RuleBuckets<Cidr> {
  readonly #table = new CidrTable<Bucket>();
  readonly #wordsOf: (subject: PolicySubject) => IpWords;

  constructor(wordsOf: (subject: PolicySubject) => IpWords) {
    this.#wordsOf = wordsOf;
  }

  get(key: Cidr): Bucket | undefined {
    return this.#table.at(wordsOfBytes(key.bytes), key.prefixLength);
  }

  file(key: Cidr, rule: CompiledRule): void {
    this.#table.set(wordsOfBytes(key.bytes), key.prefixLength, fileIn(this.get(key), rule));
  }

  unfile(key: Cidr, rule: CompiledRule): void {
    const bucket = this.get(key);
    if (bucket === undefined) return;
    removeRule(bucket, rule);
    if (bucket.length === 0) this.#table.delete(wordsOfBytes(key.bytes), key.prefixLength);
  }

  firstMatch(subject: PolicySubject): CompiledPolicy | undefined {
    if (this.#table.isEmpty) return undefined;
    const words = this.#wordsOf(subject);
    for (const length of this.#table.lengths(words.family)) {
      const found = firstIn(this.#table.at(words, length), subject);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
