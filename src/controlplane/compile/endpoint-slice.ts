/** Turns the endpoints of an EndpointSlice that are not pods into workloads. */

import { type IpAddress, parseIp } from '../../base/ip.ts';
import { namespacedHostname } from '../../mesh/gateway-address.ts';
import { type PortMapping, WORKLOAD_DEFAULTS, type Workload } from '../../mesh/workload.ts';
import type { EndpointSlice, Service } from '../../objects/core-types.ts';
import type { BackedServices } from './backed-services.ts';
import { localityOfNode } from './locality.ts';
import { networkOf } from './network.ts';
import type { CompileContext } from './object-lookup.ts';
import { isTcp } from './port-mapping.ts';
import { hostnameOfService, isMeshService } from './service-hosts.ts';
import { visibilityOfService } from './traffic-policy.ts';
import { LABELS } from './well-known-keys.ts';
import { policiesOfWorkload } from './workload-policies.ts';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

export function compileEndpointSlice(context: CompileContext, slice: EndpointSlice): readonly Workload[] {
  const { namespace, labels = {} } = slice.metadata;
  const service = context.objects.get('Service', namespace, labels[LABELS.serviceName] ?? '');
  if (service === undefined || !isMeshService(service) || slice.addressType === 'FQDN') return [];
  if (!visibilityOfService(service).exported) return [];
  const services = backedBy(context, slice, service);
  const workloads = new Map<string, Workload>();
  for (const endpoint of slice.endpoints ?? []) {
    if (endpoint.targetRef?.kind === 'Pod') continue;
    for (const ip of endpoint.addresses.map(parseIp)) {
      if (ip === undefined || workloads.has(ip)) continue;
      workloads.set(ip, endpointWorkload(context, { slice, endpoint, ip, services }));
    }
  }
  return [...workloads.values()];
}

/** Ports of the slice answer for the ports of the service that have the same name. */
function backedBy(context: CompileContext, slice: EndpointSlice, service: Service): BackedServices {
  const mappings = (service.spec?.ports ?? []).filter(isTcp).flatMap(({ port, name = '' }): PortMapping[] => {
    const match = slice.ports?.find((one) => (one.name ?? '') === name && isTcp(one));
    return match?.port === undefined ? [] : [{ servicePort: port, targetPort: match.port }];
  });
  const hostname = hostnameOfService(context, service);
  return new Map([[namespacedHostname({ namespace: service.metadata.namespace, hostname }), mappings]]);
}

interface EndpointParts {
  readonly slice: EndpointSlice;
  readonly endpoint: Endpoint;
  readonly ip: IpAddress;
  readonly services: BackedServices;
}

function endpointWorkload(context: CompileContext, parts: EndpointParts): Workload {
  const { slice, endpoint, ip, services } = parts;
  const { namespace, name } = slice.metadata;
  const { trustDomain, clusterId } = context.options;
  const node = endpoint.nodeName ?? '';
  const locality = localityOfNode(context, node);
  return {
    uid: `${clusterId}/discovery.k8s.io/EndpointSlice/${namespace}/${name}/${ip}`,
    name,
    namespace,
    addresses: [ip],
    hostname: '',
    network: networkOf(context),
    tunnelProtocol: 'NONE',
    trustDomain,
    serviceAccount: WORKLOAD_DEFAULTS.serviceAccount,
    node,
    canonicalName: slice.metadata.labels?.[LABELS.serviceName] ?? name,
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: name,
    nativeTunnel: false,
    services,
    authorizationPolicies: policiesOfWorkload(context, namespace, {}),
    status: isHealthy(endpoint) ? 'HEALTHY' : 'UNHEALTHY',
    clusterId,
    locality: locality.zone === '' ? { ...locality, zone: endpoint.zone ?? '' } : locality,
    networkMode: isNode(context, ip) ? 'HOST_NETWORK' : 'STANDARD',
    extensions: [],
    capacity: WORKLOAD_DEFAULTS.capacity,
  };
}

/** Nothing said means ready. */
function isHealthy({ conditions }: Endpoint): boolean {
  return conditions?.ready !== false && conditions?.terminating !== true;
}

/** An address of a node belongs to everything in its host network, not to this endpoint alone. */
function isNode(context: CompileContext, ip: string): boolean {
  return context.objects.find('nodeByAddress', ip).length > 0;
}
