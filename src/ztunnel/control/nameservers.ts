/** The nameservers that unknown names are forwarded to: those of this proxy's own resolv.conf. */

import { readFileSync } from 'node:fs';
import { type IpAddress, parseIp } from '../../base/ip.ts';

/** As resolv.conf(5) allows. */
const MAX_NAMESERVERS = 3;

/** Addresses in the order of the file; none when it cannot be read. */
export function readNameservers(path: string): IpAddress[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  const found = [...text.matchAll(/^nameserver[ \t]+(\S+)/gm)].flatMap((match) => parseIp(match[1]!) ?? []);
  return found.slice(0, MAX_NAMESERVERS);
}
