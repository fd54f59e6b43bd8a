/** The PROXY protocol header, version 2, that a workload with an application tunnel gets in front of each connection. */

import { familyOf, ipToBytes, type SocketAddress } from '../../base/ip.ts';

const SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);
/** Version 2, command PROXY. */
const VERSION_AND_COMMAND = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;
/** A type of the range for custom use: the SPIFFE URI of the client. */
const TLV_PEER_IDENTITY = 0xd0;

export interface ProxiedConnection {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  /** The client's SPIFFE URI. */
  readonly identity: string | undefined;
}

/** The header's bytes. Where the two addresses are of different families both are written as IPv6. */
export function proxyHeader(connection: ProxiedConnection): Uint8Array {
  const { source, destination } = connection;
  const v4 = familyOf(source.ip) === 4 && familyOf(destination.ip) === 4;
  const addresses = [...addressBytes(source, v4), ...addressBytes(destination, v4)];
  const ports = [source.port >> 8, source.port & 0xff, destination.port >> 8, destination.port & 0xff];
  const identity = Buffer.from(connection.identity ?? '', 'latin1');
  const tlv =
    identity.length === 0
      ? []
      : [TLV_PEER_IDENTITY, identity.length >> 8, identity.length & 0xff, ...identity];
  const length = addresses.length + ports.length + tlv.length;
  const family = v4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  const head = [VERSION_AND_COMMAND, family, length >> 8, length & 0xff];
  return Uint8Array.from([...SIGNATURE, ...head, ...addresses, ...ports, ...tlv]);
}

function addressBytes(address: SocketAddress, v4: boolean): Uint8Array {
  const bytes = ipToBytes(address.ip);
  if (v4 || bytes.length === 16) return bytes;
  return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes]);
}
