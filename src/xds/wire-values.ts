/** Values that the wire and the mesh write differently: enumerations, addresses, ports, extensions. */

import { type IpAddress, ipFromBytes, ipToBytes } from '../base/ip.ts';
import type { Extension, GatewayAddress, NetworkAddress } from '../mesh/gateway-address.ts';
import { xdsErrors } from './errors.ts';
import type { InitOf } from './message-schema.ts';
import type { Any } from './well-known-messages.ts';
import type * as wire from './workload-messages.ts';

const MAX_PORT = 65535;

/** The error for a resource that cannot be used; the reason is what its author gets to read. */
export function invalid(reason: string): Error {
  return xdsErrors.AMBIT_RESOURCE_INVALID(reason);
}

type EnumTable = Readonly<Record<string, number>>;

/** The name of a number; throws when a newer peer sent one that has no name here. */
export function nameOf<T extends EnumTable>(table: T, value: number, field: string): keyof T & string {
  const name = findName(table, value);
  if (name === undefined) throw invalid(`${field} ${value} is not known`);
  return name;
}

/** The same where a wrong guess does no harm. */
export function nameOr<T extends EnumTable>(
  table: T,
  value: number,
  fallback: keyof T & string,
): keyof T & string {
  return findName(table, value) ?? fallback;
}

function findName<T extends EnumTable>(table: T, value: number): (keyof T & string) | undefined {
  for (const name in table) if (table[name] === value) return name;
  return undefined;
}

export function ipOf(bytes: Uint8Array, field: string): IpAddress {
  const ip = ipFromBytes(bytes);
  if (ip === undefined) throw invalid(`${field} of ${bytes.length} bytes; an address has 4 or 16`);
  return ip;
}

export function portOf(value: number, field: string): number {
  if (value > MAX_PORT) throw invalid(`${field} ${value} is not a port`);
  return value;
}

/** Bytes of their own: those that were decoded are a view that would keep the whole push in memory. */
export function extensionOf(extension: {
  readonly name: string;
  readonly config: Any | undefined;
}): Extension {
  const { name, config } = extension;
  return { name, typeUrl: config?.typeUrl ?? '', value: new Uint8Array(config?.value ?? []) };
}

export function extensionToWire(extension: Extension): InitOf<typeof wire.Extension> {
  const { name, typeUrl, value } = extension;
  return { name, config: { typeUrl, value } };
}

export function gatewayOf(gateway: wire.GatewayAddress, field: string): GatewayAddress {
  const { destination } = gateway;
  const hboneMtlsPort = portOf(gateway.hboneMtlsPort, `port of ${field}`);
  if (destination === undefined) throw invalid(`${field} names no destination`);
  if (destination.kind === 'hostname') {
    const { namespace, hostname } = destination.value;
    return { destination: { kind: 'hostname', namespace, hostname }, hboneMtlsPort };
  }
  const { network, address } = destination.value;
  return { destination: { kind: 'address', network, ip: ipOf(address, field) }, hboneMtlsPort };
}

export function gatewayToWire(gateway: GatewayAddress): InitOf<typeof wire.GatewayAddress> {
  const { destination, hboneMtlsPort } = gateway;
  if (destination.kind === 'hostname') {
    const { namespace, hostname } = destination;
    return { destination: { kind: 'hostname', value: { namespace, hostname } }, hboneMtlsPort };
  }
  const value = { network: destination.network, address: ipToBytes(destination.ip) };
  return { destination: { kind: 'address', value }, hboneMtlsPort };
}

/** `<network>/<ip>`: the other name under which the owner of an address can be subscribed to. */
export function addressAlias(address: NetworkAddress): string {
  return `${address.network}/${address.ip}`;
}
