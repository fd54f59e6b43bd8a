/** Labels and annotations that have a meaning in the mesh. */

export const LABELS = {
  useWaypoint: 'istio.io/use-waypoint',
  useWaypointNamespace: 'istio.io/use-waypoint-namespace',
  useWaypointCanary: 'istio.io/use-waypoint-canary',
  useWaypointCanaryNamespace: 'istio.io/use-waypoint-canary-namespace',
  waypointFor: 'istio.io/waypoint-for',
  ingressUseWaypoint: 'istio.io/ingress-use-waypoint',
  network: 'topology.istio.io/network',
  region: 'topology.kubernetes.io/region',
  zone: 'topology.kubernetes.io/zone',
  subzone: 'topology.istio.io/subzone',
  tunnel: 'networking.istio.io/tunnel',
  autoAllocate: 'networking.istio.io/enable-autoallocate-ip',
  gatewayName: 'gateway.networking.k8s.io/gateway-name',
  serviceName: 'kubernetes.io/service-name',
  podTemplateHash: 'pod-template-hash',
  namespaceName: 'kubernetes.io/metadata.name',
} as const;

export const ANNOTATIONS = {
  redirection: 'ambient.istio.io/redirection',
  waypointInboundBinding: 'ambient.istio.io/waypoint-inbound-binding',
  useWaypointCanaryWeight: 'istio.io/use-waypoint-canary-weight',
  trafficDistribution: 'networking.istio.io/traffic-distribution',
  exportTo: 'networking.istio.io/exportTo',
  dryRun: 'istio.io/dry-run',
} as const;

/** In the order of preference, each until one is set. */
export const CANONICAL_NAME_LABELS = [
  'service.istio.io/canonical-name',
  'app.kubernetes.io/name',
  'app',
] as const;
export const CANONICAL_REVISION_LABELS = [
  'service.istio.io/canonical-revision',
  'app.kubernetes.io/version',
  'version',
] as const;

export type Labels = Readonly<Record<string, string>>;
