/** Turns a WorkloadEntry, or an endpoint written into a ServiceEntry, into a workload. */

import { isIP } from 'node:net';
import { parseIp } from '../../base/ip.ts';
import { WORKLOAD_DEFAULTS, type Workload } from '../../mesh/workload.ts';
import type { ObjectMeta } from '../../objects/core-types.ts';
import type { ServiceEntry, WorkloadEntry, WorkloadEntrySpec } from '../../objects/istio-types.ts';
import { type BackedServices, servicesOfInlineEndpoint, servicesOfWorkloadEntry } from './backed-services.ts';
import { parseLocality } from './locality.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { hostsOf } from './service-hosts.ts';
import { bindWaypoint, UNBOUND, type WaypointBinding } from './waypoint-binding.ts';
import { LABELS, type Labels } from './well-known-keys.ts';
import { canonicalServiceOf } from './workload-meta.ts';
import { policiesOfWorkload } from './workload-policies.ts';

export interface CompiledWorkloadEntry {
  readonly workload?: Workload;
  readonly binding: WaypointBinding;
}

export function compileWorkloadEntry(context: CompileContext, entry: WorkloadEntry): CompiledWorkloadEntry {
  const { metadata, spec } = entry;
  const binding = bindWaypoint(context, metadata, 'workload');
  if (!hasUsableAddress(spec.address)) return { binding };
  const { namespace, name } = metadata;
  const labels = { ...metadata.labels, ...spec.labels };
  const unhealthy = entry.status?.conditions?.some(
    ({ type, status }) => type === 'Healthy' && status === 'False',
  );
  const workload = entryWorkload(context, {
    uid: `${context.options.clusterId}/networking.istio.io/WorkloadEntry/${namespace}/${name}`,
    metadata,
    labels,
    spec,
    services: servicesOfWorkloadEntry(context, namespace, labels, spec),
    binding,
    healthy: unhealthy !== true,
  });
  return { workload, binding };
}

/** The endpoints of a ServiceEntry; when its hosts are to be resolved and it names none, each host is its own. */
export function compileInlineEndpoints(context: CompileContext, entry: ServiceEntry): readonly Workload[] {
  const { metadata, spec } = entry;
  if ((spec.resolution ?? 'NONE') === 'NONE') return [];
  const prefix = `${context.options.clusterId}/networking.istio.io/ServiceEntry/${metadata.namespace}/${metadata.name}`;
  const workloads = new Map<string, Workload>();
  for (const { endpoint, host } of endpointsOf(entry)) {
    const uid = `${prefix}/${endpoint.address}`;
    if (!hasUsableAddress(endpoint.address) || workloads.has(uid)) continue;
    const services = servicesOfInlineEndpoint(context, entry, endpoint, host);
    const labels = endpoint.labels ?? {};
    const parts = { uid, metadata, labels, spec: endpoint, services, binding: UNBOUND, healthy: true };
    workloads.set(uid, entryWorkload(context, parts));
  }
  return [...workloads.values()];
}

interface InlineEndpoint {
  readonly endpoint: WorkloadEntrySpec;
  /** Set when the endpoint is for this host alone. */
  readonly host?: string;
}

function endpointsOf(entry: ServiceEntry): readonly InlineEndpoint[] {
  const { endpoints = [], workloadSelector, resolution } = entry.spec;
  if (endpoints.length > 0) return endpoints.map((endpoint) => ({ endpoint }));
  const resolved = resolution === 'DNS' || resolution === 'DNS_ROUND_ROBIN';
  if (!resolved || workloadSelector !== undefined) return [];
  return hostsOf(entry)
    .filter((host) => !host.startsWith('*'))
    .map((host) => ({ endpoint: { address: host }, host }));
}

/** An IP address or a host name; not a Unix socket, which nobody could reach through the mesh. */
function hasUsableAddress(address: string | undefined): address is string {
  return (
    address !== undefined &&
    (isIP(address) !== 0 || /^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(address))
  );
}

interface EntryParts {
  readonly uid: string;
  readonly metadata: ObjectMeta;
  readonly labels: Labels;
  readonly spec: WorkloadEntrySpec;
  readonly services: BackedServices;
  readonly binding: WaypointBinding;
  readonly healthy: boolean;
}

function entryWorkload(context: CompileContext, parts: EntryParts): Workload {
  const { uid, metadata, labels, spec, services, binding, healthy } = parts;
  const { name, namespace } = metadata;
  const { trustDomain, clusterId } = context.options;
  const ip = parseIp(spec.address ?? '');
  const native = labels[LABELS.tunnel] === 'http';
  return {
    uid,
    name,
    namespace,
    addresses: ip === undefined ? [] : [ip],
    hostname: ip === undefined ? (spec.address ?? '').toLowerCase() : '',
    network: spec.network || networkOf(context, labels),
    tunnelProtocol: native ? 'HBONE' : 'NONE',
    trustDomain,
    serviceAccount: spec.serviceAccount || WORKLOAD_DEFAULTS.serviceAccount,
    ...(binding.waypoint === undefined ? {} : { waypoint: binding.waypoint }),
    node: '',
    ...canonicalServiceOf(labels, name),
    workloadType: 'POD',
    workloadName: name,
    nativeTunnel: native,
    services,
    authorizationPolicies: policiesOfWorkload(context, namespace, labels),
    status: healthy ? 'HEALTHY' : 'UNHEALTHY',
    clusterId,
    locality: parseLocality(spec.locality),
    networkMode: 'STANDARD',
    extensions: [],
    capacity: spec.weight || WORKLOAD_DEFAULTS.capacity,
  };
}
