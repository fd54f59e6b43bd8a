/** Checks of what else is in the cluster: other meshes, CNI settings, policies that stand in the way. */

import type { ConfigMap, DaemonSet, Namespace, NetworkPolicy, Pod } from '../cluster/kube-types.ts';
import { DATAPLANE_MODE_LABEL, HBONE_PORT } from '../cluster/mesh-names.ts';
import { type Check, error, type Finding, warning } from './check.ts';
import { blocksHbone } from './network-policy.ts';

export interface SurroundingsFacts {
  readonly namespaces: readonly Namespace[];
  readonly pods: readonly Pod[];
  /** Of the whole cluster. */
  readonly daemonSets: readonly DaemonSet[];
  readonly ciliumConfig: ConfigMap | undefined;
  /** Names of all custom resource definitions. */
  readonly crds: readonly string[];
  readonly networkPolicies: readonly NetworkPolicy[];
  /** Whether the labels of a pod and its namespace put it into the mesh. */
  readonly isWanted: (pod: Pod) => boolean;
}

/** DaemonSets that redirect the traffic of pods themselves. */
const OTHER_MESHES: Readonly<Record<string, string>> = {
  'istio-cni-node': 'the CNI agent of Istio',
  ztunnel: 'the node proxy of Istio',
  'linkerd-cni': 'the CNI plugin of Linkerd',
  kmesh: 'Kmesh',
  'kuma-cni-node': 'the CNI plugin of Kuma',
  'consul-cni': 'the CNI plugin of Consul',
};

const otherMesh: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_OTHER_MESH',
  claim: 'no other mesh redirects the traffic of pods',
  remedy: 'uninstall the other mesh, or keep its namespaces and ours apart by labels and node selectors',
  find: ({ daemonSets }) =>
    daemonSets.flatMap(({ metadata }) => {
      const what = OTHER_MESHES[metadata.name];
      if (what === undefined) return [];
      return [error(`${what} is installed`, { object: `daemonset/${metadata.namespace}/${metadata.name}` })];
    }),
};

/** Settings of Cilium that a chained plugin and in-pod redirection do not get on with. */
const CILIUM_TRAPS: readonly {
  readonly isSet: (data: Readonly<Record<string, string>>) => boolean;
  readonly cause: string;
  readonly remedy: string;
}[] = [
  {
    isSet: (data) => data['cni-exclusive'] === 'true',
    cause: 'Cilium removes the CNI configuration of others (cni.exclusive=true)',
    remedy: 'set cni.exclusive=false in the Helm values of Cilium',
  },
  {
    isSet: (data) =>
      ['true', 'strict'].includes(data['kube-proxy-replacement'] ?? '') &&
      data['bpf-lb-sock-hostns-only'] !== 'true',
    cause:
      'Cilium replaces kube-proxy inside pods: the proxy would see the address of a pod instead of its Service',
    remedy: 'set socketLB.hostNamespaceOnly=true in the Helm values of Cilium',
  },
  {
    isSet: (data) =>
      data['enable-bpf-masquerade'] === 'true' && data['enable-host-legacy-routing'] !== 'true',
    cause:
      'Cilium routes past the host stack (bpf.masquerade, BPF host routing): probes of meshed pods would fail',
    remedy: 'set bpf.hostLegacyRouting=true or bpf.masquerade=false in the Helm values of Cilium',
  },
];

const cilium: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_CILIUM',
  claim: 'the settings of Cilium, where it is used, leave room for the mesh',
  remedy: 'change the setting in the Helm values of Cilium and restart it',
  find: ({ ciliumConfig }) =>
    CILIUM_TRAPS.filter(({ isSet }) => isSet(ciliumConfig?.data ?? {})).map(({ cause, remedy }) =>
      error(cause, { object: 'configmap/kube-system/cilium-config', remedy }),
    ),
};

const sidecars: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_SIDECAR_INJECTION',
  claim: 'no namespace asks for sidecars and for the ambient mesh',
  remedy: 'remove one of the labels: a pod with a sidecar stays out of the ambient mesh',
  find: ({ namespaces }) =>
    namespaces.filter(isAmbient).flatMap(({ metadata }) => {
      const labels = metadata.labels ?? {};
      const injects = labels['istio-injection'] === 'enabled' || labels['istio.io/rev'] !== undefined;
      if (!injects) return [];
      return [warning('has labels for both', { object: `namespace/${metadata.name}` })];
    }),
};

const hostNetwork: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_HOST_NETWORK',
  claim: 'no pod on the network of its host is labelled for the mesh',
  remedy: 'remove the label: such a pod has no network namespace of its own, so it stays out',
  find: ({ pods }) =>
    pods
      .filter((pod) => pod.spec?.hostNetwork && pod.metadata.labels?.[DATAPLANE_MODE_LABEL] === 'ambient')
      .map((pod) => warning('is labelled, and on the host network', { object: podName(pod) })),
};

const networkPolicies: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_NETWORK_POLICY',
  claim: `NetworkPolicies that select meshed pods allow TCP ${HBONE_PORT}`,
  remedy: `allow TCP ${HBONE_PORT} beside the ports of the application: peers of the mesh come through it`,
  find: ({ pods, networkPolicies: policies, isWanted }) =>
    pods.filter(isWanted).flatMap((pod): Finding[] =>
      blocksHbone(pod, policies).map(({ direction, names }) => ({
        // What a pod may call can all lie outside of the mesh.
        severity: direction === 'ingress' ? 'error' : 'warning',
        object: podName(pod),
        cause: `${direction} on ${HBONE_PORT} is not allowed by ${names.join(', ')}`,
      })),
    ),
};

const gatewayApi: Check<SurroundingsFacts> = {
  code: 'AMBIT_CHECK_GATEWAY_API',
  claim: 'the Gateway API is installed',
  remedy: 'install the standard channel of the Gateway API; without it there are no waypoints',
  find: ({ crds }) =>
    crds.includes('gateways.gateway.networking.k8s.io')
      ? []
      : [warning('gateways.gateway.networking.k8s.io is not there')],
};

export const SURROUNDINGS_CHECKS: readonly Check<SurroundingsFacts>[] = [
  otherMesh,
  cilium,
  sidecars,
  hostNetwork,
  networkPolicies,
  gatewayApi,
];

export function podName({ metadata }: Pod): string {
  return `pod/${metadata.namespace}/${metadata.name}`;
}

function isAmbient({ metadata }: Namespace): boolean {
  return metadata.labels?.[DATAPLANE_MODE_LABEL] === 'ambient';
}
