/** Reads a Gateway as a waypoint: where it is, what it is for, and who may attach to it. */

import { parseIp } from '../../base/ip.ts';
import type { GatewayAddress } from '../../mesh/gateway-address.ts';
import { HBONE_PORT } from '../../mesh/gateway-address.ts';
import type { Gateway, GatewayListener } from '../../objects/gateway-types.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { selectsByExpression } from './selectors.ts';
import { LABELS } from './well-known-keys.ts';

export const WAYPOINT_CLASS = 'istio-waypoint';
const HBONE_PROTOCOL = 'HBONE';

/** What kind of destination goes through it; the value of `istio.io/waypoint-for`. */
export type WaypointTraffic = 'service' | 'workload' | 'all' | 'none';

export interface Waypoint {
  readonly namespace: string;
  readonly name: string;
  /** Absent until the Gateway has been given an address. */
  readonly address: GatewayAddress | undefined;
  readonly traffic: WaypointTraffic;
}

/** Whether this Gateway is a waypoint: of the waypoint class, or of another one with an HBONE listener. */
export function isWaypoint(gateway: Gateway): boolean {
  return gateway.spec.gatewayClassName === WAYPOINT_CLASS || hboneListener(gateway) !== undefined;
}

export function describeWaypoint(context: CompileContext, gateway: Gateway): Waypoint {
  const { namespace, name } = gateway.metadata;
  return { namespace, name, address: addressOf(context, gateway), traffic: trafficOf(context, gateway) };
}

export function handles(waypoint: Waypoint, traffic: 'service' | 'workload'): boolean {
  return waypoint.traffic === traffic || waypoint.traffic === 'all';
}

/** Whether objects of a namespace may attach: what the HBONE listener says, by default its own namespace only. */
export function allowsNamespace(context: CompileContext, gateway: Gateway, namespace: string): boolean {
  const allowed = hboneListener(gateway)?.allowedRoutes?.namespaces;
  const from = allowed?.from ?? 'Same';
  if (from === 'All') return true;
  if (from === 'Same') return gateway.metadata.namespace === namespace;
  if (from === 'None') return false;
  const labels = context.objects.get('Namespace', '', namespace)?.metadata.labels;
  return selectsByExpression(allowed?.selector, { ...labels, [LABELS.namespaceName]: namespace });
}

function hboneListener(gateway: Gateway): GatewayListener | undefined {
  return gateway.spec.listeners?.find((listener) => listener.protocol.toUpperCase() === HBONE_PROTOCOL);
}

function trafficOf(context: CompileContext, gateway: Gateway): WaypointTraffic {
  const ofClass = context.objects.get('GatewayClass', '', gateway.spec.gatewayClassName);
  const value =
    gateway.metadata.labels?.[LABELS.waypointFor] ?? ofClass?.metadata.labels?.[LABELS.waypointFor];
  return value === 'workload' || value === 'all' || value === 'none' ? value : 'service';
}

/** The first address that can be used: of a Gateway only those in its status are served. */
function addressOf(context: CompileContext, gateway: Gateway): GatewayAddress | undefined {
  const hboneMtlsPort = hboneListener(gateway)?.port ?? HBONE_PORT;
  for (const { type = 'IPAddress', value = '' } of gateway.status?.addresses ?? []) {
    const { namespace } = gateway.metadata;
    if (type === 'Hostname' && value !== '') {
      return { destination: { kind: 'hostname', namespace, hostname: value }, hboneMtlsPort };
    }
    const ip = type === 'IPAddress' ? parseIp(value) : undefined;
    if (ip !== undefined) {
      const network = networkOf(context);
      return { destination: { kind: 'address', network, ip }, hboneMtlsPort };
    }
  }
  return undefined;
}
