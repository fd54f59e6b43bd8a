/** Where a connection that a workload opens goes: the one decision that the outbound proxy carries out. */

import type { AmbitError } from '../base/errors.ts';
import {
  familyOf,
  formatSocketAddress,
  type IpAddress,
  type IpFamily,
  type SocketAddress,
} from '../base/ip.ts';
import { formatSpiffeId } from '../base/spiffe-id.ts';
import { chooseEndpoint } from './endpoint-choice.ts';
import { meshErrors } from './errors.ts';
import { type GatewayAddress, HBONE_PORT } from './gateway-address.ts';
import {
  type ChosenGateway,
  chooseGateway,
  describeGateway,
  gatewayTarget,
  isBehindGateway,
} from './gateway-resolution.ts';
import type { MeshState } from './mesh-state.ts';
import { allowsFamily, type IpFamilies, type Service } from './service.ts';
import type { ServiceRecord } from './service-record.ts';
import { identityOf, type Workload } from './workload.ts';

export interface OutboundRequest {
  /** The workload that opens the connection. */
  readonly source: Workload;
  /** Where the application meant to go. */
  readonly destination: SocketAddress;
  /** The network of this proxy. */
  readonly network: string;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Uids of endpoints whose dial failed before a byte had moved, for another attempt at the same connection. */
  readonly exclude?: ReadonlySet<string> | undefined;
}

/** A workload without addresses is dialled by a host name that has to be resolved first. */
export type DialTarget =
  | ({ readonly kind: 'address' } & SocketAddress)
  | {
      readonly kind: 'hostname';
      readonly hostname: string;
      readonly port: number;
      readonly preferredFamily: IpFamily;
    };

interface ToWorkload {
  /** The workload that is dialled; its uid goes into `exclude` if that fails. */
  readonly endpoint: Workload;
  readonly dial: DialTarget;
  /** The service that the application called, if it called one. */
  readonly service: Service | undefined;
}

interface ToTunnel extends ToWorkload {
  /** SPIFFE IDs one of which the peer of the TLS connection must have, exactly. */
  readonly expectedIdentities: readonly string[];
}

/** Plain TCP to the original destination: nothing is known of it, or its service says to leave it alone. */
export interface PassthroughDecision {
  readonly kind: 'passthrough';
  readonly dial: DialTarget;
  readonly service: Service | undefined;
}

/** HBONE to the proxy of the endpoint. */
export interface DirectDecision extends ToTunnel {
  readonly kind: 'direct';
  readonly targetPort: number;
  /** `ip:targetPort`; undefined until {@link withResolvedAddress} knows the ip. */
  readonly authority: string | undefined;
}

/** Plain TCP to an endpoint that does not take HBONE. */
export interface PlainDecision extends ToWorkload {
  readonly kind: 'plain';
}

/** HBONE to a waypoint, which goes on to the destination by itself. */
export interface WaypointDecision extends ToTunnel {
  readonly kind: 'waypoint';
  /** The original destination, as an address. */
  readonly authority: string;
  /** The service that the waypoint is behind, if it is bound by a service. */
  readonly waypointService: Service | undefined;
}

/** HBONE to the gateway of another network, and within it HBONE to the workload or waypoint that the gateway picks. */
export interface GatewayDecision extends ToTunnel {
  readonly kind: 'gateway';
  /** `hostname:service port`, on both layers. */
  readonly authority: string;
  readonly service: Service;
  /** The workload on the other network, which may stand for many. */
  readonly remote: Workload;
  readonly inner: {
    readonly authority: string;
    readonly expectedIdentities: readonly string[];
    /** Value of x-forwarded-network. */
    readonly forwardedNetwork: string;
  };
}

/** The connection fails; it never goes around what it was refused. */
export interface RefusedDecision {
  readonly kind: 'refused';
  readonly error: AmbitError;
  readonly service: Service | undefined;
}

export type OutboundDecision =
  | PassthroughDecision
  | DirectDecision
  | PlainDecision
  | WaypointDecision
  | GatewayDecision
  | RefusedDecision;

/** Decides as Istio's outbound proxy does (reference §1.6). */
export function resolveOutbound(state: MeshState, request: OutboundRequest): OutboundDecision {
  const { source, destination, network } = request;
  const record = state.serviceIndex.byVip(network, destination.ip, source.namespace);
  if (record !== undefined) return toService(state, request, record);
  const workload = state.workloadByAddress(network, destination.ip);
  return workload === undefined
    ? passthrough(destination, undefined)
    : toWorkload(state, request, workload, undefined);
}

/** The same decision once the host name of its endpoint is resolved. */
export function withResolvedAddress<D extends OutboundDecision>(decision: D, ip: IpAddress): D {
  if (decision.kind === 'refused' || decision.dial.kind === 'address') return decision;
  const dial: DialTarget = { kind: 'address', ip, port: decision.dial.port };
  if (decision.kind !== 'direct') return { ...decision, dial };
  return { ...decision, dial, authority: formatSocketAddress({ ip, port: decision.targetPort }) };
}

function toService(state: MeshState, request: OutboundRequest, record: ServiceRecord): OutboundDecision {
  const service = record.service!;
  const waypoint = drawWaypoint(service, request.random);
  if (waypoint !== undefined && !isOwnWaypoint(state, service, request.source)) {
    return throughWaypoint(state, request, waypoint, service);
  }
  if (service.loadBalancing?.mode === 'PASSTHROUGH') return keepDestination(state, request, service);
  return toEndpoint(state, request, record);
}

/** A waypoint calling a service that it serves is the second half of a connection: it must not come back to itself. */
function isOwnWaypoint(state: MeshState, service: Service, source: Workload): boolean {
  if (service.waypoint !== undefined && isBehindGateway(state, service.waypoint, source)) return true;
  return service.weightedWaypoints.some((one) => isBehindGateway(state, one.destination, source));
}

function drawWaypoint(service: Service, random: () => number): GatewayAddress | undefined {
  const { weightedWaypoints } = service;
  if (weightedWaypoints.length === 0) return service.waypoint;
  const total = weightedWaypoints.reduce((sum, one) => sum + one.weight, 0);
  let point = random() * total;
  for (const one of weightedWaypoints) {
    if (point < one.weight) return one.destination;
    point -= one.weight;
  }
  return service.waypoint;
}

/** A service that leaves destinations as they are still does not expose a pod of the mesh to plain text. */
function keepDestination(state: MeshState, request: OutboundRequest, service: Service): OutboundDecision {
  const workload = state.workloadByAddress(request.network, request.destination.ip);
  return workload === undefined
    ? passthrough(request.destination, service)
    : toWorkload(state, request, workload, service);
}

function toEndpoint(state: MeshState, request: OutboundRequest, record: ServiceRecord): OutboundDecision {
  const { source, destination, random, exclude } = request;
  const service = record.service!;
  const chosen = chooseEndpoint(record, {
    source,
    port: destination.port,
    purpose: 'destination',
    random,
    exclude,
  });
  if (chosen === undefined) return noHealthyUpstream(destination, service);
  const { workload, port } = chosen;
  if (workload.network === source.network) {
    const dial = dialTarget(workload, port, { preferredIp: destination.ip, families: service.ipFamilies });
    return direct(workload, port, { dial, service, identities: record.identities });
  }
  const decision = throughGateway(state, request, workload, {
    service,
    expectedIdentities: record.identities,
  });
  if (decision.kind !== 'refused' || exclude === undefined) return decision;
  // On a second attempt another endpoint is better than the reason why this one cannot be reached.
  return toEndpoint(state, { ...request, exclude: new Set([...exclude, workload.uid]) }, record);
}

/** The workload itself is called, by its address. */
function toWorkload(
  state: MeshState,
  request: OutboundRequest,
  workload: Workload,
  service: Service | undefined,
): OutboundDecision {
  const { source, destination } = request;
  const { waypoint } = workload;
  if (waypoint !== undefined && !isBehindGateway(state, waypoint, source)) {
    return throughWaypoint(state, request, waypoint, service);
  }
  if (request.exclude?.has(workload.uid)) return noHealthyUpstream(destination, service);
  const dial: DialTarget = { kind: 'address', ip: destination.ip, port: destination.port };
  return direct(workload, destination.port, { dial, service, identities: [] });
}

function direct(
  endpoint: Workload,
  targetPort: number,
  to: { dial: DialTarget | undefined; service: Service | undefined; identities: readonly string[] },
): OutboundDecision {
  const { dial, service } = to;
  if (dial === undefined) return noValidDestination(endpoint, service);
  if (endpoint.tunnelProtocol === 'NONE') return { kind: 'plain', endpoint, dial, service };
  return {
    kind: 'direct',
    endpoint,
    dial: { ...dial, port: HBONE_PORT },
    service,
    targetPort,
    authority: dial.kind === 'address' ? formatSocketAddress(dial) : undefined,
    expectedIdentities: [...to.identities, formatSpiffeId(identityOf(endpoint))],
  };
}

/** A waypoint that is bound and cannot be used fails the connection: what it enforces must not be avoided. */
function throughWaypoint(
  state: MeshState,
  request: OutboundRequest,
  waypoint: GatewayAddress,
  service: Service | undefined,
): OutboundDecision {
  const chosen = chooseGateway(state, waypoint, request, 'waypoint');
  if (chosen === undefined) return unknownWaypoint(state, waypoint, service);
  const { workload, record } = chosen;
  if (workload.network !== request.source.network) {
    const expectedIdentities = record?.identities ?? [];
    return throughGateway(state, request, workload, { service, expectedIdentities });
  }
  const dial = dialOfGateway(chosen, request);
  if (dial === undefined) return noValidDestination(workload, service);
  return {
    kind: 'waypoint',
    endpoint: workload,
    dial,
    service,
    authority: formatSocketAddress(request.destination),
    expectedIdentities: identitiesOf(chosen),
    waypointService: record?.service,
  };
}

/** Only what was addressed to a service can cross networks: its host name is what the other side routes by. */
function throughGateway(
  state: MeshState,
  request: OutboundRequest,
  remote: Workload,
  inner: { service: Service | undefined; expectedIdentities: readonly string[] },
): OutboundDecision {
  const { service, expectedIdentities } = inner;
  if (service === undefined || remote.networkGateway === undefined)
    return noValidDestination(remote, service);
  const chosen = chooseGateway(state, remote.networkGateway, request, 'destination');
  if (chosen === undefined) return unknownNetworkGateway(remote.networkGateway, service);
  const dial = dialOfGateway(chosen, request);
  if (dial === undefined) return noValidDestination(chosen.workload, service);
  const authority = `${service.hostname}:${request.destination.port}`;
  return {
    kind: 'gateway',
    endpoint: chosen.workload,
    dial,
    service,
    authority,
    expectedIdentities: identitiesOf(chosen),
    remote,
    inner: { authority, expectedIdentities, forwardedNetwork: request.source.network },
  };
}

function identitiesOf(chosen: ChosenGateway): readonly string[] {
  return [...(chosen.record?.identities ?? []), formatSpiffeId(identityOf(chosen.workload))];
}

function dialOfGateway(chosen: ChosenGateway, request: OutboundRequest): DialTarget | undefined {
  const preferredIp = chosen.preferredIp ?? request.destination.ip;
  const families = chosen.record?.service?.ipFamilies ?? 'AUTOMATIC';
  return dialTarget(chosen.workload, chosen.port, { preferredIp, families });
}

/** The asked address if the workload owns it, else one that the service allows, of the asked family if there is one. */
function dialTarget(
  workload: Workload,
  port: number,
  wish: { preferredIp: IpAddress; families: IpFamilies },
): DialTarget | undefined {
  const { addresses, hostname } = workload;
  const preferredFamily = familyOf(wish.preferredIp);
  let ip: IpAddress | undefined;
  for (const address of addresses) {
    if (address === wish.preferredIp) return { kind: 'address', ip: address, port };
    if (!allowsFamily(wish.families, familyOf(address))) continue;
    if (ip === undefined || (familyOf(ip) !== preferredFamily && familyOf(address) === preferredFamily))
      ip = address;
  }
  if (ip !== undefined) return { kind: 'address', ip, port };
  return hostname === '' ? undefined : { kind: 'hostname', hostname, port, preferredFamily };
}

function passthrough(destination: SocketAddress, service: Service | undefined): PassthroughDecision {
  return { kind: 'passthrough', dial: { kind: 'address', ...destination }, service };
}

function refused(error: AmbitError, service: Service | undefined): RefusedDecision {
  return { kind: 'refused', error, service };
}

function noHealthyUpstream(destination: SocketAddress, service: Service | undefined): RefusedDecision {
  const text = `no healthy upstream: ${formatSocketAddress(destination)}`;
  return refused(meshErrors.AMBIT_NO_HEALTHY_UPSTREAM(text), service);
}

function unknownWaypoint(
  state: MeshState,
  waypoint: GatewayAddress,
  service: Service | undefined,
): RefusedDecision {
  const known = gatewayTarget(state, waypoint) !== undefined;
  const text = `unknown waypoint: waypoint ${describeGateway(waypoint)} ${known ? 'has no usable endpoint' : 'not found'}`;
  return refused(meshErrors.AMBIT_UNKNOWN_WAYPOINT(text), service);
}

function unknownNetworkGateway(gateway: GatewayAddress, service: Service): RefusedDecision {
  const text = `unknown network gateway: network gateway ${describeGateway(gateway)} not found`;
  return refused(meshErrors.AMBIT_UNKNOWN_NETWORK_GATEWAY(text), service);
}

function noValidDestination(workload: Workload, service: Service | undefined): RefusedDecision {
  const text = `no valid routing destination for workload: ${workload.name}`;
  return refused(meshErrors.AMBIT_NO_VALID_DESTINATION(text), service);
}
