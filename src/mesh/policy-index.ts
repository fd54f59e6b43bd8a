/** Policies by name and by what they apply to, compiled when a connection first needs them. */

import { type Authorization, type AuthorizationAction, authorizationName } from './authorization.ts';
import { CompiledPolicy } from './compiled-policy.ts';
import type { PolicySubject } from './policy-subject.ts';
import { RuleTable } from './rule-table.ts';
import type { Workload } from './workload.ts';

/** Rule tables of the enforced and of the dry-run policies. */
interface GroupTables {
  readonly ALLOW: RuleTable;
  readonly DENY: RuleTable;
  readonly dryRunALLOW: RuleTable;
  readonly dryRunDENY: RuleTable;
}

/**
 * Policies that apply to the same workloads. A node sees the policies of the whole cluster and evaluates those of a few
 * namespaces, so the tables are made at the first evaluation and kept up to date from then on.
 */
class PolicyGroup {
  readonly #index: PolicyIndex;
  readonly #names = new Set<string>();
  #tables: GroupTables | undefined;

  constructor(index: PolicyIndex) {
    this.#index = index;
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  get tables(): GroupTables {
    this.#tables ??= this.#build();
    return this.#tables;
  }

  add(policy: Authorization): void {
    const name = authorizationName(policy);
    this.#names.add(name);
    if (this.#tables !== undefined) tableOf(this.#tables, policy).add(this.#index.compiled(name)!);
  }

  /** Call while the index still knows the policy. */
  remove(policy: Authorization): void {
    const name = authorizationName(policy);
    this.#names.delete(name);
    if (this.#tables !== undefined) tableOf(this.#tables, policy).remove(this.#index.compiled(name)!);
  }

  #build(): GroupTables {
    const tables: GroupTables = {
      ALLOW: new RuleTable(),
      DENY: new RuleTable(),
      dryRunALLOW: new RuleTable(),
      dryRunDENY: new RuleTable(),
    };
    for (const name of this.#names) {
      const compiled = this.#index.compiled(name)!;
      tableOf(tables, compiled.authorization).add(compiled);
    }
    return tables;
  }
}

/** The policies that apply to one workload, as of now: ask for it anew after a change. */
export class PolicySet {
  readonly #groups: readonly PolicyGroup[];
  readonly #selected: readonly CompiledPolicy[];
  readonly #index: PolicyIndex;
  /** Policies that the workload names and nobody has sent (yet). */
  readonly unknown: readonly string[];

  constructor(
    index: PolicyIndex,
    groups: readonly PolicyGroup[],
    selected: readonly CompiledPolicy[],
    unknown: readonly string[],
  ) {
    this.#index = index;
    this.#groups = groups;
    this.#selected = selected;
    this.unknown = unknown;
  }

  get isEmpty(): boolean {
    return this.#groups.length === 0 && this.#selected.length === 0;
  }

  get hasDryRun(): boolean {
    return (
      this.#groups.some((group) => hasAny(group.tables.dryRunALLOW) || hasAny(group.tables.dryRunDENY)) ||
      this.#selected.some((policy) => policy.authorization.dryRun)
    );
  }

  /** Whether an ALLOW policy applies, so that what none of them allows is denied. */
  hasAllow(withDryRun: boolean): boolean {
    for (const { tables } of this.#groups) {
      if (hasAny(tables.ALLOW) || (withDryRun && hasAny(tables.dryRunALLOW))) return true;
    }
    return this.#selected.some((policy) => isOf(policy, 'ALLOW', withDryRun));
  }

  /** A policy of this action that matches; dry-run policies count only when asked for. */
  firstMatch(
    action: AuthorizationAction,
    subject: PolicySubject,
    withDryRun: boolean,
  ): CompiledPolicy | undefined {
    for (const { tables } of this.#groups) {
      const found = tables[action].firstMatch(subject);
      if (found !== undefined) return found;
      const rehearsed = withDryRun ? tables[`dryRun${action}`].firstMatch(subject) : undefined;
      if (rehearsed !== undefined) return rehearsed;
    }
    for (const policy of this.#selected) {
      if (isOf(policy, action, withDryRun) && policy.matches(subject)) return policy;
    }
    return undefined;
  }

  /** Every policy of the set once, global ones first. */
  policies(): CompiledPolicy[] {
    const names = this.#groups.flatMap((group) => [...group.names]);
    const grouped = names.map((name) => this.#index.compiled(name)!);
    return [...new Set([...grouped, ...this.#selected])];
  }
}

export class PolicyIndex {
  readonly #byName = new Map<string, Authorization>();
  readonly #compiled = new Map<string, CompiledPolicy>();
  readonly #global = new PolicyGroup(this);
  readonly #byNamespace = new Map<string, PolicyGroup>();

  get size(): number {
    return this.#byName.size;
  }

  values(): MapIterator<Authorization> {
    return this.#byName.values();
  }

  get(name: string): Authorization | undefined {
    return this.#byName.get(name);
  }

  compiled(name: string): CompiledPolicy | undefined {
    const known = this.#compiled.get(name);
    if (known !== undefined) return known;
    const policy = this.#byName.get(name);
    if (policy === undefined) return undefined;
    const compiled = new CompiledPolicy(policy);
    this.#compiled.set(name, compiled);
    return compiled;
  }

  upsert(policy: Authorization): Authorization | undefined {
    const name = authorizationName(policy);
    const previous = this.remove(name);
    this.#byName.set(name, policy);
    this.#groupFor(policy)?.add(policy);
    return previous;
  }

  remove(name: string): Authorization | undefined {
    const policy = this.#byName.get(name);
    if (policy === undefined) return undefined;
    const group = this.#groupFor(policy);
    group?.remove(policy);
    if (group !== this.#global && group?.names.size === 0) this.#byNamespace.delete(policy.namespace);
    this.#byName.delete(name);
    this.#compiled.delete(name);
    return policy;
  }

  /** Global policies, those of the workload's namespace, and those that the workload names. */
  policiesFor(workload: Workload): PolicySet {
    const groups: PolicyGroup[] = this.#global.names.size > 0 ? [this.#global] : [];
    const own = this.#byNamespace.get(workload.namespace);
    if (own !== undefined) groups.push(own);
    const selected: CompiledPolicy[] = [];
    const unknown: string[] = [];
    for (const name of workload.authorizationPolicies) {
      const policy = this.compiled(name);
      if (policy === undefined) unknown.push(name);
      else selected.push(policy);
    }
    return new PolicySet(this, groups, selected, unknown);
  }

  /** The group that a policy belongs to by its scope; a WORKLOAD_SELECTOR policy belongs to none. */
  #groupFor(policy: Authorization): PolicyGroup | undefined {
    if (policy.scope === 'WORKLOAD_SELECTOR') return undefined;
    if (policy.scope === 'GLOBAL') return this.#global;
    let group = this.#byNamespace.get(policy.namespace);
    if (group === undefined) {
      group = new PolicyGroup(this);
      this.#byNamespace.set(policy.namespace, group);
    }
    return group;
  }
}

function tableOf(tables: GroupTables, policy: Authorization): RuleTable {
  return policy.dryRun ? tables[`dryRun${policy.action}`] : tables[policy.action];
}

function hasAny(table: RuleTable): boolean {
  return table.policyCount > 0;
}

function isOf(policy: CompiledPolicy, action: AuthorizationAction, withDryRun: boolean): boolean {
  const { authorization } = policy;
  return authorization.action === action && (withDryRun || !authorization.dryRun);
}
