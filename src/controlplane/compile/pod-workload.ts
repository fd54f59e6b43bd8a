/** Turns a pod into a workload. */

import { type IpAddress, parseIp } from '../../base/ip.ts';
import type { ApplicationTunnel, TunnelProtocol, Workload, WorkloadStatus } from '../../mesh/workload.ts';
import { WORKLOAD_DEFAULTS } from '../../mesh/workload.ts';
import type { Pod } from '../../objects/core-types.ts';
import { servicesOfPod } from './backed-services.ts';
import { localityOfNode } from './locality.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { bindWaypoint, gatewayOf } from './waypoint-binding.ts';
import { ANNOTATIONS, LABELS } from './well-known-keys.ts';
import { canonicalServiceOf, workloadMetaOf } from './workload-meta.ts';
import { policiesOfWorkload } from './workload-policies.ts';

/** Undefined for a pod without an address, or one that has ended: its address may belong to another one by now. */
export function compilePod(context: CompileContext, pod: Pod): Workload | undefined {
  const addresses = addressesOf(pod);
  const phase = pod.status?.phase;
  if (addresses.length === 0 || phase === 'Succeeded' || phase === 'Failed') return undefined;
  const { metadata, spec } = pod;
  const { labels = {}, namespace, name } = metadata;
  const { trustDomain, clusterId } = context.options;
  const meta = workloadMetaOf(pod);
  const node = spec?.nodeName ?? '';
  const waypoint = bindWaypoint(context, metadata, 'workload').waypoint;
  const applicationTunnel = applicationTunnelOf(context, pod);
  return {
    uid: `${clusterId}//Pod/${namespace}/${name}`,
    name,
    namespace,
    addresses,
    hostname: '',
    network: networkOf(context, labels),
    tunnelProtocol: tunnelProtocolOf(pod),
    trustDomain,
    serviceAccount: spec?.serviceAccountName || WORKLOAD_DEFAULTS.serviceAccount,
    ...(waypoint === undefined ? {} : { waypoint }),
    node,
    ...canonicalServiceOf(labels, meta.workloadName),
    ...meta,
    nativeTunnel: isNativeTunnel(pod),
    ...(applicationTunnel === undefined ? {} : { applicationTunnel }),
    services: servicesOfPod(context, pod),
    authorizationPolicies: policiesOfWorkload(context, namespace, labels),
    status: statusOf(pod),
    clusterId,
    locality: localityOfNode(context, node),
    networkMode: spec?.hostNetwork === true ? 'HOST_NETWORK' : 'STANDARD',
    extensions: [],
    capacity: WORKLOAD_DEFAULTS.capacity,
  };
}

function addressesOf(pod: Pod): readonly IpAddress[] {
  const { podIP, podIPs = [] } = pod.status ?? {};
  const texts = [...(podIP === undefined ? [] : [podIP]), ...podIPs.map(({ ip }) => ip)];
  return [...new Set(texts.map(parseIp).filter((ip) => ip !== undefined))];
}

/** A terminating pod takes no new connections, although it is still ready. */
function statusOf(pod: Pod): WorkloadStatus {
  const ready = pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  return ready === true && pod.metadata.deletionTimestamp === undefined ? 'HEALTHY' : 'UNHEALTHY';
}

/** HBONE only when somebody answers it: the node agent says so once a pod is captured, a waypoint by its label. */
function tunnelProtocolOf(pod: Pod): TunnelProtocol {
  if (pod.spec?.hostNetwork === true) return 'NONE';
  const captured = pod.metadata.annotations?.[ANNOTATIONS.redirection] === 'enabled';
  return captured || isNativeTunnel(pod) ? 'HBONE' : 'NONE';
}

function isNativeTunnel(pod: Pod): boolean {
  return pod.metadata.labels?.[LABELS.tunnel] === 'http' && pod.spec?.hostNetwork !== true;
}

/** A waypoint that does not speak HBONE gets its connections with a PROXY header, as its Gateway asks. */
function applicationTunnelOf(context: CompileContext, pod: Pod): ApplicationTunnel | undefined {
  const gateway = gatewayOf(context, pod.metadata);
  const binding = gateway?.metadata.annotations?.[ANNOTATIONS.waypointInboundBinding];
  const port = Number(/^PROXY\/(\d{1,5})$/.exec(binding ?? '')?.[1]);
  return port > 0 && port <= 65535 ? { protocol: 'PROXY', port } : undefined;
}
