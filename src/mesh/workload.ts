/** A workload: one address (or host name) that can open and take connections, with everything a proxy must know of it. */

import type { IpAddress } from '../base/ip.ts';
import type { SpiffeId } from '../base/spiffe-id.ts';
import type { Extension, GatewayAddress } from './gateway-address.ts';

/** LEGACY_ISTIO_MTLS has no place here: a resource that asks for it is refused where it is decoded. */
export type TunnelProtocol = 'NONE' | 'HBONE';
export type WorkloadType = 'DEPLOYMENT' | 'CRONJOB' | 'POD' | 'JOB';
export type WorkloadStatus = 'HEALTHY' | 'UNHEALTHY';
export type NetworkMode = 'STANDARD' | 'HOST_NETWORK';
export type ApplicationTunnelProtocol = 'NONE' | 'PROXY';

/** What an empty field of the wire message stands for; decoders put these in, so that no reader has to. */
export const WORKLOAD_DEFAULTS = {
  trustDomain: 'cluster.local',
  serviceAccount: 'default',
  clusterId: 'Kubernetes',
  capacity: 1,
} as const;

/** Empty strings where nothing is known. */
export interface Locality {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
}

/** After HBONE ends at the proxy, the application gets the connection in another tunnel protocol. */
export interface ApplicationTunnel {
  readonly protocol: ApplicationTunnelProtocol;
  /** 0: the port that the client asked for. */
  readonly port: number;
}

/** One port of a service as seen from an endpoint (or from the service itself, as the default of its endpoints). */
export interface PortMapping {
  readonly servicePort: number;
  /** 0 at a service: a named port, which every endpoint maps for itself. */
  readonly targetPort: number;
}

/** istio.workload.Workload; fields as on the wire, enumerations by name, defaults filled in. */
export interface Workload {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly addresses: readonly IpAddress[];
  /** For a workload without addresses, which are then looked up when a connection needs one; else empty. */
  readonly hostname: string;
  readonly network: string;
  readonly tunnelProtocol: TunnelProtocol;
  readonly trustDomain: string;
  readonly serviceAccount: string;
  /** Where clients must send traffic that is addressed to this workload itself. */
  readonly waypoint?: GatewayAddress | undefined;
  /** Where to go when the workload is on another network than the client. */
  readonly networkGateway?: GatewayAddress | undefined;
  readonly node: string;
  readonly canonicalName: string;
  readonly canonicalRevision: string;
  readonly workloadType: WorkloadType;
  readonly workloadName: string;
  /** The workload ends HBONE itself (a waypoint, a gateway). */
  readonly nativeTunnel: boolean;
  readonly applicationTunnel?: ApplicationTunnel | undefined;
  /** `namespace/hostname` of each service that it backs, with the ports it serves there. */
  readonly services: ReadonlyMap<string, readonly PortMapping[]>;
  /** `namespace/name` of the WORKLOAD_SELECTOR policies that select it. */
  readonly authorizationPolicies: readonly string[];
  readonly status: WorkloadStatus;
  readonly clusterId: string;
  readonly locality: Locality;
  readonly networkMode: NetworkMode;
  readonly extensions: readonly Extension[];
  /** Weight in the random choice among endpoints; how many workloads a split-horizon workload stands for. */
  readonly capacity: number;
}

/** The identity in the workload's certificate. */
export function identityOf(workload: Workload): SpiffeId {
  return {
    trustDomain: workload.trustDomain,
    namespace: workload.namespace,
    serviceAccount: workload.serviceAccount,
  };
}
