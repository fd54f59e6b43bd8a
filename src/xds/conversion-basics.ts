/** What the conversions between wire messages and the mesh model share: names of enumerations, addresses, gateways. */

import { type IpAddress, ipFromBytes, ipToBytes } from '../base/ip.ts';
import type { Extension as MeshExtension, GatewayAddress as MeshGateway } from '../mesh/gateway-address.ts';
import { xdsErrors } from './errors.ts';
import type { InitOf } from './message-schema.ts';
import type { Extension, GatewayAddress } from './workload-messages.ts';

/**
 * The name of an enumeration's value. A value that this version does not know means what the zero value means, so that
 * a newer control plane does not lose us the resource (protobuf's own advice for open enumerations).
 */
export function enumName<T extends Readonly<Record<string, number>>>(
  names: T,
  value: number,
): keyof T & string {
  const entries = Object.entries(names);
  return (entries.find((entry) => entry[1] === value) ?? entries.find((entry) => entry[1] === 0)!)[0];
}

/** @throws AmbitError AMBIT_RESOURCE_INVALID unless there are 4 or 16 bytes. */
export function addressOf(bytes: Uint8Array, what: string): IpAddress {
  const ip = ipFromBytes(bytes);
  if (ip === undefined) throw invalid(`${what} has an address of ${bytes.length} bytes`);
  return ip;
}

export function invalid(reason: string) {
  return xdsErrors.AMBIT_RESOURCE_INVALID(reason);
}

/** @throws AmbitError AMBIT_RESOURCE_INVALID when it names no destination. */
export function gatewayFromWire(gateway: GatewayAddress, what: string): MeshGateway {
  const { destination, hboneMtlsPort } = gateway;
  if (destination === undefined) throw invalid(`${what} has a gateway without a destination`);
  if (destination.kind === 'hostname') {
    const { namespace, hostname } = destination.value;
    return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort };
  }
  const { network, address } = destination.value;
  return { destination: { kind: 'address', network, ip: addressOf(address, what) }, hboneMtlsPort };
}

export function gatewayToWire(gateway: MeshGateway): InitOf<typeof GatewayAddress> {
  const { destination, hboneMtlsPort } = gateway;
  if (destination.kind === 'hostname') {
    const { namespace, hostname } = destination;
    return { destination: { kind: 'hostname', value: { namespace, hostname } }, hboneMtlsPort };
  }
  const { network, ip } = destination;
  return { destination: { kind: 'address', value: { network, address: ipToBytes(ip) } }, hboneMtlsPort };
}

export function extensionFromWire(extension: Extension): MeshExtension {
  const { name, config } = extension;
  return { name, typeUrl: config?.typeUrl ?? '', value: config?.value ?? new Uint8Array() };
}

export function extensionToWire(extension: MeshExtension): InitOf<typeof Extension> {
  const { name, typeUrl, value } = extension;
  return { name, config: { typeUrl, value } };
}
