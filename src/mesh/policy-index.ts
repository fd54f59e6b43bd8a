/** Policies by name and by what they apply to, compiled when a connection first needs them. */

import type { Authorization } from './authorization.ts';
import { CompiledPolicy } from './compiled-policy.ts';
import { PolicyGroup } from './policy-group.ts';
import { GroupedPolicies, PolicySet } from './policy-set.ts';
import type { Workload } from './workload.ts';

export class PolicyIndex {
  readonly #byName = new Map<string, CompiledPolicy>();
  readonly #global = new PolicyGroup();
  readonly #byNamespace = new Map<string, PolicyGroup>();
  /** What applies to workloads that name no policy, by their namespace; empty after each change. */
  readonly #unselected = new Map<string, PolicySet>();

  get size(): number {
    return this.#byName.size;
  }

  values(): IteratorObject<Authorization> {
    return this.#byName.values().map((policy) => policy.authorization);
  }

  /** Adds a policy, or replaces the one of the same name, which is returned. */
  upsert(authorization: Authorization): Authorization | undefined {
    this.#unselected.clear();
    const policy = new CompiledPolicy(authorization);
    const before = this.#byName.get(policy.name);
    this.#byName.set(policy.name, policy);
    // The new one first: the keys of the group's tables then stay in place, see WorkloadIndex.upsert().
    this.#groupFor(authorization)?.set(policy);
    if (before !== undefined) this.#withdraw(before, policy);
    return before?.authorization;
  }

  remove(name: string): Authorization | undefined {
    const policy = this.#byName.get(name);
    if (policy === undefined) return undefined;
    this.#unselected.clear();
    this.#byName.delete(name);
    this.#withdraw(policy, undefined);
    return policy.authorization;
  }

  /** Global policies, those of the workload's namespace, and those that the workload names. */
  policiesFor(workload: Workload): PolicySet {
    const { namespace, authorizationPolicies } = workload;
    let set = this.#unselected.get(namespace);
    if (set === undefined) {
      set = new PolicySet(new GroupedPolicies(this.#groupsFor(namespace)), [], []);
      this.#unselected.set(namespace, set);
    }
    return authorizationPolicies.length === 0 ? set : this.#selectedFor(set.grouped, authorizationPolicies);
  }

  #groupsFor(namespace: string): readonly PolicyGroup[] {
    const groups: PolicyGroup[] = this.#global.isEmpty ? [] : [this.#global];
    const own = this.#byNamespace.get(namespace);
    if (own !== undefined) groups.push(own);
    return groups;
  }

  #selectedFor(grouped: GroupedPolicies, names: readonly string[]): PolicySet {
    const selected: CompiledPolicy[] = [];
    const unknown: string[] = [];
    for (const name of names) {
      const policy = this.#byName.get(name);
      if (policy === undefined) unknown.push(name);
      else selected.push(policy);
    }
    return new PolicySet(grouped, selected, unknown);
  }

  /** Takes a policy out of its group, unless its successor has replaced it there. */
  #withdraw(policy: CompiledPolicy, successor: CompiledPolicy | undefined): void {
    const { authorization } = policy;
    const group = this.#groupFor(authorization);
    if (group === undefined || (successor !== undefined && group === this.#groupFor(successor.authorization)))
      return;
    group.remove(policy.name);
    if (group !== this.#global && group.isEmpty) this.#byNamespace.delete(authorization.namespace);
  }

  /** The group that a policy belongs to by its scope; a WORKLOAD_SELECTOR policy belongs to none. */
  #groupFor(policy: Authorization): PolicyGroup | undefined {
    if (policy.scope === 'WORKLOAD_SELECTOR') return undefined;
    if (policy.scope === 'GLOBAL') return this.#global;
    let group = this.#byNamespace.get(policy.namespace);
    if (group === undefined) {
      group = new PolicyGroup();
      this.#byNamespace.set(policy.namespace, group);
    }
    return group;
  }
}
