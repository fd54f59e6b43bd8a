/** Service VIPs as iptables rules of a node: the role, and the chain names, of kube-proxy. */

import { createHash } from 'node:crypto';
import {
  familyOf,
  formatSocketAddress,
  type IpAddress,
  type IpFamily,
  type SocketAddress,
} from '../../base/ip.ts';

/** One port of a Service, with where its connections go. */
export interface ServicePort {
  /** `namespace/name:port`. */
  readonly name: string;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  readonly vips: readonly IpAddress[];
  readonly port: number;
  readonly endpoints: readonly SocketAddress[];
}

export interface RuleSet {
  /** For `iptables-restore --noflush`: takes effect as a whole. */
  readonly text: string;
  /** The chains of single services and endpoints, which the next rule set must remove if it has no use for them. */
  readonly chains: readonly string[];
}

/** The bit by which kube-proxy marks what must be masqueraded. */
const MASQUERADE = '0x4000/0x4000';

/** Laid once: where the chains below are entered. */
export const ENTRY_RULES = [
  '*filter',
  ':KUBE-SERVICES - [0:0]',
  '-A FORWARD -j KUBE-SERVICES',
  '-A OUTPUT -j KUBE-SERVICES',
  'COMMIT',
  '*nat',
  ':KUBE-SERVICES - [0:0]',
  ':KUBE-POSTROUTING - [0:0]',
  ':KUBE-MARK-MASQ - [0:0]',
  '-A PREROUTING -j KUBE-SERVICES',
  '-A OUTPUT -j KUBE-SERVICES',
  '-A POSTROUTING -j KUBE-POSTROUTING',
  `-A KUBE-MARK-MASQ -j MARK --set-xmark ${MASQUERADE}`,
  `-A KUBE-POSTROUTING -m mark ! --mark ${MASQUERADE} -j RETURN`,
  '-A KUBE-POSTROUTING -j MARK --set-xmark 0x0/0x4000',
  '-A KUBE-POSTROUTING -j MASQUERADE',
  'COMMIT',
  '',
].join('\n');

/** All service rules of one family, in place of those that hold `previousChains`. */
export function serviceRules(
  family: IpFamily,
  ports: readonly ServicePort[],
  previousChains: readonly string[],
): RuleSet {
  const chains: string[] = [];
  const rules: string[] = [];
  const refusals: string[] = [];
  for (const port of ports) {
    const endpoints = port.endpoints.filter((endpoint) => familyOf(endpoint.ip) === family);
    for (const vip of port.vips.filter((ip) => familyOf(ip) === family)) {
      const match = `-A KUBE-SERVICES -d ${vip} -p ${port.protocol} --dport ${port.port}`;
      const comment = `-m comment --comment "${port.name}"`;
      if (endpoints.length === 0) refusals.push(`${match} ${comment} -j REJECT`);
      else rules.push(`${match} ${comment} -j ${chainOf('SVC', port)}`);
    }
    if (endpoints.length > 0) addBalancing(port, endpoints, chains, rules);
  }
  const kept = new Set(chains);
  const stale = previousChains.filter((chain) => !kept.has(chain));
  return { text: ruleText({ chains, rules, refusals, stale }), chains };
}

/** Each endpoint gets its share: of n that are left, the first is taken with probability 1/n. */
function addBalancing(
  port: ServicePort,
  endpoints: readonly SocketAddress[],
  chains: string[],
  rules: string[],
): void {
  const service = chainOf('SVC', port);
  chains.push(service);
  endpoints.forEach((endpoint, at) => {
    const chain = chainOf('SEP', port, endpoint);
    const left = endpoints.length - at;
    const chance = left === 1 ? '' : ` -m statistic --mode random --probability ${(1 / left).toFixed(10)}`;
    chains.push(chain);
    rules.push(
      `-A ${service}${chance} -j ${chain}`,
      // A pod that reaches itself through a VIP must not get an answer from itself.
      `-A ${chain} -s ${endpoint.ip} -j KUBE-MARK-MASQ`,
      `-A ${chain} -p ${port.protocol} -j DNAT --to-destination ${formatSocketAddress(endpoint)}`,
    );
  });
}

interface RuleParts {
  readonly chains: readonly string[];
  readonly rules: readonly string[];
  readonly refusals: readonly string[];
  readonly stale: readonly string[];
}

function ruleText({ chains, rules, refusals, stale }: RuleParts): string {
  return [
    '*filter',
    ':KUBE-SERVICES - [0:0]',
    ...refusals,
    'COMMIT',
    '*nat',
    // Naming a chain empties it.
    ':KUBE-SERVICES - [0:0]',
    ...[...chains, ...stale].map((chain) => `:${chain} - [0:0]`),
    ...rules,
    ...stale.map((chain) => `-X ${chain}`),
    'COMMIT',
    '',
  ].join('\n');
}

/** Chain names are short: 28 characters at most. */
function chainOf(kind: 'SVC' | 'SEP', port: ServicePort, endpoint?: SocketAddress): string {
  const target = endpoint === undefined ? '' : formatSocketAddress(endpoint);
  const digest = createHash('sha256')
    .update(`${port.name}/${port.protocol}/${port.port}/${target}`)
    .digest('hex');
  return `KUBE-${kind}-${digest.slice(0, 16).toUpperCase()}`;
}
