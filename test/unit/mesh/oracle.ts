/** The rules of the mesh once more, written from the reference with lists and loops only: slow and obvious. */

import { Cidr, familyOf, type IpAddress, ipToBytes } from '../../../src/base/ip.ts';
import { formatSpiffeId } from '../../../src/base/spiffe-id.ts';
import type { Authorization, AuthorizationMatch, StringMatch } from '../../../src/mesh/authorization.ts';
import type { PolicyConnection } from '../../../src/mesh/policy-subject.ts';
import type { RoutingScope, Service } from '../../../src/mesh/service.ts';
import type { Workload } from '../../../src/mesh/workload.ts';

export interface NaiveVerdict {
  readonly allowed: boolean;
  /** Policies one of which must be named as the one that decided. */
  readonly deciding: readonly string[];
}

export class NaiveMesh {
  /** In the order of their last upsert. */
  workloads: Workload[] = [];
  services: Service[] = [];
  policies: Authorization[] = [];

  upsertWorkload(workload: Workload): void {
    this.workloads = [...this.workloads.filter((one) => one.uid !== workload.uid), workload];
  }

  upsertService(service: Service): void {
    this.services = [...this.services.filter((one) => serviceName(one) !== serviceName(service)), service];
  }

  upsertAuthorization(policy: Authorization): void {
    this.policies = [...this.policies.filter((one) => policyName(one) !== policyName(policy)), policy];
  }

  removeAddress(name: string): void {
    if (this.workloads.some((one) => one.uid === name)) {
      this.workloads = this.workloads.filter((one) => one.uid !== name);
    } else this.services = this.services.filter((one) => serviceName(one) !== name);
  }

  removeAuthorization(name: string): void {
    this.policies = this.policies.filter((one) => policyName(one) !== name);
  }

  /** §3.3: same IP claimed by two workloads: prefer Pod-type uid, then HBONE. The latest wins a tie. */
  workloadByAddress(network: string, ip: IpAddress): Workload | undefined {
    const claiming = this.workloads.filter(
      (one) => one.networkMode === 'STANDARD' && one.network === network && one.addresses.includes(ip),
    );
    const pods = claiming.filter((one) => one.uid.includes('//Pod/'));
    const among = pods.length > 0 ? pods : claiming;
    const tunnelled = among.filter((one) => one.tunnelProtocol === 'HBONE');
    return (tunnelled.length > 0 ? tunnelled : among).at(-1);
  }

  /** §3.3: exact VIP, then blocks by own namespace, prefix length, canonical; invisible services are not there. */
  serviceByVip(network: string, ip: IpAddress, namespace: string): Service | undefined {
    const visible = this.services.filter((one) => isVisible(one, namespace));
    const exact = visible.filter((one) =>
      one.addresses.some((a) => a.network === network && a.prefixLength === undefined && a.ip === ip),
    );
    if (exact.length > 0) return best(exact, namespace);
    const lengths = new Map<Service, number>();
    for (const one of visible) {
      for (const a of one.addresses) {
        if (a.network !== network || a.prefixLength === undefined) continue;
        if (!new Cidr(ipToBytes(a.ip), a.prefixLength).contains(ip)) continue;
        lengths.set(one, Math.max(lengths.get(one) ?? 0, a.prefixLength));
      }
    }
    const holding = [...lengths.keys()];
    const own = holding.filter((one) => one.namespace === namespace);
    const among = own.length > 0 ? own : holding;
    const longest = Math.max(...among.map((one) => lengths.get(one)!));
    return best(
      among.filter((one) => lengths.get(one) === longest),
      namespace,
    );
  }

  serviceByHostname(hostname: string, namespace: string): Service | undefined {
    return best(
      this.services.filter((one) => one.hostname === hostname && isVisible(one, namespace)),
      namespace,
    );
  }

  /** §3.2: status; every workload that names the service. */
  endpointsOf(service: Service): Workload[] {
    const all = this.workloads.filter((one) => one.services.has(serviceName(service)));
    if (service.loadBalancing?.healthPolicy === 'ALLOW_ALL') return all;
    return all.filter((one) => one.status === 'HEALTHY');
  }

  staged(): Set<string> {
    const named = this.workloads.flatMap((one) => [...one.services.keys()]);
    return new Set(named.filter((name) => !this.services.some((one) => serviceName(one) === name)));
  }

  /** §3.3: eligibility, ranking; uid and target port of each endpoint that may be drawn. */
  eligible(
    service: Service,
    source: Workload,
    port: number,
    exclude: ReadonlySet<string>,
  ): Map<string, number> {
    const declared = service.ports.find((one) => one.servicePort === port);
    const ranked: { uid: string; port: number; rank: number }[] = [];
    for (const one of this.endpointsOf(service)) {
      if (declared === undefined || exclude.has(one.uid) || one.capacity === 0) continue;
      const usable = one.addresses.some(
        (ip) =>
          (service.ipFamilies !== 'IPV4_ONLY' || familyOf(ip) === 4) &&
          (service.ipFamilies !== 'IPV6_ONLY' || familyOf(ip) === 6),
      );
      const byGateway = one.networkGateway !== undefined && one.network !== source.network;
      if (!usable && one.hostname === '' && !byGateway) continue;
      const own =
        one.services.get(serviceName(service))!.find((m) => m.servicePort === port)?.targetPort ?? 0;
      const target = own > 0 ? own : declared.targetPort;
      if (target > 0) ranked.push({ uid: one.uid, port: target, rank: rankOf(service, source, one) });
    }
    const bestRank = Math.max(...ranked.map((one) => one.rank));
    const kept = ranked.filter((one) => one.rank >= 0 && one.rank === bestRank);
    return new Map(kept.map((one) => [one.uid, one.port]));
  }

  /** §3.5 */
  evaluate(destination: Workload, connection: PolicyConnection, withDryRun: boolean): NaiveVerdict {
    const applying = this.policies.filter(
      (one) =>
        (withDryRun || !one.dryRun) &&
        (one.scope === 'GLOBAL' ||
          (one.scope === 'NAMESPACE' && one.namespace === destination.namespace) ||
          destination.authorizationPolicies.includes(policyName(one))),
    );
    const matching = applying.filter((one) => policyMatches(one, connection));
    const denying = matching.filter((one) => one.action === 'DENY').map(policyName);
    if (denying.length > 0) return { allowed: false, deciding: denying };
    if (!applying.some((one) => one.action === 'ALLOW')) return { allowed: true, deciding: [] };
    const allowing = matching.filter((one) => one.action === 'ALLOW').map(policyName);
    return { allowed: allowing.length > 0, deciding: allowing };
  }
}

function serviceName(service: Service): string {
  return `${service.namespace}/${service.hostname}`;
}

function policyName(policy: Authorization): string {
  return `${policy.namespace}/${policy.name}`;
}

function isVisible(service: Service, namespace: string): boolean {
  return service.visibility === 'PUBLIC' || service.namespace === namespace;
}

function best(services: readonly Service[], namespace: string): Service | undefined {
  const sorted = [...services].sort((a, b) => (serviceName(a) < serviceName(b) ? -1 : 1));
  const own = sorted.filter((one) => one.namespace === namespace);
  const among = own.length > 0 ? own : sorted;
  return among.find((one) => one.canonical) ?? among[0];
}

function rankOf(service: Service, source: Workload, endpoint: Workload): number {
  const balancing = service.loadBalancing;
  if (balancing === undefined || balancing.mode === 'UNSPECIFIED') return 0;
  const agrees = balancing.routingPreference.map(
    (scope) => scopeOf(source, scope) === scopeOf(endpoint, scope),
  );
  const leading = agrees.includes(false) ? agrees.indexOf(false) : agrees.length;
  return balancing.mode === 'STRICT' && leading < agrees.length ? -1 : leading;
}

function scopeOf(workload: Workload, scope: RoutingScope): string {
  const values: Record<RoutingScope, string> = {
    REGION: workload.locality.region,
    ZONE: workload.locality.zone,
    SUBZONE: workload.locality.subzone,
    NODE: workload.node,
    CLUSTER: workload.clusterId,
    NETWORK: workload.network,
  };
  return values[scope];
}

export function policyMatches(policy: Authorization, connection: PolicyConnection): boolean {
  return policy.rules.some((rule) =>
    rule.clauses.every(
      (clause) => clause.matches.length === 0 || clause.matches.some((match) => matches(match, connection)),
    ),
  );
}

function matches(match: AuthorizationMatch, connection: PolicyConnection): boolean {
  const { extensions: _, ...lists } = match;
  if (Object.values(lists).every((list) => list.length === 0)) return false;
  const id = connection.source?.identity;
  const principal = id === undefined ? undefined : formatSpiffeId(id).slice('spiffe://'.length);
  const namespace = id?.namespace ?? '';
  const isPrincipal = (one: StringMatch): boolean => principal !== undefined && textMatches(one, principal);
  const isNamespace = (one: StringMatch): boolean => textMatches(one, namespace);
  const isAccount = (one: { namespace: string; serviceAccount: string }): boolean =>
    one.namespace === id?.namespace && one.serviceAccount === id.serviceAccount;
  const isPort = (one: number): boolean => one === connection.destinationPort;
  return (
    holds(match.namespaces, match.notNamespaces, isNamespace) &&
    holds(match.principals, match.notPrincipals, isPrincipal) &&
    holds(match.serviceAccounts, match.notServiceAccounts, isAccount) &&
    holds(match.destinationPorts, match.notDestinationPorts, isPort) &&
    holds(match.sourceIps, match.notSourceIps, (one) => one.contains(connection.sourceIp)) &&
    holds(match.destinationIps, match.notDestinationIps, (one) => one.contains(connection.destinationIp))
  );
}

function holds<T>(positive: readonly T[], negative: readonly T[], is: (one: T) => boolean): boolean {
  return (positive.length === 0 || positive.some(is)) && !negative.some(is);
}

function textMatches(match: StringMatch, value: string): boolean {
  switch (match.kind) {
    case 'exact':
      return value === match.value;
    case 'prefix':
      return value.startsWith(match.value);
    case 'suffix':
      return value.endsWith(match.value);
    case 'presence':
      return value !== '';
  }
}
