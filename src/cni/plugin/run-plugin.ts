/** The plugin's commands: a pod of the mesh gets no network before it is enrolled; all others pass. */

import { join } from 'node:path';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { type AgentAnswer, callAgent } from './agent-call.ts';
import { askCluster, type ClusterAnswer, type PodName } from './cluster-question.ts';
import { CNI_CODES, CniError } from './cni-error.ts';
import { type Invocation, isJsonObject, type JsonObject, SUPPORTED_VERSIONS } from './invocation.ts';
import { KUBECONFIG_NAME, PLUGIN_SOCKET_NAME, type PluginConfig, readPluginConfig } from './plugin-config.ts';

/** The agent answers before 4.5 s; see plugin-server.ts. */
const ADD_TIMEOUT_MS = 5_000;
/**
 * An agent that is replaced, or starts with its node, is back after a few seconds; kubelet would try again only after
 * some more.
 */
const PATIENCE_MS = 10_000;
const RETRY_MS = 250;
/** Only so that the agent does not hold on to a namespace: nothing depends on it. */
const DEL_TIMEOUT_MS = 1_000;
/** The agent is there, but has not heard of the pod; the API server may have. */
const POD_UNKNOWN = 'AMBIT_CNI_POD_UNKNOWN';

/** @returns what goes to standard output; undefined for nothing. @throws CniError */
export async function runPlugin(invocation: Invocation): Promise<JsonObject | undefined> {
  switch (invocation.command) {
    case 'ADD':
      return add(invocation);
    case 'DEL':
      await del(invocation);
      return undefined;
    case 'VERSION':
      return { cniVersion: invocation.cniVersion, supportedVersions: SUPPORTED_VERSIONS };
    case 'CHECK':
      previousResult(invocation);
      return undefined;
    // The agent finds out by itself what has ended; and a node stays ready while the agent is replaced.
    case 'GC':
    case 'STATUS':
      readPluginConfig(invocation.config);
      return undefined;
  }
}

async function add(invocation: Invocation): Promise<JsonObject> {
  const config = readPluginConfig(invocation.config);
  const result = previousResult(invocation);
  const pod = podOf(invocation);
  if (pod === undefined || config.settings.excludedNamespaces.includes(pod.namespace)) return result;
  const body = {
    Netns: invocation.netns,
    PodName: pod.name,
    PodNamespace: pod.namespace,
    PodUID: pod.uid,
    IPs: addressesOf(result),
  };
  await enter(config, pod, body);
  return result;
}

/** Resolves when the pod may start. @throws CniError */
async function enter(config: PluginConfig, pod: PodName, body: object): Promise<void> {
  const socketPath = join(config.runDir, PLUGIN_SOCKET_NAME);
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await callAgent({ socketPath, path: '/cmdadd', body, timeoutMs: ADD_TIMEOUT_MS });
    if (answer.kind === 'done') return;
    if (answer.kind === 'refused' && answer.code !== POD_UNKNOWN) throw refusal(pod, answer);
    // Without the agent only those may pass that do not belong into the mesh for certain.
    const cluster = await askCluster(join(config.runDir, KUBECONFIG_NAME), pod, config.settings);
    if (cluster.kind === 'not-enrolled') return;
    if (performance.now() > end) throw absence(pod, answer, cluster);
    await setTimeoutAsync(RETRY_MS);
  }
}

function refusal(pod: PodName, answer: AgentAnswer & { readonly kind: 'refused' }): CniError {
  const message = `pod ${pod.namespace}/${pod.name} cannot be enrolled in the mesh yet: ${answer.message}`;
  return new CniError(CNI_CODES.tryAgainLater, message, answer.code);
}

function absence(
  pod: PodName,
  answer: Exclude<AgentAnswer, { kind: 'done' }>,
  cluster: Exclude<ClusterAnswer, { kind: 'not-enrolled' }>,
): CniError {
  const why = answer.kind === 'unreachable' ? `is not reachable (${answer.reason})` : 'does not know it yet';
  const belongs =
    cluster.kind === 'enrolled'
      ? 'belongs into the mesh'
      : `may belong into the mesh (the API server could not tell: ${cluster.reason})`;
  return new CniError(
    CNI_CODES.tryAgainLater,
    `pod ${pod.namespace}/${pod.name} ${belongs} and does not start before the node agent of Ambit, which ${why}`,
    'look at the pod of DaemonSet ambit-cni on this node',
  );
}

/** Idempotent, and successful whatever the agent says: kubelet could not take the pod away otherwise. */
async function del(invocation: Invocation): Promise<void> {
  const { runDir } = invocation.config;
  if (typeof runDir !== 'string' || invocation.netns === '') return;
  await callAgent({
    socketPath: join(runDir, PLUGIN_SOCKET_NAME),
    path: '/cmddel',
    body: { Netns: invocation.netns },
    timeoutMs: DEL_TIMEOUT_MS,
  });
}

function previousResult({ config }: Invocation): JsonObject {
  if (isJsonObject(config.prevResult)) return config.prevResult;
  throw new CniError(
    CNI_CODES.invalidConfiguration,
    'there is no prevResult: this plugin must stand behind another one in the list',
  );
}

/** Undefined for a container that is no pod. */
function podOf({ args }: Invocation): PodName | undefined {
  const [namespace, name] = [args.get('K8S_POD_NAMESPACE'), args.get('K8S_POD_NAME')];
  return namespace && name ? { namespace, name, uid: args.get('K8S_POD_UID') || undefined } : undefined;
}

/** In the form of the agent's protocol: `{ Address: "ip/length" }`. */
function addressesOf(result: JsonObject): object[] {
  const { ips } = result;
  if (!Array.isArray(ips)) return [];
  return ips.filter(isJsonObject).map(({ address, gateway }) => ({ Address: address, Gateway: gateway }));
}
