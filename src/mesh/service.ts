/** A service: a host name with virtual addresses and ports, backed by the workloads that name it. */

import type { IpAddress, IpFamily } from '../base/ip.ts';
import type { Extension, GatewayAddress } from './gateway-address.ts';
import type { PortMapping } from './workload.ts';

export type AppProtocol = 'UNKNOWN' | 'HTTP11' | 'HTTP2' | 'GRPC' | 'TCP' | 'TLS';
export type RoutingScope = 'REGION' | 'ZONE' | 'SUBZONE' | 'NODE' | 'CLUSTER' | 'NETWORK';
/** UNSPECIFIED: every endpoint alike. */
export type LoadBalancingMode = 'UNSPECIFIED' | 'STRICT' | 'FAILOVER' | 'PASSTHROUGH';
export type HealthPolicy = 'ONLY_HEALTHY' | 'ALLOW_ALL';
export type IpFamilies = 'AUTOMATIC' | 'IPV4_ONLY' | 'IPV6_ONLY' | 'DUAL';
export type Visibility = 'PUBLIC' | 'NAMESPACE';

/** A virtual address of a service on one network, or a whole block of them. */
export interface ServiceAddress {
  readonly network: string;
  readonly ip: IpAddress;
  /** Length of the prefix when the service takes a block of addresses; absent for a single address. */
  readonly prefixLength?: number | undefined;
}

export interface ServicePort extends PortMapping {
  readonly appProtocol: AppProtocol;
}

export interface LoadBalancing {
  /** From the widest scope to the narrowest: how many of the leading ones agree with the client ranks an endpoint. */
  readonly routingPreference: readonly RoutingScope[];
  readonly mode: LoadBalancingMode;
  readonly healthPolicy: HealthPolicy;
}

export interface WeightedWaypoint {
  readonly destination: GatewayAddress;
  readonly weight: number;
}

/** istio.workload.Service; fields as on the wire, enumerations by name. */
export interface Service {
  readonly name: string;
  readonly namespace: string;
  readonly hostname: string;
  readonly addresses: readonly ServiceAddress[];
  readonly ports: readonly ServicePort[];
  /** SPIFFE IDs that an endpoint may show beside its own. */
  readonly subjectAltNames: readonly string[];
  readonly waypoint?: GatewayAddress | undefined;
  readonly loadBalancing?: LoadBalancing | undefined;
  readonly ipFamilies: IpFamilies;
  readonly extensions: readonly Extension[];
  /** Wins over the other services of the same host name or address. */
  readonly canonical: boolean;
  readonly ingressUseWaypoint: boolean;
  /** When not empty, one of these is drawn by weight instead of {@link waypoint}. */
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  /** NAMESPACE: clients of other namespaces neither resolve nor reach it as a service. */
  readonly visibility: Visibility;
}

/** Whether a service that declares these families may be reached by an address of that one. */
export function allowsFamily(families: IpFamilies, family: IpFamily): boolean {
  return families === 'IPV4_ONLY' ? family === 4 : families !== 'IPV6_ONLY' || family === 6;
}
