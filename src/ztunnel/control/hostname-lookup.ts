/** Resolves host names of workloads for the reactor threads, by the resolver of the operating system. */

import { lookup } from 'node:dns/promises';
import { type IpAddress, parseIp } from '../../base/ip.ts';

/** All addresses of a name; none when it cannot be resolved. */
export async function lookupHostname(hostname: string): Promise<IpAddress[]> {
  try {
    const found = await lookup(hostname, { all: true });
    return found.flatMap(({ address }) => parseIp(address) ?? []);
  } catch {
    return [];
  }
}
