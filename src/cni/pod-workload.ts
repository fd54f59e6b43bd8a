/** A pod as ztunnel is told of it. */

import type { PodFacts } from './pod-facts.ts';
import type { ZdsWorkload } from './zds-packets.ts';

/** @param netnsFd undefined while the agent has no namespace of the pod */
export function podWorkload(pod: PodFacts, clusterDomain: string, netnsFd: number | undefined): ZdsWorkload {
  const { uid, name, namespace, serviceAccount } = pod;
  return { uid, name, namespace, serviceAccount, searchDomains: searchDomains(pod, clusterDomain), netnsFd };
}

/**
 * The `search` list that kubelet writes into the pod's resolv.conf, but for the domains that it copies from the node's,
 * which are not known here.
 */
export function searchDomains(pod: PodFacts, clusterDomain: string): string[] {
  if (pod.dnsPolicy !== 'ClusterFirst') return [...pod.dnsSearches];
  return [`${pod.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain, ...pod.dnsSearches];
}
