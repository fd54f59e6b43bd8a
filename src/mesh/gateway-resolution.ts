/** From a reference to a waypoint or network gateway to the workload and port that take the tunnel. */

import type { IpAddress } from '../base/ip.ts';
import { chooseEndpoint, type EndpointPurpose, type EndpointQuery } from './endpoint-choice.ts';
import { type GatewayAddress, HBONE_PORT, namespacedHostname } from './gateway-address.ts';
import type { MeshState } from './mesh-state.ts';
import type { ServiceRecord } from './service-record.ts';
import type { Workload } from './workload.ts';

/** What a reference names: a service, or one workload. */
export type GatewayTarget =
  | { readonly kind: 'service'; readonly record: ServiceRecord }
  | { readonly kind: 'workload'; readonly workload: Workload };

export interface ChosenGateway {
  readonly workload: Workload;
  readonly port: number;
  /** When the reference names a service. */
  readonly record: ServiceRecord | undefined;
  /** Address of the workload to prefer; a reference by address asks for itself. */
  readonly preferredIp: IpAddress | undefined;
}

/** The object behind a reference, if it is known. Visibility is not asked: the binding was made by an operator. */
export function gatewayTarget(state: MeshState, gateway: GatewayAddress): GatewayTarget | undefined {
  const { destination } = gateway;
  if (destination.kind === 'hostname') {
    const record = state.serviceIndex.get(namespacedHostname(destination));
    if (record?.service !== undefined) return { kind: 'service', record };
    return ofWorkload(state.workloadByHostname(destination.namespace, destination.hostname));
  }
  const record = state.serviceIndex.byVip(destination.network, destination.ip, undefined);
  if (record !== undefined) return { kind: 'service', record };
  return ofWorkload(state.workloadByAddress(destination.network, destination.ip));
}

function ofWorkload(workload: Workload | undefined): GatewayTarget | undefined {
  return workload === undefined ? undefined : { kind: 'workload', workload };
}

/** Draws an endpoint of a waypoint or gateway; undefined when it is unknown or has none. */
export function chooseGateway(
  state: MeshState,
  gateway: GatewayAddress,
  query: Omit<EndpointQuery, 'port' | 'purpose'>,
  purpose: EndpointPurpose,
): ChosenGateway | undefined {
  const target = gatewayTarget(state, gateway);
  if (target === undefined) return undefined;
  const port = gateway.hboneMtlsPort === 0 ? HBONE_PORT : gateway.hboneMtlsPort;
  const preferredIp = gateway.destination.kind === 'address' ? gateway.destination.ip : undefined;
  if (target.kind === 'workload') {
    const { workload } = target;
    return query.exclude?.has(workload.uid) ? undefined : { workload, port, record: undefined, preferredIp };
  }
  const chosen = chooseEndpoint(target.record, { ...query, port, purpose });
  return chosen === undefined ? undefined : { ...chosen, record: target.record, preferredIp };
}

/** Whether a workload is (one endpoint of) what the reference names. */
export function isBehindGateway(state: MeshState, gateway: GatewayAddress, workload: Workload): boolean {
  const target = gatewayTarget(state, gateway);
  if (target === undefined) return false;
  return target.kind === 'service'
    ? target.record.endpoints.has(workload.uid)
    : target.workload.uid === workload.uid;
}

/** For an error text: the host name, or `network/ip`. */
export function describeGateway(gateway: GatewayAddress): string {
  const { destination } = gateway;
  return destination.kind === 'hostname' ? destination.hostname : `${destination.network}/${destination.ip}`;
}
