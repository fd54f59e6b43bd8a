/** Objects of the mesh with sensible fields, of which a test names only those that it is about. */

import { Cidr, type IpAddress, parseIp } from '../../../src/base/ip.ts';
import { parseSpiffeId, type SpiffeId } from '../../../src/base/spiffe-id.ts';
import type {
  Authorization,
  AuthorizationMatch,
  AuthorizationRule,
  StringMatch,
} from '../../../src/mesh/authorization.ts';
import type { GatewayAddress } from '../../../src/mesh/gateway-address.ts';
import type { Service, ServicePort } from '../../../src/mesh/service.ts';
import type { PortMapping, Workload } from '../../../src/mesh/workload.ts';

export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`not an address: ${text}`);
  return parsed;
}

export function block(text: string): Cidr {
  const parsed = Cidr.parse(text);
  if (parsed === undefined) throw new Error(`not a block: ${text}`);
  return parsed;
}

export function spiffe(text: string): SpiffeId {
  const parsed = parseSpiffeId(text);
  if (parsed === undefined) throw new Error(`not a SPIFFE ID: ${text}`);
  return parsed;
}

export function workload(fields: Partial<Workload> & { readonly name: string }): Workload {
  const namespace = fields.namespace ?? 'shop';
  return {
    uid: `Kubernetes//Pod/${namespace}/${fields.name}`,
    namespace,
    addresses: [],
    hostname: '',
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: 'default',
    node: 'node-1',
    canonicalName: fields.name,
    canonicalRevision: 'v1',
    workloadType: 'POD',
    workloadName: fields.name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: 'HEALTHY',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'STANDARD',
    extensions: [],
    capacity: 1,
    ...fields,
  };
}

export function ports(
  ...mappings: readonly (readonly [servicePort: number, targetPort: number])[]
): ServicePort[] {
  return mappings.map(([servicePort, targetPort]) => ({ servicePort, targetPort, appProtocol: 'UNKNOWN' }));
}

export function backs(
  ...entries: readonly (readonly [service: string, ...mappings: (readonly [number, number])[]])[]
): ReadonlyMap<string, readonly PortMapping[]> {
  return new Map(
    entries.map(([name, ...mappings]) => [
      name,
      mappings.map(([servicePort, targetPort]) => ({ servicePort, targetPort })),
    ]),
  );
}

export function service(fields: Partial<Service> & { readonly name: string }): Service {
  const namespace = fields.namespace ?? 'shop';
  return {
    namespace,
    hostname: `${fields.name}.${namespace}.svc.cluster.local`,
    addresses: [],
    ports: ports([80, 8080]),
    subjectAltNames: [],
    ipFamilies: 'AUTOMATIC',
    extensions: [],
    canonical: true,
    ingressUseWaypoint: false,
    weightedWaypoints: [],
    visibility: 'PUBLIC',
    ...fields,
  };
}

export function vip(address: string, network = ''): Service['addresses'][number] {
  const slash = address.indexOf('/');
  if (slash < 0) return { network, ip: ip(address) };
  return { network, ip: ip(address.slice(0, slash)), prefixLength: Number(address.slice(slash + 1)) };
}

export function waypointByHostname(namespace: string, hostname: string, port = 15008): GatewayAddress {
  return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort: port };
}

export function waypointByAddress(address: string, network = '', port = 15008): GatewayAddress {
  return { destination: { kind: 'address', network, ip: ip(address) }, hboneMtlsPort: port };
}

/** `a` exact, `a*` prefix, `*a` suffix, `*` presence: as they are written in an AuthorizationPolicy. */
export function text(pattern: string): StringMatch {
  if (pattern === '*') return { kind: 'presence' };
  if (pattern.startsWith('*')) return { kind: 'suffix', value: pattern.slice(1) };
  if (pattern.endsWith('*')) return { kind: 'prefix', value: pattern.slice(0, -1) };
  return { kind: 'exact', value: pattern };
}

export function match(fields: Partial<AuthorizationMatch> = {}): AuthorizationMatch {
  return {
    namespaces: [],
    notNamespaces: [],
    principals: [],
    notPrincipals: [],
    sourceIps: [],
    notSourceIps: [],
    destinationIps: [],
    notDestinationIps: [],
    destinationPorts: [],
    notDestinationPorts: [],
    serviceAccounts: [],
    notServiceAccounts: [],
    extensions: [],
    ...fields,
  };
}

/** A rule of one clause for each list of matches. */
export function rule(...clauses: readonly (readonly Partial<AuthorizationMatch>[])[]): AuthorizationRule {
  return { clauses: clauses.map((matches) => ({ matches: matches.map(match) })) };
}

export function policy(fields: Partial<Authorization> & { readonly name: string }): Authorization {
  return {
    namespace: 'shop',
    scope: 'NAMESPACE',
    action: 'ALLOW',
    rules: [],
    dryRun: false,
    extensions: [],
    ...fields,
  };
}
