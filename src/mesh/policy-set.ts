/** The policies that apply to one workload. */

import type { AuthorizationAction } from './authorization.ts';
import type { CompiledPolicy } from './compiled-policy.ts';
import type { PolicyGroup } from './policy-group.ts';
import type { PolicySubject } from './policy-subject.ts';

/** As of when it was asked for; ask anew after an update of the mesh. */
export class PolicySet {
  readonly #groups: readonly PolicyGroup[];
  readonly #selected: readonly CompiledPolicy[];
  /** Policies that the workload names and nobody has sent (yet). */
  readonly unknown: readonly string[];

  constructor(
    groups: readonly PolicyGroup[],
    selected: readonly CompiledPolicy[],
    unknown: readonly string[],
  ) {
    this.#groups = groups;
    this.#selected = selected;
    this.unknown = unknown;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0 && this.#selected.length === 0;
  }

  get hasDryRun(): boolean {
    for (const group of this.#groups) {
      if (group.dryRun('ALLOW').policyCount + group.dryRun('DENY').policyCount > 0) return true;
    }
    for (const policy of this.#selected) if (policy.authorization.dryRun) return true;
    return false;
  }

  /** Whether an ALLOW policy applies, so that what none of them allows is denied. */
  hasAllow(withDryRun: boolean): boolean {
    for (const group of this.#groups) {
      if (group.enforced('ALLOW').policyCount > 0) return true;
      if (withDryRun && group.dryRun('ALLOW').policyCount > 0) return true;
    }
    for (const policy of this.#selected) if (counts(policy, 'ALLOW', withDryRun)) return true;
    return false;
  }

  /** A policy of this action that matches; dry-run policies count only when asked for. */
  firstMatch(
    action: AuthorizationAction,
    subject: PolicySubject,
    withDryRun: boolean,
  ): CompiledPolicy | undefined {
    for (const group of this.#groups) {
      const found = group.enforced(action).firstMatch(subject);
      if (found !== undefined) return found;
      const rehearsed = withDryRun ? group.dryRun(action).firstMatch(subject) : undefined;
      if (rehearsed !== undefined) return rehearsed;
    }
    for (const policy of this.#selected) {
      if (counts(policy, action, withDryRun) && policy.matches(subject)) return policy;
    }
    return undefined;
  }

  /** Every policy of the set once, global ones first. */
  policies(): readonly CompiledPolicy[] {
    const grouped = this.#groups.flatMap((group) => [...group.values()]);
    return [...new Set([...grouped, ...this.#selected])];
  }
}

function counts(policy: CompiledPolicy, action: AuthorizationAction, withDryRun: boolean): boolean {
  const { authorization } = policy;
  return authorization.action === action && (withDryRun || !authorization.dryRun);
}
