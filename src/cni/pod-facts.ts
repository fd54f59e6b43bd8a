/** What the agent needs to know of a pod, read once from its Kubernetes object. */

import { type IpAddress, parseIp } from '../base/ip.ts';
import type { Pod } from '../objects/core-types.ts';

export interface PodFacts {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly serviceAccount: string;
  /** Empty while the pod is not scheduled. */
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
  readonly phase: string;
  /** It is being deleted: its sandbox may go any time, and another one is not made. */
  readonly isEnding: boolean;
  /** Of all containers that have been started, without the name of the runtime in front. */
  readonly containerIds: readonly string[];
  /** Kubernetes clears them when the pod has ended. */
  readonly ips: readonly IpAddress[];
  readonly dnsPolicy: string;
  readonly dnsSearches: readonly string[];
}

export function podFacts(pod: Pod): PodFacts {
  const { metadata, spec, status } = pod;
  return {
    uid: metadata.uid,
    namespace: metadata.namespace,
    name: metadata.name,
    serviceAccount: spec?.serviceAccountName ?? 'default',
    node: spec?.nodeName ?? '',
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    hostNetwork: spec?.hostNetwork ?? false,
    phase: status?.phase ?? 'Pending',
    isEnding: metadata.deletionTimestamp !== undefined,
    containerIds: containerIds(status),
    ips: podAddresses(status),
    dnsPolicy: spec?.dnsPolicy ?? 'ClusterFirst',
    dnsSearches: spec?.dnsConfig?.searches ?? [],
  };
}

/** `web/frontend-1`: how a pod is named in log lines. */
export function podLabel(pod: Pick<PodFacts, 'namespace' | 'name'>): string {
  return `${pod.namespace}/${pod.name}`;
}

function podAddresses(status: Pod['status']): IpAddress[] {
  const texts = status?.podIPs?.map((entry) => entry.ip) ?? [status?.podIP];
  return texts.map((text) => parseIp(text ?? '')).filter((ip) => ip !== undefined);
}

/** `containerd://ID`, `cri-o://ID`. */
function containerIds(status: Pod['status']): string[] {
  const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  return statuses.map(({ containerID = '' }) => containerID.split('://')[1] ?? '').filter((id) => id !== '');
}
