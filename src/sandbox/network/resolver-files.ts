/** What /etc/resolv.conf and /etc/hosts say inside nodes and pods. */

import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { CLUSTER_DOMAIN, dnsAddress } from './address-plan.ts';

/** As the kubelet writes it for `dnsPolicy: ClusterFirst`. */
export function resolverFile(namespace: string, families: readonly IpFamily[]): string {
  const search = [`${namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN];
  return `nameserver ${dnsAddress(families[0] ?? 4)}\nsearch ${search.join(' ')}\noptions ndots:5\n`;
}

export function hostsFile(name: string, ips: readonly IpAddress[]): string {
  const fixed = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  return [...fixed, ...ips.map((ip) => `${ip}\t${name}`), ''].join('\n');
}
