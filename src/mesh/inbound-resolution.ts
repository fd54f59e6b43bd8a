/** Where a tunnel that a peer opens to a local workload leads, or the HTTP status it is refused with. */

import type { AmbitError } from '../base/errors.ts';
import { familyOf, type IpAddress, type SocketAddress } from '../base/ip.ts';
import { meshErrors } from './errors.ts';
import type { GatewayAddress } from './gateway-address.ts';
import { isBehindGateway } from './gateway-resolution.ts';
import type { MeshState } from './mesh-state.ts';
import type { Service } from './service.ts';
import { preferredService } from './service-index.ts';
import type { ServiceRecord } from './service-record.ts';
import { targetPortAt } from './target-port.ts';
import type { ApplicationTunnel, Workload } from './workload.ts';

/** Ports of the proxy itself; a tunnel that ends there would go round in circles. */
export const ILLEGAL_PORTS: ReadonlySet<number> = new Set([15001, 15006, 15008]);
/** Where the proxy serves SOCKS5 as well. */
export const ILLEGAL_PORTS_WITH_SOCKS5: ReadonlySet<number> = new Set([...ILLEGAL_PORTS, 15080]);

const LOOPBACK_V4 = '127.0.0.1' as IpAddress;
const LOOPBACK_V6 = '::1' as IpAddress;

/** What the `:authority` of a CONNECT request names. */
export type InboundTarget =
  | { readonly kind: 'address'; readonly address: SocketAddress }
  | { readonly kind: 'hostname'; readonly hostname: string; readonly port: number };

export interface InboundRequest {
  readonly target: InboundTarget;
  /** The workload that the listener belongs to, if the control plane has described it. */
  readonly local: Workload | undefined;
  /** The address of the pod that the peer connected to. */
  readonly localIp: IpAddress;
  /** The network of this proxy. */
  readonly network: string;
  readonly illegalPorts: ReadonlySet<number>;
  /** `host=` of the forwarded header: a hint for telemetry, believed only of services that the workload backs. */
  readonly forwardedHost?: string | undefined;
}

export interface InboundForward {
  readonly kind: 'forward';
  readonly dial: SocketAddress;
  /** What policies are asked about: address and port of the pod. */
  readonly policyDestination: SocketAddress;
  /** When the application takes a tunnel protocol: the destination that its header names. */
  readonly proxyProtocol: { readonly destination: SocketAddress } | undefined;
  /** The service that was most probably meant, for telemetry. */
  readonly service: Service | undefined;
}

export interface InboundRefusal {
  readonly kind: 'refused';
  readonly status: 400 | 503;
  readonly error: AmbitError;
}

export type InboundDecision = InboundForward | InboundRefusal;

/** Decides as Istio's inbound proxy does (reference §1.4). */
export function resolveInbound(state: MeshState, request: InboundRequest): InboundDecision {
  const { local, target } = request;
  if (local === undefined) {
    return refuse(503, meshErrors.AMBIT_LOCAL_WORKLOAD_UNKNOWN('local workload not found'));
  }
  return target.kind === 'hostname'
    ? toHostname(state, request, local, target)
    : toAddress(state, request, local, target.address);
}

/** The peer came through a gateway, which knows services by name only. */
function toHostname(
  state: MeshState,
  request: InboundRequest,
  local: Workload,
  target: { hostname: string; port: number },
): InboundDecision {
  const { hostname, port } = target;
  const record = serviceOfHostname(state, hostname, local);
  if (record === undefined) {
    return refuse(503, meshErrors.AMBIT_UNKNOWN_HOSTNAME(`no service or workload for hostname: ${hostname}`));
  }
  const podPort = targetPortAt(record, local, port);
  if (podPort === undefined) {
    const text = `requested service ${hostname}:${port} found, but cannot resolve port`;
    return refuse(503, meshErrors.AMBIT_NO_PORT_FOR_SERVICE(text));
  }
  if (request.illegalPorts.has(podPort)) return recursiveCall();
  const vip =
    local.applicationTunnel === undefined ? undefined : reachableVip(record.service!, request.network);
  if (local.applicationTunnel?.protocol === 'PROXY' && vip === undefined) {
    const text = `requested service ${hostname} found, but has no IP addresses`;
    return refuse(503, meshErrors.AMBIT_NO_IP_FOR_SERVICE(text));
  }
  const asked = { ip: vip ?? request.localIp, port };
  return forward(request, local, { podPort, asked, service: record.service });
}

function toAddress(
  state: MeshState,
  request: InboundRequest,
  local: Workload,
  asked: SocketAddress,
): InboundDecision {
  if (asked.ip !== request.localIp && !takesForOthers(state, request, local, asked.ip)) {
    return refuse(400, meshErrors.AMBIT_IP_MISMATCH(`ip mismatch: ${request.localIp} != ${asked.ip}`));
  }
  if (request.illegalPorts.has(asked.port)) return recursiveCall();
  const service = serviceOfInbound(state, local, asked.port, request.forwardedHost);
  return forward(request, local, { podPort: asked.port, asked, service });
}

/** A waypoint takes tunnels for whatever is bound to it; one with an application tunnel judges that by itself. */
function takesForOthers(state: MeshState, request: InboundRequest, local: Workload, ip: IpAddress): boolean {
  if (local.applicationTunnel !== undefined) return true;
  return waypointsOf(state, request.network, ip).some((waypoint) => isBehindGateway(state, waypoint, local));
}

/** The waypoints that whoever has the address is bound to: a workload before a service, as the sender looks it up. */
function waypointsOf(state: MeshState, network: string, ip: IpAddress): readonly GatewayAddress[] {
  const workload = state.workloadByAddress(network, ip);
  const service = state.serviceByVip(network, ip);
  return [
    workload?.waypoint,
    service?.waypoint,
    ...(service?.weightedWaypoints.map((one) => one.destination) ?? []),
  ].filter((waypoint) => waypoint !== undefined);
}

function forward(
  request: InboundRequest,
  local: Workload,
  to: { podPort: number; asked: SocketAddress; service: Service | undefined },
): InboundForward {
  const tunnel: ApplicationTunnel | undefined = local.applicationTunnel;
  const port = tunnel === undefined || tunnel.port === 0 ? to.podPort : tunnel.port;
  const policyDestination = { ip: request.localIp, port };
  const proxied = tunnel?.protocol === 'PROXY';
  const loopback = familyOf(request.localIp) === 4 ? LOOPBACK_V4 : LOOPBACK_V6;
  return {
    kind: 'forward',
    dial: proxied ? { ip: loopback, port } : policyDestination,
    policyDestination,
    proxyProtocol: proxied ? { destination: to.asked } : undefined,
    service: to.service,
  };
}

/** Several services may have the host name: one that the workload backs is meant first, then by the usual preference. */
function serviceOfHostname(state: MeshState, hostname: string, local: Workload): ServiceRecord | undefined {
  const records = state.serviceIndex.withHostname(hostname);
  const own = records.filter((record) => record.endpoints.has(local.uid));
  return preferredService(own, local.namespace) ?? preferredService(records, local.namespace);
}

/** An address of the service for the PROXY header: one on this network first, then IPv4. */
function reachableVip(service: Service, network: string): IpAddress | undefined {
  const single = service.addresses.filter((address) => address.prefixLength === undefined);
  const rank = (address: (typeof single)[number]): number =>
    (address.network === network ? 2 : 0) + (familyOf(address.ip) === 4 ? 1 : 0);
  return single.toSorted((a, b) => rank(b) - rank(a))[0]?.ip;
}

/**
 * The service that a connection to a port of a local workload was most probably meant for: the one the peer names, if
 * the workload backs it, else the first of its services that leads to this port.
 */
export function serviceOfInbound(
  state: MeshState,
  local: Workload,
  podPort: number,
  forwardedHost?: string,
): Service | undefined {
  let leading: Service | undefined;
  for (const name of local.services.keys()) {
    const record = state.serviceIndex.get(name);
    if (record?.service === undefined) continue;
    if (record.service.hostname === forwardedHost) return record.service;
    if (leading === undefined && leadsTo(record, local, podPort)) leading = record.service;
  }
  return leading;
}

function leadsTo(record: ServiceRecord, local: Workload, podPort: number): boolean {
  return record.service!.ports.some((port) => targetPortAt(record, local, port.servicePort) === podPort);
}

function recursiveCall(): InboundRefusal {
  return refuse(503, meshErrors.AMBIT_SELF_CALL('attempted recursive call to ourselves'));
}

function refuse(status: 400 | 503, error: AmbitError): InboundRefusal {
  return { kind: 'refused', status, error };
}
