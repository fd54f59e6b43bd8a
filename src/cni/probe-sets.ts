/** The node's two sets of addresses whose probes bypass capture: their text for ipset, and what ipset says of them. */

import { familyOf, type IpAddress, type IpFamily, parseIp } from '../base/ip.ts';
import { PROBE_SET_V4, PROBE_SET_V6 } from './redirection-constants.ts';

/** Addresses with the uid of the pod each belongs to, kept in the set as a comment. */
export type ProbeEntries = ReadonlyMap<IpAddress, string>;

/** ipset keeps 255 bytes of comment. */
const MAX_COMMENT = 200;

export function probeSetOf(family: IpFamily): string {
  return family === 4 ? PROBE_SET_V4 : PROBE_SET_V6;
}

/** Lines for `ipset -exist restore` that make the sets where they are missing. */
export function createProbeSets(families: readonly IpFamily[]): string {
  return families
    .map(
      (family) => `create ${probeSetOf(family)} hash:ip family ${family === 4 ? 'inet' : 'inet6'} comment\n`,
    )
    .join('');
}

/** Lines for `ipset -exist restore` that bring these addresses in line with `wanted`. */
export function changeProbeSets(addresses: Iterable<IpAddress>, wanted: ProbeEntries): string {
  return [...addresses]
    .map((ip) => {
      const uid = wanted.get(ip);
      const entry = `${probeSetOf(familyOf(ip))} ${ip}`;
      return uid === undefined ? `del ${entry}\n` : `add ${entry} comment "${commentOf(uid)}"\n`;
    })
    .join('');
}

/** Reads what `ipset save` prints; a line that is not understood is left out. */
export function parseProbeSets(saved: string): Map<IpAddress, string> {
  const entries = new Map<IpAddress, string>();
  for (const match of saved.matchAll(/^add (\S+) (\S+)(?:.* comment "([^"\n]*)")?/gm)) {
    const ip = parseIp(match[2]!);
    if (ip !== undefined && match[1] === probeSetOf(familyOf(ip))) entries.set(ip, match[3] ?? '');
  }
  return entries;
}

/** A uid is a UUID in Kubernetes; elsewhere it may be anything, and a quote would end the comment. */
export function commentOf(uid: string): string {
  return uid.replace(/[^\w.:/-]/g, '_').slice(0, MAX_COMMENT);
}
