/** The rules of many policies, found by what a connection must have for them to match. */

import type { Cidr } from '../base/ip.ts';
import type { AuthorizationMatch, StringMatch } from './authorization.ts';
import type { CompiledMatch, CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import type { PolicySubject } from './policy-subject.ts';
import {
  AffixBuckets,
  BlockBuckets,
  type Bucket,
  ExactBuckets,
  firstIn,
  type RuleBuckets,
  removeRule,
} from './rule-buckets.ts';

type KeyValue = string | number | Cidr;

/** One place where a rule is filed. */
interface RuleKey {
  readonly buckets: RuleBuckets<KeyValue>;
  readonly value: KeyValue;
}

/** The buckets of a text by how it may be compared. */
interface TextBuckets {
  readonly exact: RuleBuckets<string>;
  readonly prefix: RuleBuckets<string>;
  readonly suffix: RuleBuckets<string>;
}

function textBuckets(textOf: (subject: PolicySubject) => string): TextBuckets {
  return {
    exact: new ExactBuckets(textOf),
    prefix: AffixBuckets.byPrefix(textOf),
    suffix: AffixBuckets.bySuffix(textOf),
  };
}

/**
 * Ten thousand policies of one namespace must not cost ten thousand comparisons per connection. A rule is filed under
 * the values of one of its clauses, which is enough because all clauses must match: whatever connection can satisfy the
 * rule has one of them. Of the clauses and attributes that offer themselves it takes those whose buckets are emptiest.
 * Rules that only say what a connection must not have are asked each time.
 */
export class RuleTable {
  readonly #principals = textBuckets((subject) => subject.principal);
  readonly #serviceAccounts = new ExactBuckets<string>((subject) => subject.serviceAccount);
  readonly #sourceIps = new BlockBuckets((subject) => subject.sourceWords);
  readonly #ports = new ExactBuckets<number>((subject) => subject.destinationPort);
  readonly #namespaces = textBuckets((subject) => subject.namespace);
  /** Those of the above that a rule was ever filed in. */
  readonly #used: RuleBuckets<KeyValue>[] = [];
  readonly #unfiled: Bucket = [];
  readonly #keys = new Map<CompiledRule, readonly RuleKey[]>();
  #policies = 0;

  /** Policies added, those that can never match included. */
  get policyCount(): number {
    return this.#policies;
  }

  add(policy: CompiledPolicy): void {
    this.#policies++;
    for (const rule of policy.rules) if (rule.canMatch) this.#addRule(rule);
  }

  remove(policy: CompiledPolicy): void {
    this.#policies--;
    for (const rule of policy.rules) this.#removeRule(rule);
  }

  /** A policy that matches, or undefined when none does. */
  firstMatch(subject: PolicySubject): CompiledPolicy | undefined {
    for (const buckets of this.#used) {
      const found = buckets.firstMatch(subject);
      if (found !== undefined) return found;
    }
    return firstIn(this.#unfiled, subject);
  }

  #addRule(rule: CompiledRule): void {
    const keys = this.#keysOfRule(rule);
    if (keys === undefined) {
      this.#unfiled.push(rule);
      return;
    }
    this.#keys.set(rule, keys);
    for (const { buckets, value } of keys) {
      buckets.file(value, rule);
      if (!this.#used.includes(buckets)) this.#used.push(buckets);
    }
  }

  #removeRule(rule: CompiledRule): void {
    const keys = this.#keys.get(rule);
    if (keys === undefined) return removeRule(this.#unfiled, rule);
    this.#keys.delete(rule);
    for (const { buckets, value } of keys) buckets.unfile(value, rule);
  }

  /** Those of the clause with the emptiest buckets; undefined when every clause has a match that names no value. */
  #keysOfRule(rule: CompiledRule): readonly RuleKey[] | undefined {
    return leastCrowded(rule.clauses.map((clause) => this.#keysOfClause(clause)));
  }

  /** The keys of all its matches together, since any of them satisfies the clause. */
  #keysOfClause(matches: readonly CompiledMatch[]): readonly RuleKey[] | undefined {
    const keys: RuleKey[] = [];
    for (const match of matches) {
      if (match.isEmpty) continue;
      const ofMatch = leastCrowded(this.#keysOfAttributes(match.source));
      if (ofMatch === undefined) return undefined;
      keys.push(...ofMatch);
    }
    return keys;
  }

  /** For each attribute the keys one of which a matching connection has; the most telling attribute first. */
  #keysOfAttributes(match: AuthorizationMatch): readonly (readonly RuleKey[] | undefined)[] {
    const accounts = match.serviceAccounts.map((one) => `${one.namespace}/${one.serviceAccount}`);
    return [
      textKeys(match.principals, this.#principals),
      accounts.map((value) => keyIn(this.#serviceAccounts, value)),
      match.sourceIps.map((value) => keyIn(this.#sourceIps, value)),
      match.destinationPorts.map((value) => keyIn(this.#ports, value)),
      textKeys(match.namespaces, this.#namespaces),
    ];
  }
}

function keyIn<K extends KeyValue>(buckets: RuleBuckets<K>, value: K): RuleKey {
  return { buckets: buckets as RuleBuckets<never>, value };
}

/** Undefined when one of the matches asks for no more than presence. */
function textKeys(matches: readonly StringMatch[], buckets: TextBuckets): readonly RuleKey[] | undefined {
  const keys: RuleKey[] = [];
  for (const match of matches) {
    if (match.kind === 'presence') return undefined;
    keys.push(keyIn(buckets[match.kind], match.value));
  }
  return keys;
}

/** The first of the choices whose fullest bucket is the emptiest; those without keys do not count. */
function leastCrowded(choices: readonly (readonly RuleKey[] | undefined)[]): readonly RuleKey[] | undefined {
  let best: readonly RuleKey[] | undefined;
  let bestCrowd = Number.POSITIVE_INFINITY;
  for (const keys of choices) {
    if (keys === undefined || keys.length === 0) continue;
    const crowd = crowdOf(keys);
    if (crowd < bestCrowd) [best, bestCrowd] = [keys, crowd];
  }
  return best;
}

function crowdOf(keys: readonly RuleKey[]): number {
  let crowd = 0;
  for (const { buckets, value } of keys) crowd = Math.max(crowd, buckets.get(value)?.length ?? 0);
  return crowd;
}
