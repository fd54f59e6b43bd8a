/** Copies of mesh objects that share whatever they have in common with others, and nothing with their decoder. */

import type { Authorization, AuthorizationMatch } from './authorization.ts';
import type { Extension, GatewayAddress } from './gateway-address.ts';
import type { Interner } from './interner.ts';
import type { ApplicationTunnel, Locality, PortMapping, Workload } from './workload.ts';

const NO_ENTRIES: readonly never[] = [];
/** Between the parts of a key; no field can hold it, since all of them are names or numbers. */
const SEPARATOR = '\n';

/**
 * The same workload with its repeated strings and sub-objects interned. All workloads come from this one literal,
 * so they have one hidden class and every look-up through them stays monomorphic.
 */
export function compactWorkload(workload: Workload, interner: Interner): Workload {
  const { uid, name, addresses, hostname, workloadName } = workload;
  return {
    // What a decision on policies reads comes first: the processor fetches both with the object.
    namespace: interner.string(workload.namespace),
    authorizationPolicies: internNames(workload.authorizationPolicies, interner),
    uid,
    name,
    addresses: addresses.slice(),
    hostname,
    network: interner.string(workload.network),
    tunnelProtocol: workload.tunnelProtocol,
    trustDomain: interner.string(workload.trustDomain),
    serviceAccount: interner.string(workload.serviceAccount),
    waypoint: internGateway(workload.waypoint, interner),
    networkGateway: internGateway(workload.networkGateway, interner),
    node: interner.string(workload.node),
    canonicalName: interner.string(workload.canonicalName),
    canonicalRevision: interner.string(workload.canonicalRevision),
    workloadType: workload.workloadType,
    workloadName: workloadName === name ? name : interner.string(workloadName),
    nativeTunnel: workload.nativeTunnel,
    applicationTunnel: internTunnel(workload.applicationTunnel, interner),
    services: internServices(workload.services, interner),
    status: workload.status,
    clusterId: interner.string(workload.clusterId),
    locality: internLocality(workload.locality, interner),
    networkMode: workload.networkMode,
    extensions: listOrShared<Extension>(workload.extensions),
    capacity: workload.capacity,
  };
}

/** The same policy with one empty list in place of the many that its matches hold. */
export function compactAuthorization(policy: Authorization): Authorization {
  return {
    ...policy,
    rules: policy.rules.map((rule) => ({
      clauses: rule.clauses.map((clause) => ({ matches: clause.matches.map(compactMatch) })),
    })),
    extensions: listOrShared(policy.extensions),
  };
}

function compactMatch(match: AuthorizationMatch): AuthorizationMatch {
  return {
    namespaces: listOrShared(match.namespaces),
    notNamespaces: listOrShared(match.notNamespaces),
    principals: listOrShared(match.principals),
    notPrincipals: listOrShared(match.notPrincipals),
    sourceIps: listOrShared(match.sourceIps),
    notSourceIps: listOrShared(match.notSourceIps),
    destinationIps: listOrShared(match.destinationIps),
    notDestinationIps: listOrShared(match.notDestinationIps),
    destinationPorts: listOrShared(match.destinationPorts),
    notDestinationPorts: listOrShared(match.notDestinationPorts),
    serviceAccounts: listOrShared(match.serviceAccounts),
    notServiceAccounts: listOrShared(match.notServiceAccounts),
    extensions: listOrShared(match.extensions),
  };
}

function listOrShared<T>(list: readonly T[]): readonly T[] {
  return list.length === 0 ? NO_ENTRIES : list;
}

function internGateway(gateway: GatewayAddress | undefined, interner: Interner): GatewayAddress | undefined {
  if (gateway === undefined) return undefined;
  const { destination, hboneMtlsPort } = gateway;
  const where =
    destination.kind === 'hostname'
      ? [destination.namespace, destination.hostname]
      : [destination.network, destination.ip];
  const key = ['gateway', destination.kind, ...where, hboneMtlsPort].join(SEPARATOR);
  return interner.value(key, () => ({ destination: { ...destination }, hboneMtlsPort }));
}

function internTunnel(
  tunnel: ApplicationTunnel | undefined,
  interner: Interner,
): ApplicationTunnel | undefined {
  if (tunnel === undefined) return undefined;
  return interner.value(['tunnel', tunnel.protocol, tunnel.port].join(SEPARATOR), () => ({ ...tunnel }));
}

function internLocality(locality: Locality, interner: Interner): Locality {
  const { region, zone, subzone } = locality;
  return interner.value(['locality', region, zone, subzone].join(SEPARATOR), () => ({
    region,
    zone,
    subzone,
  }));
}

function internNames(names: readonly string[], interner: Interner): readonly string[] {
  if (names.length === 0) return NO_ENTRIES;
  return interner.value(['names', ...names].join(SEPARATOR), () =>
    names.map((name) => interner.string(name)),
  );
}

/** Pods of one Deployment map the same ports of the same services, so that they can share the whole map. */
function internServices(services: Workload['services'], interner: Interner): Workload['services'] {
  let key = 'services';
  for (const [name, ports] of services) {
    key += SEPARATOR + name;
    for (const port of ports) key += ` ${port.servicePort}:${port.targetPort}`;
  }
  return interner.value(key, () => copyServices(services, interner));
}

function copyServices(services: Workload['services'], interner: Interner): Workload['services'] {
  const copy = new Map<string, readonly PortMapping[]>();
  for (const [name, ports] of services) {
    const mappings = ports.map(({ servicePort, targetPort }) => ({ servicePort, targetPort }));
    copy.set(interner.string(name), mappings);
  }
  return copy;
}
