/** From a port of a service to the port of one of its endpoints. */

import type { ServiceRecord } from './service-record.ts';
import type { PortMapping, Workload } from './workload.ts';

/** Whether the service itself declares the port. */
export function hasPort(record: ServiceRecord, servicePort: number): boolean {
  return record.service?.ports.some((one) => one.servicePort === servicePort) ?? false;
}

/** The endpoint's own mapping first, then the service's; undefined for a named port that the endpoint does not have. */
export function targetPortAt(
  record: ServiceRecord,
  endpoint: Workload,
  servicePort: number,
): number | undefined {
  const own = mappedPort(endpoint.services.get(record.name), servicePort);
  if (own > 0) return own;
  const common = mappedPort(record.service?.ports, servicePort);
  return common > 0 ? common : undefined;
}

/** 0 when there is no mapping, or one to a named port. */
function mappedPort(ports: readonly PortMapping[] | undefined, servicePort: number): number {
  if (ports !== undefined) {
    for (const port of ports) if (port.servicePort === servicePort) return port.targetPort;
  }
  return 0;
}
