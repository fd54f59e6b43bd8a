/** IP addresses, endpoints and CIDR blocks as values: parsed once, compared by their canonical text. */

import { isIPv4, isIPv6 } from 'node:net';

/** An IPv4 or IPv6 address in canonical text (RFC 5952 for IPv6); an IPv4-mapped IPv6 address is written as IPv4. */
export type IpAddress = string & { readonly __ip: true };

export type IpFamily = 4 | 6;

/** An IP address and a port. */
export interface SocketAddress {
  readonly ip: IpAddress;
  readonly port: number;
}

const DOT = 0x2e;
const ZERO = 0x30;
/** Addresses met lately: each connection tells of three, and a text that is made anew is hashed anew by every map. */
const ipv4Texts = new Map<number, IpAddress>();
const MAX_IPV4_TEXTS = 4096;

export function familyOf(ip: IpAddress): IpFamily {
  return ip.includes(':') ? 6 : 4;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export function formatSocketAddress(address: SocketAddress): string {
  return familyOf(address.ip) === 6 ? `[${address.ip}]:${address.port}` : `${address.ip}:${address.port}`;
}

/** The canonical address, or undefined when the text is not an IP address (a zone index is refused). */
export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return text as IpAddress;
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return ipFromBytes(ipv6Bytes(text));
}

/** Parses `ip:port` or `[v6]:port`; undefined for anything else. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const ip = parseIp(match[1] ?? match[2] ?? '');
  const port = Number(match[3]);
  return ip === undefined || port > 65535 ? undefined : { ip, port };
}

/** 4 or 16 bytes, network order. */
export function ipToBytes(ip: IpAddress): Uint8Array {
  if (familyOf(ip) === 6) return ipv6Bytes(ip);
  const bytes = new Uint8Array(4);
  writeIpv4(ip, bytes, 0);
  return bytes;
}

/** The four bytes of an IPv4 address, at the offset. */
export function writeIpv4(ip: IpAddress, into: Uint8Array, offset: number): void {
  let at = offset;
  let value = 0;
  for (let i = 0; i < ip.length; i++) {
    const code = ip.charCodeAt(i);
    if (code !== DOT) {
      value = value * 10 + code - ZERO;
      continue;
    }
    into[at++] = value;
    value = 0;
  }
  into[at] = value;
}

/** The address held by 4 or 16 bytes in network order; undefined for any other length. */
export function ipFromBytes(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length === 4) return ipv4At(bytes, 0);
  return bytes.length === 16 ? ipv6At(bytes, 0) : undefined;
}

/** Of the four bytes at the offset. */
export function ipv4At(bytes: Uint8Array, offset: number): IpAddress {
  const word =
    (bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
  const known = ipv4Texts.get(word);
  if (known !== undefined) return known;
  if (ipv4Texts.size >= MAX_IPV4_TEXTS) ipv4Texts.clear();
  const text = `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}` as IpAddress;
  ipv4Texts.set(word, text);
  return text;
}

/** Of the sixteen bytes at the offset. */
export function ipv6At(bytes: Uint8Array, offset: number): IpAddress {
  if (isMapped(bytes, offset)) return ipv4At(bytes, offset + 12);
  const groups: number[] = [];
  for (let i = offset; i < offset + 16; i += 2) groups.push((bytes[i]! << 8) | bytes[i + 1]!);
  return compress(groups) as IpAddress;
}

function isMapped(bytes: Uint8Array, offset: number): boolean {
  for (let i = offset; i < offset + 10; i++) if (bytes[i] !== 0) return false;
  return bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
}

/** RFC 5952 §4.2: the longest run of two or more zero groups becomes `::`, the first one on a tie. */
function compress(groups: readonly number[]): string {
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < groups.length; i++) {
    let end = i;
    while (end < groups.length && groups[end] === 0) end++;
    if (end - i > bestLength) {
      best = i;
      bestLength = end - i;
    }
    if (end > i) i = end;
  }
  const hex = groups.map((group) => group.toString(16));
  if (best < 0) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

function ipv6Bytes(text: string): Uint8Array {
  const [head, tail] = expandDottedTail(text).split('::');
  const left = head === '' ? [] : head!.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...new Array<string>(zeros).fill('0'), ...right];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => {
    const value = Number.parseInt(group, 16);
    bytes[i * 2] = value >>> 8;
    bytes[i * 2 + 1] = value & 0xff;
  });
  return bytes;
}

/** `::ffff:1.2.3.4` → `::ffff:102:304`. */
function expandDottedTail(text: string): string {
  const match = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (match === null) return text;
  const [a, b, c, d] = match.slice(2).map(Number) as [number, number, number, number];
  return `${match[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

/** A block of addresses: network bytes with the host bits cleared, and a prefix length. */
export class Cidr {
  readonly bytes: Uint8Array;
  readonly prefixLength: number;

  constructor(bytes: Uint8Array, prefixLength: number) {
    this.bytes = maskBytes(bytes, prefixLength);
    this.prefixLength = prefixLength;
  }

  /** Parses `ip/length` or a bare address (a block of one); undefined when it is neither. */
  static parse(text: string): Cidr | undefined {
    const slash = text.indexOf('/');
    const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
    if (ip === undefined) return undefined;
    const bits = familyOf(ip) === 4 ? 32 : 128;
    const suffix = slash < 0 ? String(bits) : text.slice(slash + 1);
    const length = Number(suffix);
    if (!/^\d{1,3}$/.test(suffix) || length > bits) return undefined;
    return new Cidr(ipToBytes(ip), length);
  }

  contains(ip: IpAddress): boolean {
    const bytes = ipToBytes(ip);
    return bytes.length === this.bytes.length && sameBytes(maskBytes(bytes, this.prefixLength), this.bytes);
  }

  toString(): string {
    return `${ipFromBytes(this.bytes)}/${this.prefixLength}`;
  }
}

function maskBytes(bytes: Uint8Array, prefixLength: number): Uint8Array {
  const masked = Uint8Array.from(bytes);
  for (let i = 0; i < masked.length; i++) {
    const keep = Math.min(8, Math.max(0, prefixLength - i * 8));
    masked[i] = masked[i]! & (0xff << (8 - keep));
  }
  return masked;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}
