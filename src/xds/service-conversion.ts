/** istio.workload.Service ⇄ the mesh's service. */

import { ipToBytes } from '../base/ip.ts';
import type {
  LoadBalancing as MeshLoadBalancing,
  RoutingScope as MeshScope,
  Service as MeshService,
  ServiceAddress,
} from '../mesh/service.ts';
import {
  addressOf,
  enumName,
  extensionFromWire,
  extensionToWire,
  gatewayFromWire,
  gatewayToWire,
  invalid,
} from './conversion-basics.ts';
import type { InitOf } from './message-schema.ts';
import { portOf } from './workload-conversion.ts';
import {
  AppProtocol,
  HealthPolicy,
  IpFamilies,
  type LoadBalancing,
  LoadBalancingMode,
  type NetworkAddress,
  RoutingScope,
  type Service,
  Visibility,
  type WeightedWaypoint,
} from './workload-messages.ts';

/** @throws AmbitError AMBIT_RESOURCE_INVALID that says what is wrong with it. */
export function serviceFromWire(wire: Service): MeshService {
  if (wire.hostname === '') throw invalid(`service ${wire.namespace}/${wire.name} has no host name`);
  const what = `service ${wire.namespace}/${wire.hostname}`;
  return {
    name: wire.name,
    namespace: wire.namespace,
    hostname: wire.hostname,
    addresses: wire.addresses.map((address) => serviceAddressFromWire(address, what)),
    ports: wire.ports.map((port) => ({
      servicePort: portOf(port.servicePort, what),
      targetPort: portOf(port.targetPort, what),
      appProtocol: enumName(AppProtocol, port.appProtocol),
    })),
    subjectAltNames: wire.subjectAltNames,
    waypoint: wire.waypoint && gatewayFromWire(wire.waypoint, what),
    loadBalancing: wire.loadBalancing && loadBalancingFromWire(wire.loadBalancing),
    ipFamilies: enumName(IpFamilies, wire.ipFamilies),
    extensions: wire.extensions.map(extensionFromWire),
    canonical: wire.canonical,
    ingressUseWaypoint: wire.ingressUseWaypoint,
    weightedWaypoints: wire.weightedWaypoints.map((one) => weightedFromWire(one, what)),
    visibility: enumName(Visibility, wire.visibility),
  };
}

function serviceAddressFromWire(wire: NetworkAddress, what: string): ServiceAddress {
  const ip = addressOf(wire.address, what);
  if (wire.length === undefined) return { network: wire.network, ip };
  if (wire.length > wire.address.length * 8) throw invalid(`${what} has the block ${ip}/${wire.length}`);
  return { network: wire.network, ip, prefixLength: wire.length };
}

function loadBalancingFromWire(wire: LoadBalancing): MeshLoadBalancing {
  return {
    routingPreference: wire.routingPreference
      .map((scope) => enumName(RoutingScope, scope))
      .filter((scope): scope is MeshScope => scope !== 'UNSPECIFIED_SCOPE'),
    mode: enumName(LoadBalancingMode, wire.mode),
    healthPolicy: enumName(HealthPolicy, wire.healthPolicy),
  };
}

function weightedFromWire(wire: WeightedWaypoint, what: string) {
  if (wire.destination === undefined) throw invalid(`${what} has a weighted waypoint without a destination`);
  return { destination: gatewayFromWire(wire.destination, what), weight: wire.weight };
}

export function serviceToWire(service: MeshService): InitOf<typeof Service> {
  const { waypoint, loadBalancing } = service;
  return {
    ...service,
    addresses: service.addresses.map(({ network, ip, prefixLength }) => ({
      network,
      address: ipToBytes(ip),
      length: prefixLength,
    })),
    ports: service.ports.map((port) => ({ ...port, appProtocol: AppProtocol[port.appProtocol] })),
    subjectAltNames: [...service.subjectAltNames],
    waypoint: waypoint && gatewayToWire(waypoint),
    loadBalancing: loadBalancing && {
      routingPreference: loadBalancing.routingPreference.map((scope) => RoutingScope[scope]),
      mode: LoadBalancingMode[loadBalancing.mode],
      healthPolicy: HealthPolicy[loadBalancing.healthPolicy],
    },
    ipFamilies: IpFamilies[service.ipFamilies],
    extensions: service.extensions.map(extensionToWire),
    weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
      destination: gatewayToWire(destination),
      weight,
    })),
    visibility: Visibility[service.visibility],
  };
}
