/** Whether NetworkPolicies let HBONE through to a pod that they let something else through to. */

import { matchesSelector } from '../../cni/enablement-selector.ts';
import type { NetworkPolicy, NetworkPolicyPort, NetworkPolicyRule, Pod } from '../cluster/kube-types.ts';
import { HBONE_PORT } from '../cluster/mesh-names.ts';

/** Whoever may only ask for names reaches nothing that the mesh could carry. */
const DNS_PORT = 53;

export interface Blockage {
  readonly direction: 'ingress' | 'egress';
  /** `namespace/name` of the policies that together allow something, but not HBONE. */
  readonly names: readonly string[];
}

/**
 * Policies add up: what one of them allows is allowed. A pod that may not be reached at all is as its owner wants it;
 * one that may be reached on some TCP port, but never on that of HBONE, cannot be reached through the mesh.
 */
export function blocksHbone(pod: Pod, policies: readonly NetworkPolicy[]): Blockage[] {
  const selecting = policies.filter(
    (policy) =>
      policy.metadata.namespace === pod.metadata.namespace &&
      matchesSelector(policy.spec?.podSelector, pod.metadata.labels ?? {}),
  );
  return (['ingress', 'egress'] as const).flatMap((direction) => {
    const concerned = selecting.filter((policy) => typesOf(policy).includes(direction));
    const rules = concerned.flatMap((policy) => policy.spec?.[direction] ?? []);
    const carriesCalls = rules.some((rule) =>
      portsOf(rule).some((one) => isTcp(one) && one.port !== DNS_PORT),
    );
    if (!carriesCalls || rules.some(allowsHbone)) return [];
    return [{ direction, names: concerned.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`) }];
  });
}

/** An absent list means ingress, and egress where there is a rule for it. */
function typesOf({ spec }: NetworkPolicy): readonly string[] {
  const types = spec?.policyTypes ?? ['Ingress', ...(spec?.egress === undefined ? [] : ['Egress'])];
  return types.map((type) => type.toLowerCase());
}

/** No ports means all of them. */
const EVERY_PORT: readonly NetworkPolicyPort[] = [{}];

function portsOf({ ports }: NetworkPolicyRule): readonly NetworkPolicyPort[] {
  return ports === undefined || ports.length === 0 ? EVERY_PORT : ports;
}

function isTcp({ protocol = 'TCP' }: NetworkPolicyPort): boolean {
  return protocol === 'TCP';
}

/** A named port is one of a container, and no container listens on that of HBONE. */
function allowsHbone(rule: NetworkPolicyRule): boolean {
  return portsOf(rule).some((one) => {
    if (!isTcp(one)) return false;
    if (one.port === undefined) return true;
    if (typeof one.port === 'string') return false;
    return one.port <= HBONE_PORT && HBONE_PORT <= (one.endPort ?? one.port);
  });
}
