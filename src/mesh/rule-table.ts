/** The rules of many policies, found by an exact value that a connection must have for them to match. */

import { ipFromBytes } from '../base/ip.ts';
import type { AuthorizationMatch } from './authorization.ts';
import type { CompiledPolicy, CompiledRule } from './compiled-policy.ts';
import type { PolicySubject } from './policy-subject.ts';
import { exactValues } from './value-matchers.ts';

/** Attributes that rules are found by, the most telling first. */
const ANCHOR_KINDS = ['principal', 'serviceAccount', 'sourceIp', 'destinationPort', 'namespace'] as const;
type AnchorKind = (typeof ANCHOR_KINDS)[number];
type AnchorValue = string | number;
type Bucket = CompiledRule[];

/** Under one of these values every connection that can satisfy the rule is found. */
interface Anchor {
  readonly kind: AnchorKind;
  readonly values: readonly AnchorValue[];
}

/**
 * Ten thousand policies of one namespace must not cost ten thousand comparisons per connection. A rule is filed under
 * the values of one of its clauses, which is enough because all clauses must match; of the clauses that offer
 * themselves it takes the one whose buckets are emptiest. Rules that name no exact value are asked each time.
 */
export class RuleTable {
  readonly #buckets: Readonly<Record<AnchorKind, Map<AnchorValue, Bucket>>> = {
    principal: new Map(),
    serviceAccount: new Map(),
    sourceIp: new Map(),
    destinationPort: new Map(),
    namespace: new Map(),
  };
  readonly #unanchored: Bucket = [];
  readonly #anchors = new Map<CompiledRule, readonly Anchor[]>();
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
    const buckets = this.#buckets;
    return (
      firstIn(this.#unanchored, subject) ??
      firstIn(buckets.principal.get(subject.principal), subject) ??
      firstIn(buckets.serviceAccount.get(subject.serviceAccount), subject) ??
      firstIn(buckets.sourceIp.get(subject.sourceIp), subject) ??
      firstIn(buckets.destinationPort.get(subject.destinationPort), subject) ??
      firstIn(buckets.namespace.get(subject.namespace), subject)
    );
  }

  #addRule(rule: CompiledRule): void {
    const anchors = this.#anchorsOf(rule);
    if (anchors === undefined) {
      this.#unanchored.push(rule);
      return;
    }
    this.#anchors.set(rule, anchors);
    for (const { kind, values } of anchors) {
      for (const value of values) {
        const bucket = this.#buckets[kind].get(value);
        if (bucket === undefined) this.#buckets[kind].set(value, [rule]);
        else if (bucket.at(-1) !== rule) bucket.push(rule);
      }
    }
  }

  #removeRule(rule: CompiledRule): void {
    const anchors = this.#anchors.get(rule);
    if (anchors === undefined) return removeFrom(this.#unanchored, rule);
    this.#anchors.delete(rule);
    for (const { kind, values } of anchors) {
      for (const value of values) {
        const bucket = this.#buckets[kind].get(value);
        if (bucket === undefined) continue;
        removeFrom(bucket, rule);
        if (bucket.length === 0) this.#buckets[kind].delete(value);
      }
    }
  }

  /** One anchor for each match of the clause with the emptiest buckets; undefined when no clause has them all. */
  #anchorsOf(rule: CompiledRule): readonly Anchor[] | undefined {
    let best: readonly Anchor[] | undefined;
    let bestCrowd = Number.POSITIVE_INFINITY;
    for (const clause of rule.clauses) {
      const anchors = clause.filter((match) => !match.isEmpty).map((match) => this.#anchorOf(match.source));
      if (anchors.length === 0 || !anchors.every((anchor) => anchor !== undefined)) continue;
      const crowd = Math.max(...anchors.map((anchor) => this.#crowd(anchor)));
      if (crowd < bestCrowd) [best, bestCrowd] = [anchors, crowd];
    }
    return best;
  }

  #anchorOf(match: AuthorizationMatch): Anchor | undefined {
    let best: Anchor | undefined;
    let bestCrowd = Number.POSITIVE_INFINITY;
    for (const kind of ANCHOR_KINDS) {
      const values = anchorValues(match, kind);
      if (values === undefined || values.length === 0) continue;
      const crowd = this.#crowd({ kind, values });
      if (crowd < bestCrowd) [best, bestCrowd] = [{ kind, values }, crowd];
    }
    return best;
  }

  /** How many rules share the fullest bucket. */
  #crowd(anchor: Anchor): number {
    let crowd = 0;
    for (const value of anchor.values) {
      crowd = Math.max(crowd, this.#buckets[anchor.kind].get(value)?.length ?? 0);
    }
    return crowd;
  }
}

function anchorValues(match: AuthorizationMatch, kind: AnchorKind): readonly AnchorValue[] | undefined {
  switch (kind) {
    case 'principal':
      return exactValues(match.principals);
    case 'serviceAccount':
      return match.serviceAccounts.map((one) => `${one.namespace}/${one.serviceAccount}`);
    case 'sourceIp':
      return match.sourceIps.every((block) => block.prefixLength === block.bytes.length * 8)
        ? match.sourceIps.map((block) => ipFromBytes(block.bytes)!)
        : undefined;
    case 'destinationPort':
      return match.destinationPorts;
    case 'namespace':
      return exactValues(match.namespaces);
  }
}

function firstIn(bucket: Bucket | undefined, subject: PolicySubject): CompiledPolicy | undefined {
  if (bucket === undefined) return undefined;
  for (const rule of bucket) if (rule.matches(subject)) return rule.policy;
  return undefined;
}

/** The order within a bucket carries no meaning, so the last one takes the free place. */
function removeFrom(bucket: Bucket, rule: CompiledRule): void {
  const at = bucket.indexOf(rule);
  if (at < 0) return;
  const last = bucket.pop()!;
  if (last !== rule) bucket[at] = last;
}
