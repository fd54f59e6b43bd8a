/** Which port of an endpoint answers for each port of a service. */

import type { PortMapping } from '../../mesh/workload.ts';
import type { Pod, Service } from '../../objects/core-types.ts';
import type { ServiceEntry } from '../../objects/istio-types.ts';

/** A port of a service, as an endpoint has to resolve it. */
export interface BackedPort {
  readonly servicePort: number;
  /** A port name that the endpoint may know. */
  readonly lookup?: string;
  /** When the endpoint knows no such name; 0: then it does not serve this port. */
  readonly targetPort: number;
}

/** The mesh carries TCP: ports of other protocols do not exist for it. */
export function isTcp(port: { readonly protocol?: string }): boolean {
  return (port.protocol ?? 'TCP') === 'TCP';
}

export function backedPortsOfService(service: Service): readonly BackedPort[] {
  return (service.spec?.ports ?? []).filter(isTcp).map(({ port, targetPort }) => {
    if (typeof targetPort === 'string') return { servicePort: port, lookup: targetPort, targetPort: 0 };
    return { servicePort: port, targetPort: targetPort ?? port };
  });
}

/** A port of a ServiceEntry is found by its own name at endpoints that name their ports. */
export function backedPortsOfServiceEntry(entry: ServiceEntry): readonly BackedPort[] {
  return tcpPortsOf(entry).map(({ name, number, targetPort }) => ({
    servicePort: number,
    lookup: name,
    targetPort: targetPort ?? number,
  }));
}

export function tcpPortsOf(
  entry: ServiceEntry,
): readonly NonNullable<ServiceEntry['spec']['ports']>[number][] {
  return (entry.spec.ports ?? []).filter((port) => port.protocol?.toUpperCase() !== 'UDP');
}

/** @param resolve the endpoint's port of that name */
export function mapPorts(
  ports: readonly BackedPort[],
  resolve: (name: string) => number | undefined,
): readonly PortMapping[] {
  const mappings: PortMapping[] = [];
  for (const { servicePort, lookup, targetPort: fallback } of ports) {
    const targetPort = (lookup === undefined ? undefined : resolve(lookup)) ?? fallback;
    if (targetPort !== 0) mappings.push({ servicePort, targetPort });
  }
  return mappings;
}

/** The container port of that name; sidecars are init containers that stay. */
export function containerPort(pod: Pod, name: string): number | undefined {
  const sidecars = (pod.spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    const port = container.ports?.find((one) => one.name === name && isTcp(one));
    if (port !== undefined) return port.containerPort;
  }
  return undefined;
}
