/** Gathers what `env` tells, with process numbers as they are inside the sandbox. */

import type { StoredPod } from '../api/kube-object.ts';
import type { Environment, NodeFacts, PodFacts, ProcessFacts } from '../client/environment.ts';
import {
  CLUSTER_DOMAIN,
  dnsAddress,
  LAN_CIDRS,
  POD_CIDRS,
  podCidr,
  SERVICE_CIDRS,
} from '../network/address-plan.ts';
import type { HandlerContext } from './handler-context.ts';
import type { StatePaths } from './sandbox-config.ts';

export function environmentOf(context: HandlerContext, paths: StatePaths): Environment {
  const { cluster, config, mesh } = context;
  const { families } = cluster;
  const controlPlane = mesh?.controlPlaneFacts();
  return {
    name: config.name,
    state: paths.state,
    socket: paths.socket,
    objects: paths.objects,
    logs: paths.logs,
    daemon: processFacts(process.pid),
    network: {
      clusterDomain: CLUSTER_DOMAIN,
      dns: families.map(dnsAddress),
      lanCidrs: families.map((family) => LAN_CIDRS[family]),
      podCidrs: families.map((family) => POD_CIDRS[family]),
      serviceCidrs: families.map((family) => SERVICE_CIDRS[family]),
    },
    ...(controlPlane === undefined ? {} : { controlPlane }),
    nodes: cluster.nodes.map((node) => nodeFacts(context, node.network, paths)),
    pods: cluster.store.list('Pod').map((pod) => podFacts(context, pod)),
  };
}

function nodeFacts(
  { cluster, mesh }: HandlerContext,
  node: HandlerContext['cluster']['nodes'][number]['network'],
  paths: StatePaths,
): NodeFacts {
  const cni = mesh?.cniFacts(node.name);
  const ztunnel = mesh?.ztunnelFacts(node.name);
  return {
    ...processFacts(node.holder.pid),
    name: node.name,
    ips: node.ips,
    podCidrs: cluster.families.map((family) => podCidr(node.index, family)),
    netnsFolder: paths.netns(node.name),
    ...(cni === undefined ? {} : { cni }),
    ...(ztunnel === undefined ? {} : { ztunnel }),
  };
}

function podFacts({ cluster }: HandlerContext, pod: StoredPod): PodFacts {
  const runner = cluster.kubelet.runnerOf(pod);
  const pid = runner?.sandbox?.holder.pid;
  return {
    ...(pid === undefined ? {} : processFacts(pid)),
    name: pod.metadata.name,
    namespace: pod.metadata.namespace,
    uid: pod.metadata.uid,
    node: pod.spec?.nodeName ?? '',
    ips: (runner?.sandbox?.ips ?? []) as readonly string[],
    containers: (runner?.containers ?? []).map((one) => ({
      name: one.name,
      log: one.logFile,
      ...(one.pid === undefined ? {} : { pid: one.pid }),
    })),
  };
}

/** The commands fill in the rest: the number, the namespace and the way in are those of the machine. */
export function processFacts(pid: number): ProcessFacts {
  return { pid, netns: '', enter: [] };
}
