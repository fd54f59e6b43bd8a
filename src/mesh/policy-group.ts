/** Policies that apply to the same workloads: all of them, or those of one namespace. */

import type { Authorization, AuthorizationAction } from './authorization.ts';
import type { CompiledPolicy } from './compiled-policy.ts';
import { RuleTable } from './rule-table.ts';

class GroupTables {
  readonly enforced = { ALLOW: new RuleTable(), DENY: new RuleTable() };
  readonly dryRun = { ALLOW: new RuleTable(), DENY: new RuleTable() };

  of(policy: Authorization): RuleTable {
    return (policy.dryRun ? this.dryRun : this.enforced)[policy.action];
  }
}

/**
 * A node hears of the policies of the whole cluster and evaluates those of a few namespaces, so the tables are made at
 * the first evaluation and kept up to date from then on.
 */
export class PolicyGroup {
  readonly #policies = new Map<string, CompiledPolicy>();
  #tables: GroupTables | undefined;

  get isEmpty(): boolean {
    return this.#policies.size === 0;
  }

  values(): IterableIterator<CompiledPolicy> {
    return this.#policies.values();
  }

  enforced(action: AuthorizationAction): RuleTable {
    return this.#ready().enforced[action];
  }

  dryRun(action: AuthorizationAction): RuleTable {
    return this.#ready().dryRun[action];
  }

  /** Adds a policy, or replaces the one of the same name. */
  set(policy: CompiledPolicy): void {
    const before = this.#policies.get(policy.name);
    this.#policies.set(policy.name, policy);
    this.#tables?.of(policy.authorization).add(policy);
    if (before !== undefined) this.#tables?.of(before.authorization).remove(before);
  }

  remove(name: string): void {
    const policy = this.#policies.get(name);
    if (policy === undefined) return;
    this.#policies.delete(name);
    this.#tables?.of(policy.authorization).remove(policy);
  }

  #ready(): GroupTables {
    this.#tables ??= this.#build();
    return this.#tables;
  }

  #build(): GroupTables {
    const tables = new GroupTables();
    for (const policy of this.#policies.values()) tables.of(policy.authorization).add(policy);
    return tables;
  }
}
