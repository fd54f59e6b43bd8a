/** Which pods stand behind a service: the endpoint controller's and the service proxy's common knowledge. */

import { type IpAddress, parseIp, type SocketAddress } from '../../base/ip.ts';
import type { EndpointSlice, Pod, Service } from '../../objects/core-types.ts';
import { isActive, isReady, selects } from './kube-object.ts';

export type ServicePortSpec = NonNullable<NonNullable<Service['spec']>['ports']>[number];

/** One address behind one port of a service. */
export interface ServiceEndpoint extends SocketAddress {
  readonly ready: boolean;
  readonly pod?: Pod;
}

const SERVICE_NAME = 'kubernetes.io/service-name';

/** Endpoints of one port, ready or not; pods that are leaving are none. */
export function endpointsOfPort(
  service: Service,
  port: ServicePortSpec,
  sources: EndpointSources,
): readonly ServiceEndpoint[] {
  const { spec } = service;
  if (spec?.selector === undefined || Object.keys(spec.selector).length === 0) {
    return sliceEndpoints(service, port, sources.slices);
  }
  return podsOf(service, sources.pods).flatMap((pod) => {
    const number = portNumber(port, pod);
    const ready = isReady(pod) || spec.publishNotReadyAddresses === true;
    return number === undefined ? [] : addressesOf(pod).map((ip) => ({ ip, port: number, ready, pod }));
  });
}

export interface EndpointSources {
  readonly pods: readonly Pod[];
  readonly slices: readonly EndpointSlice[];
}

/** The pods a service selects that have not ended. */
export function podsOf<P extends Pod>(service: Service, pods: readonly P[]): readonly P[] {
  const { namespace } = service.metadata;
  return pods.filter(
    (pod) =>
      pod.metadata.namespace === namespace &&
      selects(service.spec?.selector, pod.metadata.labels) &&
      isActive(pod),
  );
}

export function addressesOf(pod: Pod): readonly IpAddress[] {
  const ips = pod.status?.podIPs ?? [];
  return ips.flatMap((one) => parseIp(one.ip ?? '') ?? []);
}

/** `targetPort` may name a port of the pod's containers; it is the service's own number when absent. */
export function portNumber(port: ServicePortSpec, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  const ports = pod.spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  const protocol = port.protocol ?? 'TCP';
  return ports.find((one) => one.name === target && (one.protocol ?? 'TCP') === protocol)?.containerPort;
}

/** A service without selector has the endpoints that somebody wrote down for it. */
function sliceEndpoints(
  service: Service,
  port: ServicePortSpec,
  slices: readonly EndpointSlice[],
): readonly ServiceEndpoint[] {
  const { name, namespace } = service.metadata;
  const own = slices.filter(
    ({ metadata }) => metadata.namespace === namespace && metadata.labels?.[SERVICE_NAME] === name,
  );
  return own.flatMap((slice) => {
    const number = slice.ports?.find((one) => (one.name ?? '') === (port.name ?? ''))?.port;
    if (number === undefined) return [];
    return (slice.endpoints ?? []).flatMap((endpoint) =>
      endpoint.addresses.flatMap((text) => {
        const ip = parseIp(text);
        return ip === undefined ? [] : [{ ip, port: number, ready: endpoint.conditions?.ready ?? true }];
      }),
    );
  });
}
