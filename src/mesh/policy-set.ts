/** The policies that apply to one workload. */

import type { AuthorizationAction } from './authorization.ts';
import type { CompiledPolicy } from './compiled-policy.ts';
import type { PolicyGroup } from './policy-group.ts';
import type { PolicySubject } from './policy-subject.ts';
import type { RuleTable } from './rule-table.ts';

type Tables = Readonly<Record<AuthorizationAction, readonly RuleTable[]>>;

/** Policies of whole groups, and of their tables those that have something to say: what every decision asks first. */
export class GroupedPolicies {
  readonly groups: readonly PolicyGroup[];
  readonly enforced: Tables;
  /** Those of dry-run policies as well. */
  readonly rehearsed: Tables;

  constructor(groups: readonly PolicyGroup[]) {
    this.groups = groups;
    const enforced = (action: AuthorizationAction) => groups.map((group) => group.enforced(action));
    const rehearsed = (action: AuthorizationAction) =>
      groups.flatMap((group) => [group.enforced(action), group.dryRun(action)]);
    this.enforced = { ALLOW: inUse(enforced('ALLOW')), DENY: inUse(enforced('DENY')) };
    this.rehearsed = { ALLOW: inUse(rehearsed('ALLOW')), DENY: inUse(rehearsed('DENY')) };
  }

  get hasDryRun(): boolean {
    const { enforced, rehearsed } = this;
    return rehearsed.ALLOW.length > enforced.ALLOW.length || rehearsed.DENY.length > enforced.DENY.length;
  }
}

function inUse(tables: readonly RuleTable[]): readonly RuleTable[] {
  return tables.filter((table) => table.policyCount > 0);
}

/** As of when it was asked for; ask anew after an update of the mesh. */
export class PolicySet {
  readonly grouped: GroupedPolicies;
  readonly #selected: readonly CompiledPolicy[];
  /** Policies that the workload names and nobody has sent (yet). */
  readonly unknown: readonly string[];
  readonly hasDryRun: boolean;

  constructor(grouped: GroupedPolicies, selected: readonly CompiledPolicy[], unknown: readonly string[]) {
    this.grouped = grouped;
    this.#selected = selected;
    this.unknown = unknown;
    this.hasDryRun = grouped.hasDryRun || selected.some(({ authorization }) => authorization.dryRun);
  }

  get isEmpty(): boolean {
    return this.grouped.groups.length === 0 && this.#selected.length === 0;
  }

  /** Whether an ALLOW policy applies, so that what none of them allows is denied. */
  hasAllow(withDryRun: boolean): boolean {
    if (this.#tables('ALLOW', withDryRun).length > 0) return true;
    for (const policy of this.#selected) if (counts(policy, 'ALLOW', withDryRun)) return true;
    return false;
  }

  /** A policy of this action that matches; dry-run policies count only when asked for. */
  firstMatch(
    action: AuthorizationAction,
    subject: PolicySubject,
    withDryRun: boolean,
  ): CompiledPolicy | undefined {
    for (const table of this.#tables(action, withDryRun)) {
      const found = table.firstMatch(subject);
      if (found !== undefined) return found;
    }
    for (const policy of this.#selected) {
      if (counts(policy, action, withDryRun) && policy.matches(subject)) return policy;
    }
    return undefined;
  }

  /** Every policy of the set once, global ones first. */
  policies(): readonly CompiledPolicy[] {
    const grouped = this.grouped.groups.flatMap((group) => [...group.values()]);
    return [...new Set([...grouped, ...this.#selected])];
  }

  #tables(action: AuthorizationAction, withDryRun: boolean): readonly RuleTable[] {
    const { enforced, rehearsed } = this.grouped;
    const tables = withDryRun ? rehearsed : enforced;
    return action === 'ALLOW' ? tables.ALLOW : tables.DENY;
  }
}

function counts(policy: CompiledPolicy, action: AuthorizationAction, withDryRun: boolean): boolean {
  const { authorization } = policy;
  return authorization.action === action && (withDryRun || !authorization.dryRun);
}
