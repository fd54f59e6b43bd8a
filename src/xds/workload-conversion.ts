/** Workloads and services between the wire (istio.workload.Address) and the mesh model. */

import { familyOf, ipToBytes } from '../base/ip.ts';
import { namespacedHostname } from '../mesh/gateway-address.ts';
import type { LoadBalancing, Service, ServiceAddress, ServicePort } from '../mesh/service.ts';
import { type PortMapping, WORKLOAD_DEFAULTS, type Workload } from '../mesh/workload.ts';
import type { InitOf } from './message-schema.ts';
import {
  addressAlias,
  extensionOf,
  extensionToWire,
  gatewayOf,
  gatewayToWire,
  invalid,
  ipOf,
  nameOf,
  nameOr,
  portOf,
} from './wire-values.ts';
import * as wire from './workload-messages.ts';

/** What one Address resource holds. */
export type MeshAddress =
  | { readonly kind: 'workload'; readonly workload: Workload }
  | { readonly kind: 'service'; readonly service: Service };

/** A resource ready for the server: its name, its encoded message and the other names it can be asked for by. */
export interface NamedResource {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly aliases: readonly string[];
}

/** Throws AMBIT_PROTOBUF_… for what is not the message, AMBIT_RESOURCE_INVALID with the reason for what cannot be used. */
export function decodeAddress(bytes: Uint8Array): MeshAddress {
  const { type } = wire.Address.decode(bytes);
  if (type === undefined) throw invalid('neither a workload nor a service');
  return type.kind === 'workload'
    ? { kind: 'workload', workload: workloadFromWire(type.value) }
    : { kind: 'service', service: serviceFromWire(type.value) };
}

export function encodeWorkload(workload: Workload): Uint8Array {
  return wire.Address.encode({ type: { kind: 'workload', value: workloadToWire(workload) } });
}

export function encodeService(service: Service): Uint8Array {
  return wire.Address.encode({ type: { kind: 'service', value: serviceToWire(service) } });
}

/** A workload on the host network has no alias: its address is the node's, and others share it. */
export function workloadResource(workload: Workload): NamedResource {
  const { network, addresses } = workload;
  const own = workload.networkMode === 'HOST_NETWORK' ? [] : addresses;
  const aliases = own.map((ip) => addressAlias({ network, ip }));
  return { name: workload.uid, bytes: encodeWorkload(workload), aliases };
}

export function serviceResource(service: Service): NamedResource {
  const single = service.addresses.filter((address) => address.prefixLength === undefined);
  return {
    name: namespacedHostname(service),
    bytes: encodeService(service),
    aliases: single.map(addressAlias),
  };
}

/** With Istio's meaning of empty fields put in. Throws AMBIT_RESOURCE_INVALID. */
export function workloadFromWire(message: wire.Workload): Workload {
  if (message.uid === '') throw invalid('a workload without a uid');
  return {
    uid: message.uid,
    name: message.name,
    namespace: message.namespace,
    addresses: message.addresses.map((bytes) => ipOf(bytes, 'address')),
    hostname: message.hostname,
    network: message.network,
    tunnelProtocol: tunnelProtocolOf(message.tunnelProtocol),
    trustDomain: message.trustDomain || WORKLOAD_DEFAULTS.trustDomain,
    serviceAccount: message.serviceAccount || WORKLOAD_DEFAULTS.serviceAccount,
    waypoint: message.waypoint && gatewayOf(message.waypoint, 'waypoint'),
    networkGateway: message.networkGateway && gatewayOf(message.networkGateway, 'network_gateway'),
    node: message.node,
    canonicalName: message.canonicalName,
    canonicalRevision: message.canonicalRevision,
    workloadType: nameOr(wire.WorkloadType, message.workloadType, 'DEPLOYMENT'),
    workloadName: message.workloadName,
    nativeTunnel: message.nativeTunnel,
    applicationTunnel: message.applicationTunnel && applicationTunnelOf(message.applicationTunnel),
    services: servicesOf(message.services),
    authorizationPolicies: message.authorizationPolicies,
    status: nameOf(wire.WorkloadStatus, message.status, 'status'),
    clusterId: message.clusterId || WORKLOAD_DEFAULTS.clusterId,
    locality: message.locality ?? wire.Locality.zero,
    networkMode: nameOf(wire.NetworkMode, message.networkMode, 'network_mode'),
    extensions: message.extensions.map(extensionOf),
    capacity: message.capacity?.value ?? WORKLOAD_DEFAULTS.capacity,
  };
}

/** What is Istio's default is left out, as istiod does. */
export function workloadToWire(workload: Workload): InitOf<typeof wire.Workload> {
  const { locality, capacity } = workload;
  const isDefault = (field: 'trustDomain' | 'serviceAccount' | 'clusterId'): boolean =>
    workload[field] === WORKLOAD_DEFAULTS[field];
  return {
    ...workload,
    addresses: workload.addresses.map(ipToBytes),
    tunnelProtocol: wire.TunnelProtocol[workload.tunnelProtocol],
    trustDomain: isDefault('trustDomain') ? '' : workload.trustDomain,
    serviceAccount: isDefault('serviceAccount') ? '' : workload.serviceAccount,
    clusterId: isDefault('clusterId') ? '' : workload.clusterId,
    waypoint: workload.waypoint && gatewayToWire(workload.waypoint),
    networkGateway: workload.networkGateway && gatewayToWire(workload.networkGateway),
    workloadType: wire.WorkloadType[workload.workloadType],
    applicationTunnel: workload.applicationTunnel && {
      protocol: wire.ApplicationTunnelProtocol[workload.applicationTunnel.protocol],
      port: workload.applicationTunnel.port,
    },
    services: new Map(Array.from(workload.services, ([name, ports]) => [name, { ports }])),
    status: wire.WorkloadStatus[workload.status],
    locality: Object.values(locality).every((part) => part === '') ? undefined : locality,
    networkMode: wire.NetworkMode[workload.networkMode],
    extensions: workload.extensions.map(extensionToWire),
    capacity: capacity === WORKLOAD_DEFAULTS.capacity ? undefined : { value: capacity },
  };
}

function tunnelProtocolOf(value: number): Workload['tunnelProtocol'] {
  const name = nameOf(wire.TunnelProtocol, value, 'tunnel_protocol');
  if (name === 'LEGACY_ISTIO_MTLS') throw invalid('tunnel_protocol LEGACY_ISTIO_MTLS is not supported');
  return name;
}

function applicationTunnelOf(tunnel: wire.ApplicationTunnel): Workload['applicationTunnel'] {
  return {
    protocol: nameOf(wire.ApplicationTunnelProtocol, tunnel.protocol, 'application_tunnel.protocol'),
    port: portOf(tunnel.port, 'application_tunnel.port'),
  };
}

function servicesOf(services: ReadonlyMap<string, wire.PortList>): Workload['services'] {
  const mapped = new Map<string, readonly PortMapping[]>();
  for (const [name, { ports }] of services) {
    if (!name.includes('/')) throw invalid(`service ${JSON.stringify(name)} is not <namespace>/<hostname>`);
    mapped.set(name, ports.map(portMappingOf));
  }
  return mapped;
}

function portMappingOf(port: wire.Port): PortMapping {
  return {
    servicePort: portOf(port.servicePort, 'service_port'),
    targetPort: portOf(port.targetPort, 'target_port'),
  };
}

/** Throws AMBIT_RESOURCE_INVALID. */
export function serviceFromWire(message: wire.Service): Service {
  if (message.hostname === '') throw invalid('a service without a hostname');
  return {
    name: message.name,
    namespace: message.namespace,
    hostname: message.hostname,
    addresses: message.addresses.map(serviceAddressOf),
    ports: message.ports.map(servicePortOf),
    subjectAltNames: message.subjectAltNames,
    waypoint: message.waypoint && gatewayOf(message.waypoint, 'waypoint'),
    loadBalancing: message.loadBalancing && loadBalancingOf(message.loadBalancing),
    ipFamilies: nameOf(wire.IpFamilies, message.ipFamilies, 'ip_families'),
    extensions: message.extensions.map(extensionOf),
    canonical: message.canonical,
    ingressUseWaypoint: message.ingressUseWaypoint,
    weightedWaypoints: message.weightedWaypoints.map(({ destination, weight }) => ({
      destination: gatewayOf(destination ?? wire.GatewayAddress.zero, 'weighted_waypoints'),
      weight,
    })),
    visibility: nameOf(wire.Visibility, message.visibility, 'visibility'),
  };
}

export function serviceToWire(service: Service): InitOf<typeof wire.Service> {
  const { loadBalancing } = service;
  return {
    ...service,
    addresses: service.addresses.map(({ network, ip, prefixLength }) => ({
      network,
      address: ipToBytes(ip),
      length: prefixLength,
    })),
    ports: service.ports.map((port) => ({ ...port, appProtocol: wire.AppProtocol[port.appProtocol] })),
    waypoint: service.waypoint && gatewayToWire(service.waypoint),
    loadBalancing: loadBalancing && {
      routingPreference: loadBalancing.routingPreference.map((scope) => wire.RoutingScope[scope]),
      mode: wire.LoadBalancingMode[loadBalancing.mode],
      healthPolicy: wire.HealthPolicy[loadBalancing.healthPolicy],
    },
    ipFamilies: wire.IpFamilies[service.ipFamilies],
    extensions: service.extensions.map(extensionToWire),
    weightedWaypoints: service.weightedWaypoints.map(({ destination, weight }) => ({
      destination: gatewayToWire(destination),
      weight,
    })),
    visibility: wire.Visibility[service.visibility],
  };
}

/** A block as long as the address itself is a single address. */
function serviceAddressOf(address: wire.NetworkAddress): ServiceAddress {
  const { network, length } = address;
  const ip = ipOf(address.address, 'service address');
  const bits = familyOf(ip) === 4 ? 32 : 128;
  if (length === undefined || length === bits) return { network, ip };
  if (length > bits) throw invalid(`service address ${ip}/${length}: the prefix is longer than the address`);
  return { network, ip, prefixLength: length };
}

function servicePortOf(port: wire.Port): ServicePort {
  return { ...portMappingOf(port), appProtocol: nameOr(wire.AppProtocol, port.appProtocol, 'UNKNOWN') };
}

function loadBalancingOf(message: wire.LoadBalancing): LoadBalancing {
  return {
    routingPreference: message.routingPreference.map((value) => {
      const scope = nameOf(wire.RoutingScope, value, 'routing_preference');
      if (scope === 'UNSPECIFIED_SCOPE') throw invalid('routing_preference UNSPECIFIED_SCOPE');
      return scope;
    }),
    mode: nameOf(wire.LoadBalancingMode, message.mode, 'load_balancing.mode'),
    healthPolicy: nameOf(wire.HealthPolicy, message.healthPolicy, 'health_policy'),
  };
}
