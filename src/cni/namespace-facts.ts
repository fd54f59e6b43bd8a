/** What can be seen of a network namespace from the inside: address families, addresses, listening ports. */

import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { type IpAddress, parseIp } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';

const IPV6_SYSCTLS = '/proc/sys/net/ipv6/conf';
/** Not interfaces: what new ones begin with, and what was last written to all. */
const TEMPLATES = ['all', 'default'];
/** /proc lists listening sockets first, at 150 to 180 bytes each: more than these are not looked at. */
const SOCKET_LIST_BYTES = 64 * 1024;
/** Of include/net/tcp_states.h. */
const TCP_LISTEN = '0A';

export interface Ipv6Facts {
  /** The kernel has IPv6 at all. */
  readonly isKnown: boolean;
  /** Some interface may use IPv6. */
  readonly inUse: boolean;
  /** Loopback may, so that a local route for IPv6 can exist. */
  readonly onLoopback: boolean;
}

export function ipv6Facts(namespace: NetworkNamespace): Ipv6Facts {
  return namespace.run(() => {
    const interfaces = foldersIn(IPV6_SYSCTLS).filter((name) => !TEMPLATES.includes(name));
    const enabled = interfaces.filter(
      (name) => readText(`${IPV6_SYSCTLS}/${name}/disable_ipv6`).trim() === '0',
    );
    return {
      isKnown: interfaces.length > 0,
      inUse: enabled.length > 0,
      onLoopback: enabled.includes('lo'),
    };
  });
}

/** Addresses of interfaces that are up, loopback excepted. */
export function addressesIn(namespace: NetworkNamespace): IpAddress[] {
  return namespace.run(() =>
    Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      .filter((entry) => !entry.internal)
      .map((entry) => parseIp(entry.address))
      .filter((ip) => ip !== undefined),
  );
}

/** TCP ports that somebody listens on, in either family. */
export function listeningPorts(namespace: NetworkNamespace): Set<number> {
  return namespace.run(() => {
    const lists = ['tcp', 'tcp6'].map((name) =>
      readStart(`/proc/thread-self/net/${name}`, SOCKET_LIST_BYTES),
    );
    return new Set(lists.flatMap(parseListeningPorts));
  });
}

/** Reads lines such as `0: 00000000:3A99 00000000:0000 0A …`; anything else is passed over. */
export function parseListeningPorts(text: string): number[] {
  const ports: number[] = [];
  for (const match of text.matchAll(
    /^ *\d+: [0-9A-F]{8,32}:([0-9A-F]{4}) [0-9A-F]{8,32}:[0-9A-F]{4} ([0-9A-F]{2}) /gm,
  )) {
    if (match[2] === TCP_LISTEN) ports.push(Number.parseInt(match[1]!, 16));
  }
  return ports;
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function readStart(path: string, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const fd = openFile(path);
  if (fd === undefined) return '';
  try {
    let end = 0;
    for (let got = -1; got !== 0 && end < bytes; end += got)
      got = readSync(fd, buffer, end, bytes - end, null);
    return buffer.toString('latin1', 0, end);
  } finally {
    closeSync(fd);
  }
}

function openFile(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}
