/** Which endpoint of a service a client gets: eligibility, ranking by locality, and the weighted draw. */

import { familyOf } from '../base/ip.ts';
import { EndpointList, type PortChoices } from './endpoint-list.ts';
import { allowsFamily, type LoadBalancing, type RoutingScope } from './service.ts';
import type { ServiceRecord } from './service-record.ts';
import { hasPort, targetPortAt } from './target-port.ts';
import type { Workload } from './workload.ts';

/**
 * `destination`: the service itself is called, and must have the port. `waypoint`: its endpoints take HBONE for others,
 * and one with an application tunnel takes it on any port.
 */
export type EndpointPurpose = 'destination' | 'waypoint';

export interface EndpointQuery {
  readonly source: Workload;
  readonly port: number;
  readonly purpose: EndpointPurpose;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Uids of endpoints that were tried already. */
  readonly exclude?: ReadonlySet<string> | undefined;
}

export interface ChosenEndpoint {
  readonly workload: Workload;
  readonly port: number;
}

/** A node has no more pods than this; where more clients are asked for, lists are made anew now and then. */
const MAX_CACHED_CLIENTS = 512;
const WAYPOINT_KEY_OFFSET = 0x1_0000;
const NOBODY = new EndpointList([], []);

/** Draws an endpoint; undefined when none is eligible. */
export function chooseEndpoint(record: ServiceRecord, query: EndpointQuery): ChosenEndpoint | undefined {
  const { exclude } = query;
  const usual = draw(cachedList(record, query), query);
  if (usual === undefined || exclude === undefined || !exclude.has(usual.workload.uid)) return usual;
  return draw(buildList(record, query), query);
}

function draw(list: EndpointList, query: EndpointQuery): ChosenEndpoint | undefined {
  const index = list.draw(query.random());
  return index < 0 ? undefined : { workload: list.workload(index), port: list.port(index) };
}

function cachedList(record: ServiceRecord, query: EndpointQuery): EndpointList {
  const { source, port, purpose } = query;
  const key = purpose === 'destination' ? port : port + WAYPOINT_KEY_OFFSET;
  let choices = record.choices(key);
  if (choices === undefined) {
    // A port that the service lacks is not cached: a scan of all ports must not cost memory.
    if (purpose === 'destination' && !hasPort(record, port)) return NOBODY;
    choices = { byPlace: new Map(), bySource: new Map() };
    record.setChoices(key, choices);
  }
  return choices.bySource.get(source) ?? listForNewSource(record, choices, query);
}

function listForNewSource(record: ServiceRecord, choices: PortChoices, query: EndpointQuery): EndpointList {
  const { byPlace, bySource } = choices;
  const place = placeKey(record, query.source);
  if (byPlace.size >= MAX_CACHED_CLIENTS) byPlace.clear();
  if (bySource.size >= MAX_CACHED_CLIENTS) bySource.clear();
  const list = byPlace.get(place) ?? buildList(record, { ...query, exclude: undefined });
  byPlace.set(place, list);
  bySource.set(query.source, list);
  return list;
}

/** What distinguishes clients for this service: their network, and where they are if it ranks endpoints by that. */
function placeKey(record: ServiceRecord, source: Workload): string {
  const preference = ranking(record)?.routingPreference;
  let key = source.network;
  if (preference !== undefined) for (const scope of preference) key += `\n${scopeValue(scope, source)}`;
  return key;
}

/** The eligible endpoints of the best rank that any of them has. */
function buildList(record: ServiceRecord, query: EndpointQuery): EndpointList {
  const { source, exclude } = query;
  const balancing = ranking(record);
  let workloads: Workload[] = [];
  let ports: number[] = [];
  let bestRank = 0;
  for (const workload of record.eligibleEndpoints()) {
    if (workload.capacity === 0 || exclude?.has(workload.uid)) continue;
    if (!isReachable(record, workload, source)) continue;
    const port = targetPort(record, workload, query);
    const rank = balancing === undefined ? 0 : rankOf(workload, source, balancing);
    if (port === undefined || rank < bestRank) continue;
    if (rank > bestRank) [workloads, ports, bestRank] = [[], [], rank];
    workloads.push(workload);
    ports.push(port);
  }
  return new EndpointList(workloads, ports);
}

function ranking(record: ServiceRecord): LoadBalancing | undefined {
  const balancing = record.service?.loadBalancing;
  return balancing === undefined || balancing.mode === 'UNSPECIFIED' ? undefined : balancing;
}

/** How many leading scopes agree with the client; -1 when the mode does not permit the endpoint. */
function rankOf(workload: Workload, source: Workload, balancing: LoadBalancing): number {
  const { routingPreference } = balancing;
  let rank = 0;
  while (rank < routingPreference.length) {
    const scope = routingPreference[rank]!;
    if (scopeValue(scope, workload) !== scopeValue(scope, source)) break;
    rank++;
  }
  return balancing.mode === 'STRICT' && rank < routingPreference.length ? -1 : rank;
}

function scopeValue(scope: RoutingScope, workload: Workload): string {
  switch (scope) {
    case 'REGION':
      return workload.locality.region;
    case 'ZONE':
      return workload.locality.zone;
    case 'SUBZONE':
      return workload.locality.subzone;
    case 'NODE':
      return workload.node;
    case 'CLUSTER':
      return workload.clusterId;
    case 'NETWORK':
      return workload.network;
  }
}

/**
 * A workload without an address that the service allows is reached only through the gateway of its network, and never
 * from within that network.
 */
function isReachable(record: ServiceRecord, workload: Workload, source: Workload): boolean {
  if (workload.hostname !== '') return true;
  const families = record.service?.ipFamilies ?? 'AUTOMATIC';
  for (const address of workload.addresses) if (allowsFamily(families, familyOf(address))) return true;
  return workload.networkGateway !== undefined && workload.network !== source.network;
}

function targetPort(record: ServiceRecord, workload: Workload, query: EndpointQuery): number | undefined {
  const mapped = targetPortAt(record, workload, query.port);
  if (mapped !== undefined || query.purpose === 'destination') return mapped;
  return (workload.applicationTunnel?.port ?? 0) > 0 ? query.port : undefined;
}
