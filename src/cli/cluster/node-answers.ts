/** Asks the agent and the proxy of every node what they know. */

import { messageOf } from '../../base/errors.ts';
import { type ConfigDump, parseConfigDump } from '../config-dump.ts';
import { type AgentReport, parseAgentReport } from './agent-report.ts';
import type { Cluster } from './cluster.ts';
import type { Pod } from './kube-types.ts';
import { COMPONENT_LABEL, type Component, PORTS } from './mesh-names.ts';
import { isReady } from './pod-trouble.ts';

/** The answer of a part that was asked, or why there is none. */
export type Answer<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'silent'; readonly reason: string };

/** Connections to parts at once: each is a stream through the API server and a kubelet. */
const CONCURRENT_QUESTIONS = 16;

/** An agent that does not understand, because it is older, tells what it knows all the same. */
async function verify(cluster: Cluster, pod: Pod): Promise<void> {
  const request = { pod: pod.metadata, port: PORTS.agentHealth, method: 'POST', path: '/verify' } as const;
  await cluster.ask(request).catch(() => undefined);
}

export function podsOfComponent(pods: readonly Pod[], component: Component): Pod[] {
  return pods.filter((pod) => pod.metadata.labels?.[COMPONENT_LABEL] === component);
}

/**
 * For each node the pod of the component that serves it: while one takes over from another there are two, and the newest
 * that is ready counts.
 */
export function podByNode(pods: readonly Pod[], component: Component): Map<string, Pod> {
  const sorted = podsOfComponent(pods, component)
    .filter((pod) => pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed')
    .sort((a, b) => Number(isReady(a)) - Number(isReady(b)) || ageOf(a).localeCompare(ageOf(b)));
  return new Map(sorted.map((pod) => [pod.spec?.nodeName ?? '', pod]));
}

/** @param mode `verified`: each agent looks at all of its pods before it answers */
export function askAgents(
  cluster: Cluster,
  pods: readonly Pod[],
  mode: 'as-known' | 'verified',
): Promise<Map<string, Answer<AgentReport>>> {
  return askEach(podByNode(pods, 'cni'), async (pod) => {
    if (mode === 'verified') await verify(cluster, pod);
    const request = {
      pod: pod.metadata,
      port: PORTS.agentHealth,
      method: 'GET',
      path: '/enrolment',
    } as const;
    return parseAgentReport(await cluster.ask(request), pod.metadata.name);
  });
}

export function askProxies(cluster: Cluster, pods: readonly Pod[]): Promise<Map<string, Answer<ConfigDump>>> {
  return askEach(podByNode(pods, 'ztunnel'), async (pod) => {
    const request = {
      pod: pod.metadata,
      port: PORTS.proxyAdmin,
      method: 'GET',
      path: '/config_dump',
    } as const;
    return parseConfigDump(await cluster.ask(request), pod.metadata.name);
  });
}

/** By the name of the pod: all of them are asked, because each serves proxies. */
export function askControlPlanes(
  cluster: Cluster,
  pods: readonly Pod[],
): Promise<Map<string, Answer<string>>> {
  const all = podsOfComponent(pods, 'controlplane');
  return askEach(new Map(all.map((pod) => [pod.metadata.name, pod])), (pod) =>
    cluster.ask({ pod: pod.metadata, port: PORTS.controlPlaneHttp, method: 'GET', path: '/readyz' }),
  );
}

async function askEach<T>(
  targets: ReadonlyMap<string, Pod>,
  ask: (pod: Pod) => Promise<T>,
): Promise<Map<string, Answer<T>>> {
  const answers = new Map<string, Answer<T>>();
  const waiting = [...targets].filter(([, pod]) => pod.status?.phase === 'Running');
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      answers.set(next[0], await answerOf(next[1], ask));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_QUESTIONS }, worker));
  return answers;
}

async function answerOf<T>(pod: Pod, ask: (pod: Pod) => Promise<T>): Promise<Answer<T>> {
  try {
    return { kind: 'answered', value: await ask(pod) };
  } catch (thrown) {
    return { kind: 'silent', reason: messageOf(thrown) };
  }
}

function ageOf({ metadata }: Pod): string {
  return metadata.creationTimestamp ?? '';
}
