/** What /etc/resolv.conf and /etc/hosts say inside nodes and pods. */

import type { IpAddress, IpFamily } from '../../base/ip.ts';
import { CLUSTER_DOMAIN, dnsAddress } from './address-plan.ts';

/** The fields of a pod spec that shape its resolv.conf. */
export interface ResolverPolicy {
  readonly dnsPolicy?: string;
  readonly dnsConfig?: {
    readonly nameservers?: readonly string[];
    readonly searches?: readonly string[];
    readonly options?: readonly { readonly name?: string; readonly value?: string }[];
  };
}

/** As the kubelet writes it: `dnsPolicy: None` leaves only what dnsConfig says, any other policy adds to the cluster's. */
export function resolverFile(
  namespace: string,
  families: readonly IpFamily[],
  { dnsPolicy, dnsConfig = {} }: ResolverPolicy = {},
): string {
  const cluster = dnsPolicy !== 'None';
  const own = [`${namespace}.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN];
  const servers = [...(cluster ? [dnsAddress(families[0] ?? 4)] : []), ...(dnsConfig.nameservers ?? [])];
  const searches = [...(cluster ? own : []), ...(dnsConfig.searches ?? [])];
  const options = (dnsConfig.options ?? []).map(({ name = '', value }) =>
    value === undefined ? name : `${name}:${value}`,
  );
  if (cluster && !options.some((option) => option.startsWith('ndots:'))) options.push('ndots:5');
  const lines = servers.map((server) => `nameserver ${server}`);
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  return `${lines.join('\n')}\n`;
}

export function hostsFile(name: string, ips: readonly IpAddress[]): string {
  const fixed = ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback'];
  return [...fixed, ...ips.map((ip) => `${ip}\t${name}`), ''].join('\n');
}
