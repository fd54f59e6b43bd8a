/** The messages of istio.workload: what a node proxy is told about workloads and services. */

import { mapOf, message, oneof, optional, repeated, singular, type ValueOf } from './message-schema.ts';
import { Any, UInt32Value } from './well-known-messages.ts';
import { BOOL, BYTES, ENUM, STRING, UINT32 } from './wire-type.ts';

export const TunnelProtocol = { NONE: 0, HBONE: 1, LEGACY_ISTIO_MTLS: 2 } as const;
export const WorkloadType = { DEPLOYMENT: 0, CRONJOB: 1, POD: 2, JOB: 3 } as const;
export const WorkloadStatus = { HEALTHY: 0, UNHEALTHY: 1 } as const;
export const NetworkMode = { STANDARD: 0, HOST_NETWORK: 1 } as const;
export const ApplicationTunnelProtocol = { NONE: 0, PROXY: 1 } as const;
export const AppProtocol = { UNKNOWN: 0, HTTP11: 1, HTTP2: 2, GRPC: 3, TCP: 4, TLS: 5 } as const;
export const IpFamilies = { AUTOMATIC: 0, IPV4_ONLY: 1, IPV6_ONLY: 2, DUAL: 3 } as const;
export const Visibility = { PUBLIC: 0, NAMESPACE: 1 } as const;
export const RoutingScope = {
  UNSPECIFIED_SCOPE: 0,
  REGION: 1,
  ZONE: 2,
  SUBZONE: 3,
  NODE: 4,
  CLUSTER: 5,
  NETWORK: 6,
} as const;
export const LoadBalancingMode = { UNSPECIFIED: 0, STRICT: 1, FAILOVER: 2, PASSTHROUGH: 3 } as const;
export const HealthPolicy = { ONLY_HEALTHY: 0, ALLOW_ALL: 1 } as const;

export const NetworkAddress = message('istio.workload.NetworkAddress', {
  network: singular(1, STRING),
  /** 4 or 16 bytes. */
  address: singular(2, BYTES),
  /** A block of addresses, by the length of its prefix; absent: one address. */
  length: optional(3, UINT32),
});
export type NetworkAddress = ValueOf<typeof NetworkAddress>;

export const NamespacedHostname = message('istio.workload.NamespacedHostname', {
  namespace: singular(1, STRING),
  hostname: singular(2, STRING),
});
export type NamespacedHostname = ValueOf<typeof NamespacedHostname>;

export const GatewayAddress = message('istio.workload.GatewayAddress', {
  destination: oneof({ hostname: [1, NamespacedHostname], address: [2, NetworkAddress] }),
  hboneMtlsPort: singular(3, UINT32),
});
export type GatewayAddress = ValueOf<typeof GatewayAddress>;

export const Port = message('istio.workload.Port', {
  servicePort: singular(1, UINT32),
  targetPort: singular(2, UINT32),
  appProtocol: singular(3, ENUM),
});
export type Port = ValueOf<typeof Port>;

export const PortList = message('istio.workload.PortList', { ports: repeated(1, Port) });
export type PortList = ValueOf<typeof PortList>;

export const Extension = message('istio.workload.Extension', {
  name: singular(1, STRING),
  config: optional(2, Any),
});
export type Extension = ValueOf<typeof Extension>;

export const LoadBalancing = message('istio.workload.LoadBalancing', {
  routingPreference: repeated(1, ENUM),
  mode: singular(2, ENUM),
  healthPolicy: singular(3, ENUM),
});
export type LoadBalancing = ValueOf<typeof LoadBalancing>;

export const WeightedWaypoint = message('istio.workload.WeightedWaypoint', {
  destination: optional(1, GatewayAddress),
  weight: singular(2, UINT32),
});
export type WeightedWaypoint = ValueOf<typeof WeightedWaypoint>;

export const Service = message('istio.workload.Service', {
  name: singular(1, STRING),
  namespace: singular(2, STRING),
  hostname: singular(3, STRING),
  addresses: repeated(4, NetworkAddress),
  ports: repeated(5, Port),
  subjectAltNames: repeated(6, STRING),
  waypoint: optional(7, GatewayAddress),
  loadBalancing: optional(8, LoadBalancing),
  ipFamilies: singular(9, ENUM),
  extensions: repeated(10, Extension),
  canonical: singular(11, BOOL),
  ingressUseWaypoint: singular(12, BOOL),
  weightedWaypoints: repeated(13, WeightedWaypoint),
  visibility: singular(14, ENUM),
});
export type Service = ValueOf<typeof Service>;

export const Locality = message('istio.workload.Locality', {
  region: singular(1, STRING),
  zone: singular(2, STRING),
  subzone: singular(3, STRING),
});
export type Locality = ValueOf<typeof Locality>;

export const ApplicationTunnel = message('istio.workload.ApplicationTunnel', {
  protocol: singular(1, ENUM),
  port: singular(2, UINT32),
});
export type ApplicationTunnel = ValueOf<typeof ApplicationTunnel>;

export const Workload = message('istio.workload.Workload', {
  name: singular(1, STRING),
  namespace: singular(2, STRING),
  addresses: repeated(3, BYTES),
  network: singular(4, STRING),
  tunnelProtocol: singular(5, ENUM),
  trustDomain: singular(6, STRING),
  serviceAccount: singular(7, STRING),
  waypoint: optional(8, GatewayAddress),
  node: singular(9, STRING),
  canonicalName: singular(10, STRING),
  canonicalRevision: singular(11, STRING),
  workloadType: singular(12, ENUM),
  workloadName: singular(13, STRING),
  nativeTunnel: singular(14, BOOL),
  authorizationPolicies: repeated(16, STRING),
  status: singular(17, ENUM),
  clusterId: singular(18, STRING),
  networkGateway: optional(19, GatewayAddress),
  uid: singular(20, STRING),
  hostname: singular(21, STRING),
  /** Keys are `<namespace>/<hostname>`. */
  services: mapOf(22, PortList),
  applicationTunnel: optional(23, ApplicationTunnel),
  locality: optional(24, Locality),
  networkMode: singular(25, ENUM),
  extensions: repeated(26, Extension),
  capacity: optional(27, UInt32Value),
});
export type Workload = ValueOf<typeof Workload>;

/** The resource of type URL `type.googleapis.com/istio.workload.Address`. */
export const Address = message('istio.workload.Address', {
  type: oneof({ workload: [1, Workload], service: [2, Service] }),
});
export type Address = ValueOf<typeof Address>;
