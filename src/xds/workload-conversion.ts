/** istio.workload.Workload ⇄ the mesh's workload, with the defaults that Istio's proxies fill in. */

import { ipToBytes } from '../base/ip.ts';
import { type Workload as MeshWorkload, type PortMapping, WORKLOAD_DEFAULTS } from '../mesh/workload.ts';
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
import {
  ApplicationTunnelProtocol,
  NetworkMode,
  type PortList,
  TunnelProtocol,
  type Workload,
  WorkloadStatus,
  WorkloadType,
} from './workload-messages.ts';

const NO_LOCALITY = { region: '', zone: '', subzone: '' } as const;

/** @throws AmbitError AMBIT_RESOURCE_INVALID that says what is wrong with it. */
export function workloadFromWire(wire: Workload): MeshWorkload {
  if (wire.uid === '') throw invalid(`workload ${wire.namespace}/${wire.name} has no uid`);
  if (wire.tunnelProtocol === TunnelProtocol.LEGACY_ISTIO_MTLS) {
    throw invalid(`workload ${wire.uid} asks for the tunnel protocol LEGACY_ISTIO_MTLS, which is not spoken`);
  }
  return { ...namesFromWire(wire), ...routingFromWire(wire) };
}

function namesFromWire(wire: Workload) {
  return {
    uid: wire.uid,
    name: wire.name,
    namespace: wire.namespace,
    addresses: wire.addresses.map((bytes) => addressOf(bytes, `workload ${wire.uid}`)),
    hostname: wire.hostname,
    network: wire.network,
    trustDomain: wire.trustDomain || WORKLOAD_DEFAULTS.trustDomain,
    serviceAccount: wire.serviceAccount || WORKLOAD_DEFAULTS.serviceAccount,
    node: wire.node,
    canonicalName: wire.canonicalName,
    canonicalRevision: wire.canonicalRevision,
    workloadType: enumName(WorkloadType, wire.workloadType),
    workloadName: wire.workloadName,
    clusterId: wire.clusterId || WORKLOAD_DEFAULTS.clusterId,
    locality: wire.locality ?? NO_LOCALITY,
    extensions: wire.extensions.map(extensionFromWire),
  };
}

function routingFromWire(wire: Workload) {
  const what = `workload ${wire.uid}`;
  const tunnel = wire.applicationTunnel;
  return {
    tunnelProtocol: wire.tunnelProtocol === TunnelProtocol.HBONE ? ('HBONE' as const) : ('NONE' as const),
    waypoint: wire.waypoint && gatewayFromWire(wire.waypoint, what),
    networkGateway: wire.networkGateway && gatewayFromWire(wire.networkGateway, what),
    nativeTunnel: wire.nativeTunnel,
    applicationTunnel: tunnel && {
      protocol: enumName(ApplicationTunnelProtocol, tunnel.protocol),
      port: portOf(tunnel.port, what),
    },
    services: new Map([...wire.services].map(([name, list]) => [name, portsFromWire(list, what)])),
    authorizationPolicies: wire.authorizationPolicies,
    status: enumName(WorkloadStatus, wire.status),
    networkMode: enumName(NetworkMode, wire.networkMode),
    capacity: wire.capacity?.value ?? WORKLOAD_DEFAULTS.capacity,
  };
}

function portsFromWire(list: PortList, what: string): PortMapping[] {
  return list.ports.map(({ servicePort, targetPort }) => ({
    servicePort: portOf(servicePort, what),
    targetPort: portOf(targetPort, what),
  }));
}

/** @throws AmbitError AMBIT_RESOURCE_INVALID for a number that is no port. */
export function portOf(port: number, what: string): number {
  if (port > 65_535) throw invalid(`${what} has the port ${port}`);
  return port;
}

export function workloadToWire(workload: MeshWorkload): InitOf<typeof Workload> {
  const { waypoint, networkGateway, applicationTunnel: tunnel } = workload;
  return {
    ...workload,
    addresses: workload.addresses.map(ipToBytes),
    workloadType: WorkloadType[workload.workloadType],
    tunnelProtocol: TunnelProtocol[workload.tunnelProtocol],
    status: WorkloadStatus[workload.status],
    networkMode: NetworkMode[workload.networkMode],
    waypoint: waypoint && gatewayToWire(waypoint),
    networkGateway: networkGateway && gatewayToWire(networkGateway),
    applicationTunnel: tunnel && { protocol: ApplicationTunnelProtocol[tunnel.protocol], port: tunnel.port },
    services: new Map([...workload.services].map(([name, ports]) => [name, { ports: [...ports] }])),
    authorizationPolicies: [...workload.authorizationPolicies],
    extensions: workload.extensions.map(extensionToWire),
    // Absent means 1, so that the usual case costs nothing on the wire.
    capacity: workload.capacity === WORKLOAD_DEFAULTS.capacity ? undefined : { value: workload.capacity },
  };
}
