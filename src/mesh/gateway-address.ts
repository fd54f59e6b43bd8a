/** How mesh objects name an address on a network, or the waypoint or gateway they want traffic to pass through. */

import type { IpAddress } from '../base/ip.ts';

/** An address on one of the networks of the mesh; the same IP may exist on several networks. */
export interface NetworkAddress {
  readonly network: string;
  readonly ip: IpAddress;
}

/** A service by its namespace and full host name; the same host name may exist in several namespaces. */
export interface NamespacedHostname {
  readonly namespace: string;
  readonly hostname: string;
}

export type GatewayDestination =
  | ({ readonly kind: 'hostname' } & NamespacedHostname)
  | ({ readonly kind: 'address' } & NetworkAddress);

/** A reference to a waypoint or a network gateway. */
export interface GatewayAddress {
  readonly destination: GatewayDestination;
  /** The port that takes HBONE: a port of the service when the destination is one, else of the workload; 0 means 15008. */
  readonly hboneMtlsPort: number;
}

/** An extension of an object, which the data plane carries and does not read (google.protobuf.Any by parts). */
export interface Extension {
  readonly name: string;
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** Where HBONE is served when nothing else is said. */
export const HBONE_PORT = 15008;

/** `namespace/hostname`: the xDS resource name of a service. */
export function namespacedHostname(name: NamespacedHostname): string {
  return `${name.namespace}/${name.hostname}`;
}
