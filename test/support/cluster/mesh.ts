/** The mesh that is installed in the cluster: its pods, what its proxies know, count and log, and whom it has enrolled. */

import assert from 'node:assert/strict';
import { type LogLine, type MetricSample, parseLogLine, parseMetrics } from '../proxy-telemetry.ts';
import type { ConfigDump } from '../sandbox-session.ts';
import type { Cluster } from './cluster.ts';
import { isReady, type Pod } from './cluster-objects.ts';
import { runCommand } from './command.ts';

export const MESH_NAMESPACE = 'ambit-system';
/** Whose policies hold for the whole mesh. */
export const ROOT_NAMESPACE = 'istio-system';
const REDIRECTION = 'ambient.istio.io/redirection';
const METRICS_PORT = 15020;

export type Component = 'controlplane' | 'cni' | 'ztunnel';

export class Mesh {
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** @param component `cni` and `ztunnel` have a pod on each node */
  pods(component: Component): Promise<readonly Pod[]> {
    return this.#cluster.pods(MESH_NAMESPACE, `app.kubernetes.io/component=${component}`);
  }

  /** The pod of a component on a node that is ready. */
  podOn(component: Component, node: string): Promise<Pod> {
    return this.#cluster.until(`a ready ${component} on ${node}`, async () => {
      const pods = await this.pods(component);
      return pods.find((pod) => pod.spec.nodeName === node && isReady(pod));
    });
  }

  /** Waits until every pod of every component is ready, and none is on its way out. */
  async ready(): Promise<void> {
    await this.#cluster.until('every part of the mesh is ready', async () => {
      const parts = await Promise.all([this.pods('controlplane'), this.pods('cni'), this.pods('ztunnel')]);
      return parts.every((pods) => pods.length > 0 && pods.every(isReady)) && parts[2].length === 3;
    });
  }

  /** Waits until every pod of the namespace is in the mesh, or out of it, in the eyes of agents and proxies. */
  async enrolled(namespace: string, expected = true): Promise<void> {
    const pods = await this.#cluster.until(
      `pods of ${namespace} ${expected ? 'in' : 'out of'} the mesh`,
      async () => {
        const all = (await this.#cluster.pods(namespace)).filter((pod) => pod.spec.hostNetwork !== true);
        const enabled = all.filter((pod) => pod.metadata.annotations?.[REDIRECTION] === 'enabled');
        return enabled.length === (expected ? all.length : 0) && all;
      },
    );
    const names = new Set(pods.map((pod) => pod.metadata.name));
    const protocol = expected ? 'HBONE' : 'TCP';
    await this.everyProxy(`${namespace} takes ${protocol}`, ({ workloads }) => {
      const known = workloads.filter((one) => one.namespace === namespace && names.has(one.name));
      return known.length === names.size && known.every((one) => one.protocol === protocol);
    });
  }

  /** Waits until what every proxy knows satisfies the check. */
  async everyProxy(what: string, check: (dump: ConfigDump) => boolean): Promise<void> {
    await this.#cluster.until(`every proxy knows that ${what}`, async () => {
      const proxies = (await this.pods('ztunnel')).filter(isReady);
      const dumps = await Promise.all(proxies.map((pod) => this.#dumpOf(pod)));
      return dumps.length === 3 && dumps.every(check);
    });
  }

  async dump(node: string): Promise<ConfigDump> {
    return this.#dumpOf(await this.podOn('ztunnel', node));
  }

  async metrics(node: string): Promise<readonly MetricSample[]> {
    const { podIP } = (await this.podOn('ztunnel', node)).status;
    const response = await fetch(`http://${podIP}:${METRICS_PORT}/metrics`);
    assert.equal(response.status, 200);
    return parseMetrics(await response.text());
  }

  /** What the proxy of a node has logged since it was started. */
  async log(node: string): Promise<readonly LogLine[]> {
    const pod = await this.podOn('ztunnel', node);
    const text = await this.#cluster.logs(MESH_NAMESPACE, pod.metadata.name);
    return text.split('\n').flatMap((line) => parseLogLine(line) ?? []);
  }

  /** Waits for a line of the access log of a node that has all these fields. */
  accessLine(node: string, fields: Readonly<Record<string, string>>): Promise<LogLine> {
    return this.#cluster.until(`${JSON.stringify(fields)} in the access log of ${node}`, async () =>
      (await this.log(node)).findLast(
        (line) =>
          line.scope === 'access' &&
          Object.entries(fields).every(([key, value]) => line.fields[key] === value),
      ),
    );
  }

  /** The admin page is bound to the loopback of the proxy's pod. */
  async #dumpOf(pod: Pod): Promise<ConfigDump> {
    const pid = this.#cluster.nodes.pidOf(pod.spec.nodeName, pod.status.containerStatuses![0]!.containerID!);
    const ask = ['curl', '--silent', '--fail', '--max-time', '10', 'http://127.0.0.1:15000/config_dump'];
    return JSON.parse(await runCommand(['nsenter', `--net=/proc/${pid}/ns/net`, ...ask])) as ConfigDump;
  }
}
