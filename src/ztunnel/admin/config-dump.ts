/** The JSON of /config_dump, with the keys that Istio's tools read. */

import { formatSpiffeId } from '../../base/spiffe-id.ts';
import type { Authorization } from '../../mesh/authorization.ts';
import type { GatewayAddress } from '../../mesh/gateway-address.ts';
import type { Service } from '../../mesh/service.ts';
import { identityOf, type PortMapping, type Workload } from '../../mesh/workload.ts';
import type { PodSummary } from '../control/pod-registry.ts';
import type { ConnectionSummary } from '../proxy/messages.ts';

/** One endpoint of a service: the workload and the ports it serves there. */
export interface EndpointView {
  readonly workload: Workload;
  readonly ports: readonly PortMapping[];
}

export function dumpWorkload(workload: Workload): object {
  return {
    uid: workload.uid,
    workloadIps: workload.addresses,
    ...(workload.hostname !== '' && { hostname: workload.hostname }),
    protocol: workload.tunnelProtocol === 'HBONE' ? 'HBONE' : 'TCP',
    networkMode: workload.networkMode === 'HOST_NETWORK' ? 'HostNetwork' : 'Standard',
    name: workload.name,
    namespace: workload.namespace,
    trustDomain: workload.trustDomain,
    serviceAccount: workload.serviceAccount,
    identity: formatSpiffeId(identityOf(workload)),
    network: workload.network,
    workloadName: workload.workloadName,
    workloadType: workload.workloadType.toLowerCase(),
    canonicalName: workload.canonicalName,
    canonicalRevision: workload.canonicalRevision,
    node: workload.node,
    nativeTunnel: workload.nativeTunnel,
    status: workload.status === 'HEALTHY' ? 'Healthy' : 'Unhealthy',
    clusterId: workload.clusterId,
    locality: workload.locality,
    services: [...workload.services.keys()],
    authorizationPolicies: workload.authorizationPolicies,
    capacity: workload.capacity,
    ...(workload.waypoint && { waypoint: dumpGateway(workload.waypoint) }),
    ...(workload.networkGateway && { networkGateway: dumpGateway(workload.networkGateway) }),
    ...(workload.applicationTunnel && { applicationTunnel: workload.applicationTunnel }),
  };
}

export function dumpService(service: Service, endpoints: readonly EndpointView[]): object {
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    vips: service.addresses.map((address) => {
      const suffix = address.prefixLength === undefined ? '' : `/${address.prefixLength}`;
      return `${address.network}/${address.ip}${suffix}`;
    }),
    ports: portMap(service.ports),
    endpoints: Object.fromEntries(
      endpoints.map((endpoint) => [endpoint.workload.uid, dumpEndpoint(endpoint)]),
    ),
    subjectAltNames: service.subjectAltNames,
    ipFamilies: service.ipFamilies,
    canonical: service.canonical,
    visibility: service.visibility,
    ...(service.waypoint && { waypoint: dumpGateway(service.waypoint) }),
    ...(service.loadBalancing && { loadBalancer: service.loadBalancing }),
  };
}

export function dumpPolicy(policy: Authorization): object {
  const scopes = { GLOBAL: 'Global', NAMESPACE: 'Namespace', WORKLOAD_SELECTOR: 'WorkloadSelector' };
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: scopes[policy.scope],
    action: policy.action === 'ALLOW' ? 'Allow' : 'Deny',
    dryRun: policy.dryRun,
    rules: policy.rules.map((rule) => rule.clauses.map((clause) => clause.matches.map(withoutEmptyLists))),
  };
}

/** `workloadState`: every pod that this proxy serves with its open connections. */
export function dumpPods(
  pods: ReadonlyMap<string, PodSummary>,
  connections: readonly ConnectionSummary[],
): Record<string, object> {
  const of = (uid: string, direction: string) =>
    connections
      .filter((one) => one.podUid === uid && one.direction === direction)
      .map(({ src, originalDst, actualDst, protocol }) => ({ src, originalDst, actualDst, protocol }));
  const entries = [...pods].map(([uid, pod]) => [
    uid,
    {
      state: pod.state,
      ...(pod.reason !== undefined && { reason: pod.reason }),
      connections: { inbound: of(uid, 'inbound'), outbound: of(uid, 'outbound') },
      info: { name: pod.info.name, namespace: pod.info.namespace, serviceAccount: pod.info.serviceAccount },
    },
  ]);
  return Object.fromEntries(entries);
}

function dumpEndpoint(endpoint: EndpointView): object {
  const { workload } = endpoint;
  return {
    workloadUid: workload.uid,
    port: portMap(endpoint.ports),
    status: workload.status === 'HEALTHY' ? 'Healthy' : 'Unhealthy',
  };
}

function dumpGateway(gateway: GatewayAddress): object {
  const { destination } = gateway;
  const text =
    destination.kind === 'hostname'
      ? `${destination.namespace}/${destination.hostname}`
      : `${destination.network}/${destination.ip}`;
  return { destination: text, hboneMtlsPort: gateway.hboneMtlsPort };
}

function portMap(ports: readonly PortMapping[]): Record<string, number> {
  return Object.fromEntries(ports.map((port) => [port.servicePort, port.targetPort]));
}

function withoutEmptyLists(match: object): object {
  const entries = Object.entries(match).filter(([, value]) => !Array.isArray(value) || value.length > 0);
  return Object.fromEntries(
    entries.map(([key, value]) => [key, Array.isArray(value) ? value.map(plain) : value]),
  );
}

/** CIDR blocks as text, everything else as it is. */
function plain(value: unknown): unknown {
  const isBlock = typeof value === 'object' && value !== null && 'prefixLength' in value;
  return isBlock ? String(value) : value;
}
