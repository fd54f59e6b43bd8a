/** The names of a cluster, by the Kubernetes DNS specification: services, headless services, and their pods. */

import type { IpAddress } from '../../base/ip.ts';
import { parseIp } from '../../base/ip.ts';
import type { Service } from '../../objects/core-types.ts';
import { addressesOf, type EndpointSources, endpointsOfPort, podsOf } from '../api/endpoints.ts';
import { isReady } from '../api/kube-object.ts';
import type { DnsTable } from '../kubelet/node-local-messages.ts';
import { CLUSTER_DOMAIN } from '../network/address-plan.ts';

export function dnsRecords(services: readonly Service[], sources: EndpointSources): DnsTable {
  const addresses: Record<string, readonly IpAddress[]> = {};
  const aliases: Record<string, string> = {};
  for (const service of services) {
    const { name, namespace } = service.metadata;
    const host = `${name}.${namespace}.svc.${CLUSTER_DOMAIN}`;
    const { type, externalName, clusterIP } = service.spec ?? {};
    if (type === 'ExternalName') {
      if (externalName !== undefined) aliases[host] = externalName.toLowerCase().replace(/\.$/, '');
    } else if (clusterIP === 'None') {
      addHeadless(service, host, sources, addresses);
    } else {
      addresses[host] = (service.spec?.clusterIPs ?? []).flatMap((ip) => parseIp(ip) ?? []);
    }
  }
  return { addresses, aliases };
}

/** A headless service is all its pods; each pod also has a name below it, its own or one made of its address. */
function addHeadless(
  service: Service,
  host: string,
  sources: EndpointSources,
  addresses: Record<string, readonly IpAddress[]>,
): void {
  const publishAll = service.spec?.publishNotReadyAddresses === true;
  const pods = podsOf(service, sources.pods).filter((pod) => publishAll || isReady(pod));
  for (const pod of pods) {
    const { hostname, subdomain } = pod.spec ?? {};
    const ips = addressesOf(pod);
    const named = hostname !== undefined && subdomain === service.metadata.name;
    const label = named ? hostname : (ips[0] ?? '').replaceAll(/[.:]+/g, '-');
    if (label !== '') addresses[`${label}.${host}`] = ips;
  }
  const written = (service.spec?.ports ?? []).flatMap((port) => endpointsOfPort(service, port, sources));
  const ready = written.filter((endpoint) => endpoint.ready).map((endpoint) => endpoint.ip);
  addresses[host] = [...new Set([...pods.flatMap(addressesOf), ...ready])];
}
