/** Which services a workload backs, and by which ports. */

import { namespacedHostname } from '../../mesh/gateway-address.ts';
import type { PortMapping } from '../../mesh/workload.ts';
import type { Pod, Service } from '../../objects/core-types.ts';
import type { ServiceEntry, WorkloadEntrySpec } from '../../objects/istio-types.ts';
import type { CompileContext } from './object-lookup.ts';
import {
  type BackedPort,
  backedPortsOfService,
  backedPortsOfServiceEntry,
  containerPort,
  mapPorts,
} from './port-mapping.ts';
import { labelKeys, selects } from './selectors.ts';
import { hostnameOfService, hostsOf, isMeshService, ownsHost } from './service-hosts.ts';
import { visibilityOf, visibilityOfService } from './traffic-policy.ts';
import { LABELS, type Labels } from './well-known-keys.ts';

export type BackedServices = ReadonlyMap<string, readonly PortMapping[]>;

/** A service by its resource name, with what its endpoints have to resolve. */
interface Backed {
  readonly name: string;
  readonly ports: readonly BackedPort[];
}

/** EndpointSlices say which pods back a service that has any; for the others its selector does. */
export function servicesOfPod(context: CompileContext, pod: Pod): BackedServices {
  const { namespace, name, labels = {} } = pod.metadata;
  const selected = servicesSelecting(context, namespace, labels).filter(
    (service) => !hasSlices(context, service),
  );
  const listed = context.objects.find('sliceByPod', `${namespace}/${name}`).flatMap((slice) => {
    const service = slice.metadata.labels?.[LABELS.serviceName];
    if (service === undefined) return [];
    return context.objects.get('Service', slice.metadata.namespace, service) ?? [];
  });
  const services = new Set([...selected, ...listed.filter(isExported)]);
  const backed = [
    ...[...services].map((service) => backedByService(context, service)),
    ...entriesSelecting(context, namespace, labels).flatMap((entry) => backedByEntry(context, entry)),
  ];
  return mapAll(backed, (port) => containerPort(pod, port));
}

export function servicesOfWorkloadEntry(
  context: CompileContext,
  namespace: string,
  labels: Labels,
  spec: WorkloadEntrySpec,
): BackedServices {
  const backed = [
    ...servicesSelecting(context, namespace, labels).map((service) => backedByService(context, service)),
    ...entriesSelecting(context, namespace, labels).flatMap((entry) => backedByEntry(context, entry)),
  ];
  return mapAll(backed, (port) => spec.ports?.[port]);
}

/** An endpoint written into a ServiceEntry backs all of its hosts, or the given one. */
export function servicesOfInlineEndpoint(
  context: CompileContext,
  entry: ServiceEntry,
  endpoint: WorkloadEntrySpec,
  host?: string,
): BackedServices {
  const backed = backedByEntry(context, entry, host);
  return mapAll(backed, (port) => endpoint.ports?.[port]);
}

function servicesSelecting(context: CompileContext, namespace: string, labels: Labels): readonly Service[] {
  const candidates = labelKeys(namespace, labels).flatMap((key) =>
    context.objects.find('serviceBySelector', key),
  );
  return candidates.filter((service) => isExported(service) && selects(service.spec?.selector ?? {}, labels));
}

function entriesSelecting(
  context: CompileContext,
  namespace: string,
  labels: Labels,
): readonly ServiceEntry[] {
  const candidates = labelKeys(namespace, labels).flatMap((key) =>
    context.objects.find('serviceEntryBySelector', key),
  );
  return candidates.filter((entry) => selects(entry.spec.workloadSelector?.labels ?? {}, labels));
}

function hasSlices(context: CompileContext, { metadata }: Service): boolean {
  return context.objects.find('sliceByService', `${metadata.namespace}/${metadata.name}`).length > 0;
}

function isExported(service: Service): boolean {
  return isMeshService(service) && visibilityOfService(service).exported;
}

function backedByService(context: CompileContext, service: Service): Backed {
  const hostname = hostnameOfService(context, service);
  return {
    name: namespacedHostname({ namespace: service.metadata.namespace, hostname }),
    ports: backedPortsOfService(service),
  };
}

function backedByEntry(context: CompileContext, entry: ServiceEntry, onlyHost?: string): readonly Backed[] {
  const { namespace } = entry.metadata;
  if (!visibilityOf(entry.spec.exportTo, namespace).exported) return [];
  const ports = backedPortsOfServiceEntry(entry);
  return hostsOf(entry)
    .filter((host) => (onlyHost ?? host) === host && ownsHost(context, entry, host))
    .map((hostname) => ({ name: namespacedHostname({ namespace, hostname }), ports }));
}

/** In the order of names, so that the same objects always give the same workload. */
function mapAll(backed: readonly Backed[], resolve: (name: string) => number | undefined): BackedServices {
  const sorted = [...backed].sort((a, b) => (a.name < b.name ? -1 : 1));
  return new Map(sorted.map(({ name, ports }) => [name, mapPorts(ports, resolve)]));
}
