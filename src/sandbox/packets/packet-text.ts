/** One captured packet as a line: who to whom, and the readable part of what it carries. */

import { formatSocketAddress, ipFromBytes, type SocketAddress } from '../../base/ip.ts';

const ETHERNET_BYTES = 14;
const TYPE_IPV4 = 0x0800;
const TYPE_IPV6 = 0x86dd;
const IPV6_BYTES = 40;
const TCP = 6;

/** A TCP segment. */
export interface Segment {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  readonly payload: Uint8Array;
}

/** The TCP segment in an Ethernet frame; undefined for anything else, and for what is cut short. */
export function parseSegment(frame: Uint8Array): Segment | undefined {
  if (frame.length < ETHERNET_BYTES) return undefined;
  const type = (frame[12]! << 8) | frame[13]!;
  const packet = frame.subarray(ETHERNET_BYTES);
  if (type === TYPE_IPV4) return parseIpv4(packet);
  return type === TYPE_IPV6 ? parseIpv6(packet) : undefined;
}

function parseIpv4(packet: Uint8Array): Segment | undefined {
  const headerBytes = (packet[0]! & 0x0f) * 4;
  if (packet.length < 20 || headerBytes < 20 || packet[9] !== TCP) return undefined;
  // 0 is what a packet says that is larger than the field can tell.
  const said = (packet[2]! << 8) | packet[3]!;
  const total = said === 0 ? packet.length : Math.min(packet.length, said);
  return parseTcp(packet.subarray(12, 16), packet.subarray(16, 20), packet.subarray(headerBytes, total));
}

/** Extension headers do not occur between the sandbox's nodes. */
function parseIpv6(packet: Uint8Array): Segment | undefined {
  if (packet.length < IPV6_BYTES || packet[6] !== TCP) return undefined;
  const total = Math.min(packet.length, IPV6_BYTES + ((packet[4]! << 8) | packet[5]!));
  return parseTcp(packet.subarray(8, 24), packet.subarray(24, 40), packet.subarray(IPV6_BYTES, total));
}

function parseTcp(source: Uint8Array, destination: Uint8Array, segment: Uint8Array): Segment | undefined {
  if (segment.length < 20) return undefined;
  return {
    source: { ip: ipFromBytes(source)!, port: (segment[0]! << 8) | segment[1]! },
    destination: { ip: ipFromBytes(destination)!, port: (segment[2]! << 8) | segment[3]! },
    payload: segment.subarray((segment[12]! >> 4) * 4),
  };
}

/** `10.244.1.3:40112 > 10.244.2.4:8080 59 bytes GET / HTTP/1.1..`; unprintable bytes show as dots. */
export function describeSegment(segment: Segment): string {
  const { source, destination, payload } = segment;
  let text = '';
  for (const byte of payload) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
  return `${formatSocketAddress(source)} > ${formatSocketAddress(destination)} ${payload.length} bytes ${text}`.trimEnd();
}
