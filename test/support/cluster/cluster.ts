/** The cluster that a file of tests runs on: objects, conditions, callers in pods, and what kubectl does. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Manifest } from '../mesh-manifests.ts';
import { PodCaller } from '../pod-caller.ts';
import { ApiServer } from './api-server.ts';
import { ClusterNodes } from './cluster-nodes.ts';
import { isReady, type ListOf, type Node, type Pod, type Service } from './cluster-objects.ts';
import {
  type CommandOptions,
  type CommandResult,
  endCommand,
  runCommand,
  startCommand,
  tryCommand,
} from './command.ts';

/** Between two questions to the API server. */
const POLL_MS = 100;
/** No wait is meant to take this long; the machine may have other things to do. */
const WAIT_MS = 90_000;

export type IpFamily = 4 | 6;

/** A port of a pod or service on this machine's loopback, for as long as the test wants. */
export interface ForwardedPort {
  readonly port: number;
  close(): Promise<void>;
}

export class Cluster {
  readonly name: string;
  readonly api: ApiServer;
  readonly nodes: ClusterNodes;
  readonly #callers = new Map<string, PodCaller>();

  /** The one that `enter.sh` has put this process into. */
  static current(): Cluster {
    const { CLUSTER, KUBECONFIG } = process.env;
    assert.ok(
      CLUSTER && KUBECONFIG,
      'cluster tests run by make test-cluster, or by test/cluster/testbed/enter.sh',
    );
    return new Cluster(CLUSTER, KUBECONFIG);
  }

  private constructor(name: string, kubeconfig: string) {
    this.name = name;
    this.api = new ApiServer(kubeconfig);
    this.nodes = new ClusterNodes(name);
  }

  /** Ends what runs on behalf of the test; objects stay. */
  dispose(): void {
    for (const caller of this.#callers.values()) caller.stop();
    this.#callers.clear();
    this.api.close();
  }

  kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return runCommand(['kubectl', ...args], options);
  }

  tryKubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return tryCommand(['kubectl', ...args], options);
  }

  async apply(...manifests: readonly Manifest[]): Promise<void> {
    await this.kubectl(['apply', '--server-side', '--force-conflicts', '--filename=-'], {
      input: listOf(manifests),
    });
  }

  /** Objects that are gone when this resolves; what is not there is no error. */
  async delete(...manifests: readonly Manifest[]): Promise<void> {
    await this.kubectl(['delete', '--ignore-not-found', '--filename=-'], { input: listOf(manifests) });
  }

  /** Begins to remove a namespace with everything in it. */
  async deleteNamespace(name: string): Promise<void> {
    await this.kubectl(['delete', 'namespace', name, '--ignore-not-found', '--wait=false']);
  }

  async label(namespace: string, changes: Readonly<Record<string, string | null>>): Promise<void> {
    await this.api.patch(`/api/v1/namespaces/${namespace}`, { metadata: { labels: changes } });
  }

  pod(namespace: string, name: string): Promise<Pod> {
    return this.api.get<Pod>(`/api/v1/namespaces/${namespace}/pods/${name}`);
  }

  async pods(namespace: string, selector = ''): Promise<readonly Pod[]> {
    const query = selector === '' ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
    return (await this.api.get<ListOf<Pod>>(`/api/v1/namespaces/${namespace}/pods${query}`)).items;
  }

  async listNodes(): Promise<readonly Node[]> {
    return (await this.api.get<ListOf<Node>>('/api/v1/nodes')).items;
  }

  async clusterIp(namespace: string, name: string, family: IpFamily = 4): Promise<string> {
    const { spec } = await this.api.get<Service>(`/api/v1/namespaces/${namespace}/services/${name}`);
    return ofFamily(spec.clusterIPs, family);
  }

  async podIp(namespace: string, name: string, family: IpFamily = 4): Promise<string> {
    return ofFamily(await this.podIps(namespace, name), family);
  }

  /** One on a cluster of one IP family, two on a cluster of both. */
  async podIps(namespace: string, name: string): Promise<readonly string[]> {
    const { podIPs } = (await this.pod(namespace, name)).status;
    assert.ok(podIPs, `pod ${namespace}/${name} has no address`);
    return podIPs.map(({ ip }) => ip);
  }

  /** Waits for an answer that is neither undefined nor false; a question that fails is asked again. */
  async until<T>(what: string, ask: () => Promise<T | undefined | false>, deadlineMs = WAIT_MS): Promise<T> {
    const end = performance.now() + deadlineMs;
    let failure: unknown;
    while (performance.now() < end) {
      try {
        const answer = await ask();
        if (answer !== undefined && answer !== false) return answer;
        failure = undefined;
      } catch (thrown) {
        failure = thrown;
      }
      await delay(POLL_MS);
    }
    throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: failure });
  }

  podReady(namespace: string, name: string): Promise<Pod> {
    return this.until(`pod ${namespace}/${name} is ready`, async () => {
      const pod = await this.pod(namespace, name);
      return isReady(pod) && pod;
    });
  }

  /** Every pod of the namespace that a selector names, when there are as many as expected and all are ready. */
  podsReady(namespace: string, count: number, selector = ''): Promise<readonly Pod[]> {
    return this.until(`${count} pods of ${namespace} ${selector} are ready`, async () => {
      const pods = await this.pods(namespace, selector);
      return pods.length === count && pods.every(isReady) && pods;
    });
  }

  /** Waits until a Deployment, StatefulSet or DaemonSet is as it should be. @param resource such as `deployment/web` */
  async rolledOut(namespace: string, resource: string): Promise<void> {
    const timeout = `--timeout=${WAIT_MS / 1000}s`;
    await this.kubectl(['--namespace', namespace, 'rollout', 'status', resource, timeout]);
  }

  exec(namespace: string, pod: string, ...command: readonly string[]): Promise<string> {
    return this.kubectl(['--namespace', namespace, 'exec', pod, '--', ...command]);
  }

  logs(namespace: string, pod: string): Promise<string> {
    return this.kubectl(['--namespace', namespace, 'logs', pod]);
  }

  /** @param resource such as `pod/web` or `service/web` */
  async forwardPort(namespace: string, resource: string, port: number): Promise<ForwardedPort> {
    const args = ['--namespace', namespace, 'port-forward', resource, `:${port}`];
    const child = startCommand(['kubectl', ...args]);
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text: string) => {
        said += text;
      });
    }
    const local = await this.until(`kubectl port-forward ${resource}: ${said}`, async () => {
      return /127\.0\.0\.1:(\d+) ->/.exec(said)?.[1];
    });
    return { port: Number(local), close: () => endCommand(child, 'SIGTERM') };
  }

  /** Somebody in a pod with the checkout who makes calls; always the same for the same pod. */
  async callerIn(namespace: string, name: string): Promise<PodCaller> {
    const enter = await this.enterPod(namespace, name);
    return this.#caller(`${namespace}/${name}/${enter.join(' ')}`, enter);
  }

  /** The same in the network of a node. */
  callerOn(node: string): PodCaller {
    return this.#caller(node, this.nodes.enter(node));
  }

  /** To be put before a command of this checkout that is to run in a pod. */
  async enterPod(namespace: string, name: string): Promise<readonly string[]> {
    const pod = await this.podReady(namespace, name);
    const pid = this.nodes.pidOf(pod.spec.nodeName, pod.status.containerStatuses![0]!.containerID!);
    return ['nsenter', '--target', String(pid), '--all', '--'];
  }

  /** Ends the first process of a container without warning, as the kernel does when memory runs out. */
  async killContainer(pod: Pod, container?: string): Promise<void> {
    const statuses = pod.status.containerStatuses ?? [];
    const status = statuses.find((one) => container === undefined || one.name === container);
    assert.ok(status?.containerID, `pod ${pod.metadata.name} has no container ${container ?? ''}`);
    process.kill(this.nodes.pidOf(pod.spec.nodeName, status.containerID), 'SIGKILL');
  }

  #caller(key: string, enter: readonly string[]): PodCaller {
    let found = this.#callers.get(key);
    if (found === undefined) {
      // Certificates of this machine are not where the caller will look for them.
      found = new PodCaller(enter, { ...process.env, NODE_EXTRA_CA_CERTS: undefined });
      this.#callers.set(key, found);
    }
    return found;
  }
}

function listOf(manifests: readonly Manifest[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: manifests });
}

function ofFamily(ips: readonly string[], family: IpFamily): string {
  const found = ips.find((ip) => ip.includes(':') === (family === 6));
  assert.ok(found, `no IPv${family} address in ${ips}`);
  return found;
}
