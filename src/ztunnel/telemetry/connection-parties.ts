/** Who talks to whom on one connection, as far as it is known: what metrics and the access log both tell. */

import type { SocketAddress } from '../../base/ip.ts';
import { formatSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import type { Workload } from '../../mesh/workload.ts';

export type Reporter = 'source' | 'destination';

/** The service that the client meant, where it meant one. */
export interface ServiceName {
  readonly namespace: string;
  readonly name: string;
  readonly hostname: string;
}

export interface ConnectionParties {
  readonly reporter: Reporter;
  readonly source: Workload | undefined;
  readonly destination: Workload | undefined;
  /** Set when the leg between the proxies is mutual TLS, and only then. */
  readonly sourceIdentity: SpiffeId | undefined;
  readonly destinationIdentity: SpiffeId | undefined;
  readonly service: ServiceName | undefined;
}

export interface ConnectionAddresses {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  /** The destination inside the tunnel, where there is one. */
  readonly hboneTarget: string | undefined;
}

/** Whether connections of these are told of alike. Workloads are replaced when they change, never changed. */
export function sameParties(a: ConnectionParties, b: ConnectionParties): boolean {
  return (
    a.reporter === b.reporter &&
    a.source === b.source &&
    a.destination === b.destination &&
    sameIdentity(a.sourceIdentity, b.sourceIdentity) &&
    sameIdentity(a.destinationIdentity, b.destinationIdentity) &&
    sameService(a.service, b.service)
  );
}

function sameIdentity(a: SpiffeId | undefined, b: SpiffeId | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.trustDomain === b.trustDomain && a.namespace === b.namespace && a.serviceAccount === b.serviceAccount
  );
}

function sameService(a: ServiceName | undefined, b: ServiceName | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.namespace === b.namespace && a.name === b.name && a.hostname === b.hostname;
}

const UNKNOWN = 'unknown';

/** Values of TRAFFIC_LABELS in their order, with `-` as response flag. */
export function trafficLabels(parties: ConnectionParties, responseFlag: string): string[] {
  const { service } = parties;
  const secure = parties.sourceIdentity !== undefined && parties.destinationIdentity !== undefined;
  return [
    parties.reporter,
    ...workloadLabels(parties.source, parties.sourceIdentity),
    service?.hostname ?? UNKNOWN,
    service?.namespace ?? UNKNOWN,
    service?.name ?? UNKNOWN,
    ...workloadLabels(parties.destination, parties.destinationIdentity),
    'tcp',
    responseFlag,
    secure ? 'mutual_tls' : UNKNOWN,
  ];
}

/** workload, canonical service, canonical revision, namespace, principal, app, version, cluster. */
function workloadLabels(workload: Workload | undefined, identity: SpiffeId | undefined): string[] {
  const principal = identity === undefined ? UNKNOWN : formatSpiffeId(identity);
  if (workload === undefined) {
    return [UNKNOWN, UNKNOWN, UNKNOWN, identity?.namespace ?? UNKNOWN, principal, UNKNOWN, UNKNOWN, UNKNOWN];
  }
  const service = workload.canonicalName || UNKNOWN;
  const revision = workload.canonicalRevision || UNKNOWN;
  const { workloadName, name, namespace, clusterId } = workload;
  return [
    workloadName || name,
    service,
    revision,
    namespace,
    principal,
    service,
    revision,
    clusterId || UNKNOWN,
  ];
}
