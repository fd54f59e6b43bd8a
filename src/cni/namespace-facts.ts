/** What can be seen of a network namespace from the inside: whether it uses IPv6, and its addresses. */

import { readFileSync } from 'node:fs';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { type IpAddress, parseIp } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';

/**
 * One line per IPv6 address, its interface last. Looking up the sysctls instead takes time in proportion to the number
 * of namespaces on the machine.
 */
const IPV6_ADDRESSES = '/proc/thread-self/net/if_inet6';

export interface Ipv6Facts {
  /** The kernel has IPv6 at all. */
  readonly isKnown: boolean;
  /** Some interface has an IPv6 address; one that is up has, unless IPv6 is switched off for it. */
  readonly inUse: boolean;
  /** Loopback has, so that a local route for IPv6 can exist. */
  readonly onLoopback: boolean;
}

export function ipv6Facts(namespace: NetworkNamespace): Ipv6Facts {
  const text = namespace.run(() => readText(IPV6_ADDRESSES));
  const interfaces = (text ?? '')
    .trim()
    .split('\n')
    .map((line) => line.split(/ +/).at(-1));
  return {
    isKnown: text !== undefined,
    inUse: text !== undefined && text !== '',
    onLoopback: interfaces.includes('lo'),
  };
}

/** Addresses of interfaces that are up, loopback excepted; none when the kernel does not tell them now. */
export function addressesIn(namespace: NetworkNamespace): IpAddress[] {
  return namespace
    .run(listInterfaces)
    .filter((entry) => !entry.internal)
    .map((entry) => parseIp(entry.address))
    .filter((ip) => ip !== undefined);
}

function listInterfaces(): NetworkInterfaceInfo[] {
  try {
    return Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
