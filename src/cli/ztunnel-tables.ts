/** The tables of `ambit ztunnel-config`: rows out of a config dump, with the columns that istioctl prints. */

import type { ConfigDump, DumpedConnection, DumpedIdentity, DumpedPod } from './config-dump.ts';
import type { Column } from './printer.ts';

export interface WorkloadRow {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly node: string;
  readonly waypoint: string;
  readonly protocol: string;
}

export const WORKLOAD_COLUMNS: readonly Column<WorkloadRow>[] = [
  { header: 'NAMESPACE', value: (row) => row.namespace },
  { header: 'POD NAME', value: (row) => row.name },
  { header: 'ADDRESS', value: (row) => row.address },
  { header: 'NODE', value: (row) => row.node },
  { header: 'WAYPOINT', value: (row) => row.waypoint },
  { header: 'PROTOCOL', value: (row) => row.protocol },
];

export interface WorkloadFilter {
  readonly address?: string;
  readonly node?: string;
  readonly namespace?: string;
}

export function workloadRows(dump: ConfigDump, filter: WorkloadFilter): WorkloadRow[] {
  return dump.workloads
    .filter((workload) => filter.address === undefined || workload.workloadIps?.includes(filter.address))
    .filter((workload) => filter.node === undefined || workload.node === filter.node)
    .filter((workload) => filter.namespace === undefined || workload.namespace === filter.namespace)
    .map((workload) => ({
      namespace: workload.namespace ?? '',
      name: workload.name ?? '',
      address: workload.workloadIps?.join(',') ?? '',
      node: workload.node ?? '',
      waypoint: waypointName(workload.waypoint),
      protocol: workload.protocol ?? 'TCP',
    }))
    .sort(byNamespaceAndName);
}

export interface ServiceRow {
  readonly namespace: string;
  readonly name: string;
  readonly vip: string;
  readonly waypoint: string;
  readonly endpoints: string;
}

export const SERVICE_COLUMNS: readonly Column<ServiceRow>[] = [
  { header: 'NAMESPACE', value: (row) => row.namespace },
  { header: 'SERVICE NAME', value: (row) => row.name },
  { header: 'SERVICE VIP', value: (row) => row.vip },
  { header: 'WAYPOINT', value: (row) => row.waypoint },
  { header: 'ENDPOINTS', value: (row) => row.endpoints },
];

export function serviceRows(dump: ConfigDump, namespace: string | undefined): ServiceRow[] {
  return dump.services
    .filter((service) => namespace === undefined || service.namespace === namespace)
    .map((service) => {
      const endpoints = Object.values(service.endpoints ?? {});
      const healthy = endpoints.filter((endpoint) => endpoint.status !== 'Unhealthy').length;
      return {
        namespace: service.namespace ?? '',
        name: service.name ?? '',
        vip: (service.vips ?? []).map((vip) => vip.slice(vip.indexOf('/') + 1)).join(','),
        waypoint: waypointName(service.waypoint),
        endpoints: `${healthy}/${endpoints.length}`,
      };
    })
    .sort(byNamespaceAndName);
}

export interface PolicyRow {
  readonly namespace: string;
  readonly name: string;
  readonly action: string;
  readonly scope: string;
}

export const POLICY_COLUMNS: readonly Column<PolicyRow>[] = [
  { header: 'NAMESPACE', value: (row) => row.namespace },
  { header: 'POLICY NAME', value: (row) => row.name },
  { header: 'ACTION', value: (row) => row.action },
  { header: 'SCOPE', value: (row) => row.scope },
];

export function policyRows(dump: ConfigDump, namespace: string | undefined): PolicyRow[] {
  return dump.policies
    .filter((policy) => namespace === undefined || policy.namespace === namespace)
    .map(({ namespace: ns = '', name = '', action = '', scope = '' }) => ({
      namespace: ns,
      name,
      action,
      scope,
    }))
    .sort(byNamespaceAndName);
}

export interface CertificateRow {
  readonly name: string;
  readonly type: 'Leaf' | 'Intermediate' | 'Root' | '';
  readonly status: string;
  readonly valid: string;
  readonly serial: string;
  readonly notAfter: string;
  readonly notBefore: string;
}

export const CERTIFICATE_COLUMNS: readonly Column<CertificateRow>[] = [
  { header: 'CERTIFICATE NAME', value: (row) => row.name },
  { header: 'TYPE', value: (row) => row.type },
  { header: 'STATUS', value: (row) => row.status },
  { header: 'VALID CERT', value: (row) => row.valid },
  { header: 'SERIAL NUMBER', value: (row) => row.serial },
  { header: 'NOT AFTER', value: (row) => row.notAfter },
  { header: 'NOT BEFORE', value: (row) => row.notBefore },
];

export function certificateRows(dump: ConfigDump, now: Date): CertificateRow[] {
  return dump.certificates.flatMap((identity) => rowsOfIdentity(identity, now));
}

function rowsOfIdentity(identity: DumpedIdentity, now: Date): CertificateRow[] {
  const common = { name: identity.identity ?? '', status: identity.state ?? '' };
  const chain = identity.certChain ?? [];
  const typed = [
    ...chain.map((certificate, i) => ({
      certificate,
      type: i === 0 ? ('Leaf' as const) : ('Intermediate' as const),
    })),
    ...(identity.rootCerts ?? []).map((certificate) => ({ certificate, type: 'Root' as const })),
  ];
  if (typed.length === 0) {
    return [{ ...common, type: '', valid: 'false', serial: '', notAfter: '', notBefore: '' }];
  }
  return typed.map(({ certificate, type }) => ({
    ...common,
    type,
    valid: String(isValidAt(certificate.validFrom, certificate.expirationTime, now)),
    serial: certificate.serialNumber ?? '',
    notAfter: certificate.expirationTime ?? '',
    notBefore: certificate.validFrom ?? '',
  }));
}

export interface ConnectionRow {
  readonly workload: string;
  readonly direction: string;
  readonly local: string;
  readonly remote: string;
  readonly remoteTarget: string;
  readonly protocol: string;
}

export const CONNECTION_COLUMNS: readonly Column<ConnectionRow>[] = [
  { header: 'WORKLOAD', value: (row) => row.workload },
  { header: 'DIRECTION', value: (row) => row.direction },
  { header: 'LOCAL', value: (row) => row.local },
  { header: 'REMOTE', value: (row) => row.remote },
  { header: 'REMOTE TARGET', value: (row) => row.remoteTarget },
  { header: 'PROTOCOL', value: (row) => row.protocol },
];

export interface ConnectionFilter {
  readonly direction?: string;
  readonly namespace?: string;
  /** Addresses as they are instead of names. */
  readonly raw: boolean;
}

export function connectionRows(dump: ConfigDump, filter: ConnectionFilter): ConnectionRow[] {
  const nameOf = filter.raw ? (address: string | undefined) => address ?? '' : namesOfAddresses(dump);
  return Object.values(dump.workloadState)
    .filter((pod) => filter.namespace === undefined || pod.info?.namespace === filter.namespace)
    .flatMap((pod) => [
      ...(pod.connections?.inbound ?? []).map((one) => connectionRow(pod, 'Inbound', one, nameOf)),
      ...(pod.connections?.outbound ?? []).map((one) => connectionRow(pod, 'Outbound', one, nameOf)),
    ])
    .filter((row) => filter.direction === undefined || row.direction.toLowerCase() === filter.direction);
}

type NameOf = (address: string | undefined) => string;

function connectionRow(
  pod: DumpedPod,
  direction: string,
  one: DumpedConnection,
  nameOf: NameOf,
): ConnectionRow {
  const inbound = direction === 'Inbound';
  return {
    workload: `${pod.info?.name ?? ''}.${pod.info?.namespace ?? ''}`,
    direction,
    local: nameOf(inbound ? one.actualDst : one.src),
    remote: nameOf(inbound ? one.src : one.actualDst),
    remoteTarget: inbound ? '' : nameOf(one.originalDst),
    protocol: one.protocol ?? '',
  };
}

/** `10.244.1.2:80` → `orders-0.shop:80`, `10.96.0.9:80` → `orders.shop.svc.cluster.local:80`. */
function namesOfAddresses(dump: ConfigDump): NameOf {
  const names = new Map<string, string>();
  for (const service of dump.services) {
    for (const vip of service.vips ?? []) names.set(vip.slice(vip.indexOf('/') + 1), service.hostname ?? '');
  }
  for (const workload of dump.workloads) {
    for (const ip of workload.workloadIps ?? []) names.set(ip, `${workload.name}.${workload.namespace}`);
  }
  return (address = '') => {
    const cut = address.lastIndexOf(':');
    const name = names.get(address.slice(0, cut).replace(/^\[|\]$/g, ''));
    return name === undefined ? address : `${name}${address.slice(cut)}`;
  };
}

function isValidAt(from: string | undefined, until: string | undefined, now: Date): boolean {
  return from !== undefined && until !== undefined && new Date(from) <= now && now <= new Date(until);
}

function waypointName(waypoint: { readonly destination?: string } | undefined): string {
  return waypoint?.destination ?? 'None';
}

function byNamespaceAndName(
  a: { namespace: string; name: string },
  b: { namespace: string; name: string },
): number {
  return a.namespace.localeCompare(b.namespace) || a.name.localeCompare(b.name);
}
