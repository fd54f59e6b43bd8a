/** What a change of the mesh means for connections that are already open. */

import { type Authorization, authorizationName } from './authorization.ts';
import type { Workload } from './workload.ts';

/**
 * One change, or several that were applied together. A proxy that tracks connections asks for each of its own
 * workloads whether to evaluate their connections again, so that nothing here grows with the mesh.
 */
export interface MeshChange {
  /** Uids of workloads that were not known before. */
  readonly added: ReadonlySet<string>;
  /** Uids of workloads that are not known any more: nobody vouches for them, on either end of a connection. */
  readonly removed: ReadonlySet<string>;
  /** Uids of workloads whose trust domain, namespace or service account is another: their certificates no longer fit. */
  readonly identityChanged: ReadonlySet<string>;
  /** Whether a connection to this workload may now get another verdict than when it was last evaluated. */
  affectsVerdict(destination: Workload): boolean;
}

/** Collects what happens between two notifications; only first and last state of each object count. */
export class ChangeRecorder {
  /** By uid, as it was before the first change; undefined when it was not there. */
  readonly #workloads = new Map<string, Workload | undefined>();
  readonly #policies = new PolicyReach();

  recordWorkload(uid: string, before: Workload | undefined): void {
    if (!this.#workloads.has(uid)) this.#workloads.set(uid, before);
  }

  recordPolicy(before: Authorization | undefined, after: Authorization | undefined): void {
    if (before !== undefined) this.#policies.add(before);
    if (after !== undefined) this.#policies.add(after);
  }

  /** The change from then to now. */
  finish(current: (uid: string) => Workload | undefined): MeshChange {
    const [added, removed, identityChanged, policiesChanged] = Array.from(
      { length: 4 },
      () => new Set<string>(),
    );
    for (const [uid, before] of this.#workloads) {
      const after = current(uid);
      if (after === undefined && before !== undefined) removed!.add(uid);
      if (after !== undefined && before === undefined) added!.add(uid);
      if (after === undefined || before === undefined) continue;
      if (!sameIdentity(before, after)) identityChanged!.add(uid);
      if (!samePolicies(before, after)) policiesChanged!.add(uid);
    }
    return new CollectedChange(
      {
        added: added!,
        removed: removed!,
        identityChanged: identityChanged!,
        policiesChanged: policiesChanged!,
      },
      this.#policies,
    );
  }
}

/** Which workloads the changed policies can apply to. */
class PolicyReach {
  #everywhere = false;
  readonly #namespaces = new Set<string>();
  readonly #names = new Set<string>();

  add(policy: Authorization): void {
    if (policy.scope === 'GLOBAL') this.#everywhere = true;
    if (policy.scope === 'NAMESPACE') this.#namespaces.add(policy.namespace);
    this.#names.add(authorizationName(policy));
  }

  covers(workload: Workload): boolean {
    if (this.#everywhere || this.#namespaces.has(workload.namespace)) return true;
    return this.#names.size > 0 && workload.authorizationPolicies.some((name) => this.#names.has(name));
  }
}

interface ChangedWorkloads {
  readonly added: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
  readonly identityChanged: ReadonlySet<string>;
  readonly policiesChanged: ReadonlySet<string>;
}

class CollectedChange implements MeshChange {
  readonly added: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
  readonly identityChanged: ReadonlySet<string>;
  readonly #policiesChanged: ReadonlySet<string>;
  readonly #policies: PolicyReach;

  constructor(workloads: ChangedWorkloads, policies: PolicyReach) {
    this.added = workloads.added;
    this.removed = workloads.removed;
    this.identityChanged = workloads.identityChanged;
    this.#policiesChanged = workloads.policiesChanged;
    this.#policies = policies;
  }

  affectsVerdict(destination: Workload): boolean {
    const { uid } = destination;
    if (this.#policiesChanged.has(uid) || this.added.has(uid) || this.removed.has(uid)) return true;
    return this.#policies.covers(destination);
  }
}

function sameIdentity(a: Workload, b: Workload): boolean {
  return (
    a.trustDomain === b.trustDomain && a.namespace === b.namespace && a.serviceAccount === b.serviceAccount
  );
}

/** The namespace counts too, for it decides which policies apply. */
function samePolicies(a: Workload, b: Workload): boolean {
  const [before, after] = [a.authorizationPolicies, b.authorizationPolicies];
  if (before === after) return a.namespace === b.namespace;
  return (
    a.namespace === b.namespace &&
    before.length === after.length &&
    before.every((name, i) => name === after[i])
  );
}
