/** Turns a ServiceEntry into a service for each of its host names. */

import { Cidr, ipFromBytes, parseIp } from '../../base/ip.ts';
import type { Service as MeshService, ServiceAddress, ServicePort } from '../../mesh/service.ts';
import type { ServiceEntry } from '../../objects/istio-types.ts';
import { protocolNamed } from './app-protocol.ts';
import type { DesiredCondition } from './desired-condition.ts';
import { ingressUsesWaypoint } from './ingress.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { tcpPortsOf } from './port-mapping.ts';
import { hostsOf, isCanonical, ownsHost } from './service-hosts.ts';
import { loadBalancingOfServiceEntry, type VisibilityDecision, visibilityOf } from './traffic-policy.ts';
import { bindWaypoint, type WaypointBinding } from './waypoint-binding.ts';
import { LABELS } from './well-known-keys.ts';

export interface CompiledServiceEntry {
  readonly services: readonly MeshService[];
  readonly conditions: readonly DesiredCondition[];
}

export function compileServiceEntry(context: CompileContext, entry: ServiceEntry): CompiledServiceEntry {
  const decision = visibilityOf(entry.spec.exportTo, entry.metadata.namespace);
  const binding = bindWaypoint(context, entry.metadata, 'service');
  const hosts = hostsOf(entry);
  const owned = hosts.filter((host) => ownsHost(context, entry, host));
  const conditions = [
    binding.condition,
    decision.condition,
    wildcardCondition(hosts, binding),
    conflictCondition(hosts.filter((host) => !owned.includes(host))),
  ].filter((one) => one !== undefined);
  if (!decision.exported) return { services: [], conditions };
  return {
    services: owned.map((host) => serviceOf(context, { entry, host, binding, decision })),
    conditions,
  };
}

/**
 * Whether the hosts of this entry get addresses of the mesh's own choice, so that traffic to them can be told apart:
 * not when there are any, when the original address must be kept, or when the user does not want it.
 */
export function wantsAllocatedAddresses({ spec, metadata }: ServiceEntry): boolean {
  return (
    (spec.addresses ?? []).length === 0 &&
    (spec.resolution ?? 'NONE') !== 'NONE' &&
    metadata.labels?.[LABELS.autoAllocate]?.toLowerCase() !== 'false'
  );
}

/** The hosts that get addresses: a wildcard only where it is resolved when a connection needs it. */
export function allocatableHosts(entry: ServiceEntry): readonly string[] {
  if (!wantsAllocatedAddresses(entry)) return [];
  return hostsOf(entry).filter((host) => !host.startsWith('*') || entry.spec.resolution === 'DYNAMIC_DNS');
}

interface HostParts {
  readonly entry: ServiceEntry;
  readonly host: string;
  readonly binding: WaypointBinding;
  readonly decision: VisibilityDecision;
}

function serviceOf(context: CompileContext, { entry, host, binding, decision }: HostParts): MeshService {
  const loadBalancing = loadBalancingOfServiceEntry(context, entry);
  return {
    name: entry.metadata.name,
    namespace: entry.metadata.namespace,
    hostname: host,
    addresses: addressesOf(context, entry, host),
    ports: portsOf(entry),
    subjectAltNames: entry.spec.subjectAltNames ?? [],
    ...(binding.waypoint === undefined ? {} : { waypoint: binding.waypoint }),
    ...(loadBalancing === undefined ? {} : { loadBalancing }),
    ipFamilies: 'AUTOMATIC',
    extensions: [],
    canonical: isCanonical(context, entry, host),
    ingressUseWaypoint: ingressUsesWaypoint(context, entry.metadata),
    weightedWaypoints: binding.weightedWaypoints,
    visibility: decision.visibility,
  };
}

function addressesOf(context: CompileContext, entry: ServiceEntry, host: string): readonly ServiceAddress[] {
  const network = networkOf(context);
  if (allocatableHosts(entry).includes(host)) {
    const own = (entry.status?.addresses ?? []).filter((one) => (one.host ?? host).toLowerCase() === host);
    return own.flatMap(({ value }) => {
      const ip = parseIp(value);
      return ip === undefined ? [] : { network, ip };
    });
  }
  return (entry.spec.addresses ?? []).flatMap((text) => {
    const block = Cidr.parse(text);
    const ip = block && ipFromBytes(block.bytes);
    if (block === undefined || ip === undefined) return [];
    const single = block.prefixLength === block.bytes.length * 8;
    return single ? { network, ip } : { network, ip, prefixLength: block.prefixLength };
  });
}

function portsOf(entry: ServiceEntry): readonly ServicePort[] {
  return tcpPortsOf(entry).map(({ number, targetPort, protocol }) => ({
    servicePort: number,
    targetPort: targetPort ?? number,
    appProtocol: protocolNamed(protocol ?? ''),
  }));
}

/** Only a waypoint sees the name that a client of a wildcard wants. */
function wildcardCondition(hosts: readonly string[], binding: WaypointBinding): DesiredCondition | undefined {
  const wildcards = hosts.filter((host) => host.startsWith('*'));
  if (wildcards.length === 0 || binding.waypoint !== undefined) return undefined;
  return {
    type: 'istio.io/WaypointMissing',
    status: 'True',
    reason: 'NoWaypointForWildcardService',
    message: `${wildcards.join(', ')} can only be reached by name through a waypoint: label the ServiceEntry or its namespace with ${LABELS.useWaypoint}`,
  };
}

function conflictCondition(taken: readonly string[]): DesiredCondition | undefined {
  if (taken.length === 0) return undefined;
  const message = `${taken.join(', ')} belongs to a Service or to an older ServiceEntry of this namespace`;
  return { type: 'Accepted', status: 'False', reason: 'Conflicted', message };
}
