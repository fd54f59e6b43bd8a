/** Which names of services a pod's DNS query can mean, and the addresses to answer with. */

import { familyOf, type IpAddress } from '../base/ip.ts';
import type { MeshState } from './mesh-state.ts';
import { allowsFamily, type Service } from './service.ts';
import { preferredService } from './service-index.ts';
import type { ServiceRecord } from './service-record.ts';

export interface DnsClient {
  readonly namespace: string;
  readonly network: string;
  /** `cluster.local` */
  readonly clusterDomain: string;
  /** The search list of the pod's own resolv.conf, used beside the one that every pod of its namespace has. */
  readonly searchDomains?: readonly string[] | undefined;
}

export type DnsResolution =
  | {
      readonly kind: 'addresses';
      /** Both may be empty: the name exists and has no address of that family. The order carries no meaning. */
      readonly v4: readonly IpAddress[];
      readonly v6: readonly IpAddress[];
      /** Set when a search domain was stripped: the name that the query is an alias of. */
      readonly canonicalName?: string;
    }
  /** Not ours to answer. */
  | { readonly kind: 'forward' };

/** A name that the query can stand for. */
interface Alias {
  readonly name: string;
  /** What was left of the query when a search domain was stripped from it. */
  readonly stripped?: string;
}

/** Answers a query for the addresses of a name; with or without final dot, in any case. */
export function resolveDnsName(state: MeshState, queryName: string, client: DnsClient): DnsResolution {
  const name = normalized(queryName);
  for (const alias of aliases(name, client)) {
    for (const candidate of withWildcards(alias.name)) {
      const record = answerableService(state, candidate, client);
      if (record === undefined) continue;
      const addresses = addressesOf(record, client);
      const canonicalName = candidate.startsWith('*') ? undefined : alias.stripped;
      return canonicalName === undefined ? addresses : { ...addresses, canonicalName };
    }
  }
  return { kind: 'forward' };
}

function normalized(name: string): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}

/** In the order of preference; the first that names a service wins. */
function aliases(name: string, client: DnsClient): Alias[] {
  const domain = normalized(client.clusterDomain);
  const found: Alias[] = [
    { name },
    ...clusterNames(name, client.namespace, domain).map((one) => ({ name: one })),
  ];
  for (const search of [`${client.namespace}.svc.${domain}`, `svc.${domain}`, domain]) {
    const stripped = withoutDomain(name, search);
    if (stripped === undefined) continue;
    const names = [stripped, ...clusterNames(stripped, client.namespace, domain)];
    found.push(...names.map((one) => ({ name: one, stripped })));
  }
  return [...found, ...ownSearchAliases(name, client)];
}

/**
 * What the resolver of the pod made by appending a domain of its own list. The rest is not completed to a name of the
 * cluster: that would turn db.corp.example into the service db.
 */
function ownSearchAliases(name: string, client: DnsClient): Alias[] {
  return (client.searchDomains ?? []).flatMap((search) => {
    const stripped = withoutDomain(name, normalized(search));
    return stripped === undefined ? [] : [{ name: stripped, stripped }];
  });
}

/** The full names that a short one can stand for, by the number of its labels (reference §3.6). */
function clusterNames(name: string, namespace: string, domain: string): string[] {
  const ofService = name.endsWith('.svc') ? [`${name}.${domain}`] : [];
  switch (name.split('.').length) {
    case 1:
      return [`${name}.${namespace}.svc.${domain}`];
    case 2:
      return [`${name}.svc.${domain}`, `${name}.${namespace}.svc.${domain}`];
    case 3:
      return [...ofService, `${name}.svc.${domain}`];
    case 4:
      return ofService;
    default:
      return [];
  }
}

function withoutDomain(name: string, domain: string): string | undefined {
  return domain !== '' && name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : undefined;
}

/** a.b.c, *.b.c, *.c */
function withWildcards(name: string): string[] {
  const candidates = [name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    candidates.push(`*${name.slice(dot)}`);
  }
  return candidates;
}

/** Without an address only a service of the cluster is headless; for any other the upstream resolver knows better. */
function answerableService(state: MeshState, hostname: string, client: DnsClient): ServiceRecord | undefined {
  const records = state.serviceIndex.withHostname(hostname);
  if (records.length === 0) return undefined;
  const inCluster = hostname.endsWith(`.svc.${normalized(client.clusterDomain)}`);
  const answerable = inCluster ? records : records.filter((record) => hasVip(record.service!));
  return preferredService(answerable, client.namespace);
}

function hasVip(service: Service): boolean {
  return service.addresses.some((address) => address.prefixLength === undefined);
}

function addressesOf(record: ServiceRecord, client: DnsClient): DnsResolution & { kind: 'addresses' } {
  const service = record.service!;
  const all = hasVip(service) ? vipsOn(service, client.network) : endpointAddresses(record, client.network);
  const ofFamily = (family: 4 | 6): IpAddress[] =>
    allowsFamily(service.ipFamilies, family) ? all.filter((ip) => familyOf(ip) === family) : [];
  return { kind: 'addresses', v4: ofFamily(4), v6: ofFamily(6) };
}

function vipsOn(service: Service, network: string): IpAddress[] {
  return service.addresses
    .filter((address) => address.prefixLength === undefined && address.network === network)
    .map((address) => address.ip);
}

/** One address of each family for each usable endpoint that is on the client's network. */
function endpointAddresses(record: ServiceRecord, network: string): IpAddress[] {
  const found = new Set<IpAddress>();
  for (const { addresses, network: home } of record.eligibleEndpoints()) {
    if (home !== network) continue;
    for (const family of [4, 6]) {
      const ip = addresses.find((one) => familyOf(one) === family);
      if (ip !== undefined) found.add(ip);
    }
  }
  return [...found];
}
