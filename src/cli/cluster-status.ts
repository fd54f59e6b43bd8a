/** `ambit status` of a cluster: one line for each node with its agent and its proxy. */

import type { AgentReport } from './cluster/agent-report.ts';
import type { Cluster } from './cluster/cluster.ts';
import { listAll } from './cluster/cluster-api.ts';
import type { Node, Pod } from './cluster/kube-types.ts';
import { type Component, PART_OF_SELECTOR } from './cluster/mesh-names.ts';
import { type Answer, askAgents, askProxies, podByNode } from './cluster/node-answers.ts';
import { versionOfPod } from './cluster/part-version.ts';
import { isReady } from './cluster/pod-trouble.ts';
import type { ConfigDump } from './config-dump.ts';
import { errors } from './errors.ts';
import type { Column } from './printer.ts';
import { type ConfigOptions, print } from './ztunnel-config.ts';

export interface ClusterNodeStatus {
  readonly node: string;
  readonly agent: string;
  readonly proxy: string;
  readonly version: string;
  /** Connected to the control plane, and with all that it sent: `synced`. */
  readonly xds: string;
  /** Enrolled, of those that should be: `3/3`. */
  readonly pods: string;
  readonly certificates: string;
  readonly workloads: string;
  readonly services: string;
  readonly policies: string;
  readonly connections: string;
}

const COLUMNS: readonly Column<ClusterNodeStatus>[] = [
  { header: 'NODE', value: (row) => row.node },
  { header: 'AGENT', value: (row) => row.agent },
  { header: 'PROXY', value: (row) => row.proxy },
  { header: 'VERSION', value: (row) => row.version },
  { header: 'XDS', value: (row) => row.xds },
  { header: 'PODS', value: (row) => row.pods },
  { header: 'CERTIFICATES', value: (row) => row.certificates },
  { header: 'WORKLOADS', value: (row) => row.workloads },
  { header: 'SERVICES', value: (row) => row.services },
  { header: 'POLICIES', value: (row) => row.policies },
  { header: 'CONNECTIONS', value: (row) => row.connections },
];

export interface NodeFacts {
  readonly node: string;
  readonly agentPod: Pod | undefined;
  readonly proxyPod: Pod | undefined;
  readonly agent: Answer<AgentReport> | undefined;
  readonly proxy: Answer<ConfigDump> | undefined;
}

/** Exits with 1 when a part of a node is not as it should be. @throws AmbitError AMBIT_CLI_NOT_INSTALLED */
export async function showClusterStatus(cluster: Cluster, options: ConfigOptions): Promise<void> {
  const facts = await collect(cluster);
  await print(facts.map(nodeStatus), COLUMNS, options);
  if (!facts.every(isHealthy)) process.exitCode = 1;
}

async function collect(cluster: Cluster): Promise<NodeFacts[]> {
  const { api, meshNamespace } = cluster;
  const [nodes, pods] = await Promise.all([
    listAll<Node>(api, '/api/v1/nodes'),
    listAll<Pod>(api, `/api/v1/namespaces/${meshNamespace}/pods`, { labelSelector: PART_OF_SELECTOR }),
  ]);
  if (pods.length === 0) throw errors.AMBIT_CLI_NOT_INSTALLED(`no part of the mesh runs in ${meshNamespace}`);
  const [agents, proxies] = await Promise.all([
    askAgents(cluster, pods, 'as-known'),
    askProxies(cluster, pods),
  ]);
  const of = (component: Component) => podByNode(pods, component);
  const [agentPods, proxyPods] = [of('cni'), of('ztunnel')];
  return nodes
    .map(({ metadata }) => metadata.name)
    .sort()
    .map((node) => ({
      node,
      agentPod: agentPods.get(node),
      proxyPod: proxyPods.get(node),
      agent: agents.get(node),
      proxy: proxies.get(node),
    }));
}

export function nodeStatus({ node, agentPod, proxyPod, agent, proxy }: NodeFacts): ClusterNodeStatus {
  const report = agent?.kind === 'answered' ? agent.value : undefined;
  const dump = proxy?.kind === 'answered' ? proxy.value : undefined;
  return {
    node,
    agent: podState(agentPod, agent),
    proxy: podState(proxyPod, proxy),
    version: [...new Set([agentPod, proxyPod].map((pod) => pod && versionOfPod(pod)))]
      .filter(Boolean)
      .join(','),
    xds: xdsState(dump),
    pods: report === undefined ? '' : share(wanted(report).filter(isEnrolled), wanted(report)),
    certificates: dump === undefined ? '' : share(dump.certificates.filter(isAvailable), dump.certificates),
    workloads: countOf(dump?.workloads),
    services: countOf(dump?.services),
    policies: countOf(dump?.policies),
    connections: countOf(dump && connectionsOf(dump)),
  };
}

/** Nothing of the node is missing, unready, silent or behind. */
export function isHealthy(facts: NodeFacts): boolean {
  const { agent, proxy, xds, pods, certificates } = nodeStatus(facts);
  return (
    agent === 'ready' && proxy === 'ready' && xds === 'synced' && isComplete(pods) && isComplete(certificates)
  );
}

function podState(pod: Pod | undefined, answer: Answer<unknown> | undefined): string {
  if (pod === undefined) return 'missing';
  if (!isReady(pod)) return 'not ready';
  return answer?.kind === 'answered' ? 'ready' : 'silent';
}

function xdsState(dump: ConfigDump | undefined): string {
  if (dump?.xds === undefined) return '';
  if (!dump.xds.connected) return 'disconnected';
  return dump.xds.ready ? 'synced' : 'behind';
}

function wanted({ pods }: AgentReport): AgentReport['pods'] {
  return pods.filter((pod) => pod.wanted);
}

function isEnrolled({ state }: { readonly state: string }): boolean {
  return state === 'enrolled';
}

function isAvailable({ state }: { readonly state?: string }): boolean {
  return state === 'Available';
}

function connectionsOf({ workloadState }: ConfigDump): readonly unknown[] {
  return Object.values(workloadState).flatMap(({ connections }) => [
    ...(connections?.inbound ?? []),
    ...(connections?.outbound ?? []),
  ]);
}

function share(part: readonly unknown[], whole: readonly unknown[]): string {
  return `${part.length}/${whole.length}`;
}

function isComplete(text: string): boolean {
  const [part, whole] = text.split('/');
  return part === whole;
}

function countOf(list: readonly unknown[] | undefined): string {
  return list === undefined ? '' : String(list.length);
}
