/** Objects that every cluster has from the start: namespaces, nodes, cluster DNS. */

import { familyOf, type IpAddress } from '../../base/ip.ts';
import { apiVersionOf, now, type ObjectDraft } from '../api/object-store.ts';
import { dnsAddress } from '../network/address-plan.ts';

export const SYSTEM_NAMESPACE = 'ambit-system';

export interface NodeFacts {
  readonly name: string;
  readonly ips: readonly IpAddress[];
  readonly podCidrs: readonly string[];
}

export function systemNamespaces(): readonly ObjectDraft[] {
  return ['default', 'kube-system', SYSTEM_NAMESPACE].map((name) => draft('Namespace', '', { name }));
}

export function nodeObject({ name, ips, podCidrs }: NodeFacts): ObjectDraft {
  const at = now();
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'KubeletReady',
    lastTransitionTime: at,
    lastHeartbeatTime: at,
  };
  const addresses = [
    ...ips.map((address) => ({ type: 'InternalIP', address })),
    { type: 'Hostname', address: name },
  ];
  return {
    ...draft('Node', '', { name, labels: { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' } }),
    spec: { podCIDR: podCidrs[0], podCIDRs: podCidrs },
    status: {
      addresses,
      conditions: [ready],
      nodeInfo: { kubeletVersion: 'ambit-sandbox', operatingSystem: 'linux' },
    },
  };
}

/** Every node serves cluster DNS on its own address; the customary VIP leads to any of them. */
export function clusterDnsObjects(nodes: readonly NodeFacts[]): readonly ObjectDraft[] {
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const families = [...new Set(nodes.flatMap((node) => node.ips.map(familyOf)))];
  const labels = { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS' };
  const clusterIPs = families.map(dnsAddress);
  const ipFamilyPolicy = families.length > 1 ? 'RequireDualStack' : 'SingleStack';
  const ipFamilies = families.map((family) => `IPv${family}`);
  const service = {
    ...draft('Service', '', { name: 'kube-dns', namespace: 'kube-system', labels }),
    spec: { clusterIP: clusterIPs[0], clusterIPs, ipFamilies, ipFamilyPolicy, ports },
  };
  const slices = families.map((family) => ({
    ...draft('EndpointSlice', 'discovery.k8s.io', {
      name: `kube-dns-ipv${family}`,
      namespace: 'kube-system',
      labels: { 'kubernetes.io/service-name': 'kube-dns' },
    }),
    addressType: `IPv${family}`,
    ports,
    endpoints: nodes.map(({ name, ips }) => ({
      addresses: ips.filter((ip) => familyOf(ip) === family),
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: name,
    })),
  }));
  return [service, ...slices];
}

function draft(kind: string, group: string, metadata: ObjectDraft['metadata']): ObjectDraft {
  return { apiVersion: apiVersionOf(kind, group), kind, metadata };
}
