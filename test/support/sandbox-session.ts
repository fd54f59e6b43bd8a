/** One sandbox with the whole mesh for a file of tests: objects, callers in pods, and what the proxies tell. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { KubeObject } from '../../src/sandbox/api/kube-object.ts';
import type { Environment } from '../../src/sandbox/client/environment.ts';
import { HostView } from '../../src/sandbox/client/host-view.ts';
import { SandboxClient } from '../../src/sandbox/client/sandbox-client.ts';
import { StatePaths } from '../../src/sandbox/daemon/sandbox-config.ts';
import type { Manifest } from './mesh-manifests.ts';
import { PodCaller } from './pod-caller.ts';
import { type LogLine, type MetricSample, parseLogLine, parseMetrics } from './proxy-telemetry.ts';
import { SandboxCommands, USERS, until } from './sandbox-commands.ts';

const REDIRECTION = 'ambient.istio.io/redirection';
const METRICS_URL = 'http://127.0.0.1:15020/metrics';

export interface PodView extends KubeObject {
  readonly spec: { readonly nodeName: string };
  readonly status: {
    readonly phase: string;
    readonly podIP: string;
    readonly podIPs: readonly { readonly ip: string }[];
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly lastTransitionTime?: string;
    }[];
    readonly containerStatuses?: readonly { readonly ready: boolean; readonly restartCount: number }[];
  };
}

/** What a proxy knows, in the parts that tests look at. */
export interface ConfigDump {
  readonly workloads: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly protocol: string;
    readonly authorizationPolicies: readonly string[];
  }[];
  readonly services: readonly {
    readonly name: string;
    readonly namespace: string;
    readonly waypoint?: object;
  }[];
  readonly policies: readonly { readonly name: string; readonly namespace: string }[];
  readonly certificates: readonly {
    readonly identity: string;
    readonly state: string;
    readonly certChain: readonly { readonly pem: string }[];
    readonly rootCerts: readonly { readonly pem: string }[];
  }[];
  readonly workloadState: Readonly<
    Record<
      string,
      {
        readonly info: { readonly name: string };
        readonly connections: Readonly<Record<'inbound' | 'outbound', readonly { protocol: string }[]>>;
      }
    >
  >;
}

export interface SessionOptions {
  /** Of the sandbox; one for each file. */
  readonly name: string;
  readonly manifests: readonly Manifest[];
  /** Further words for `ambit sandbox up`. */
  readonly up?: readonly string[];
}

export class SandboxSession {
  readonly commands: SandboxCommands;
  readonly client: SandboxClient;
  readonly #state: string;
  readonly #view: HostView;
  readonly #environment: Environment;
  readonly #callers = new Map<string, Promise<PodCaller>>();

  /** Two nodes, and every pod ready. Whatever goes wrong, nothing is left. */
  static async start({ name, manifests, up = [] }: SessionOptions): Promise<SandboxSession> {
    const commands = new SandboxCommands(USERS[0]!, name);
    try {
      const file = join(commands.folder, 'objects.yaml');
      const documents = manifests.map((manifest) => JSON.stringify(manifest));
      writeFileSync(file, documents.join('\n---\n'), { mode: 0o644 });
      await commands.must('up', '--detach', '-f', file, ...up);
      const state = join(commands.folder, `ambit-${process.getuid!()}`, name);
      const client = new SandboxClient(new StatePaths(state).socket);
      const environment = await client.call('environment', {});
      return new SandboxSession(commands, client, { state, environment });
    } catch (thrown) {
      await commands.dispose();
      throw thrown;
    }
  }

  private constructor(
    commands: SandboxCommands,
    client: SandboxClient,
    facts: { readonly state: string; readonly environment: Environment },
  ) {
    this.commands = commands;
    this.client = client;
    this.#state = facts.state;
    this.#view = new HostView(facts.state);
    this.#environment = facts.environment;
  }

  async dispose(): Promise<void> {
    for (const caller of this.#callers.values())
      await caller.then(
        (one) => one.stop(),
        () => {},
      );
    await this.commands.dispose();
  }

  /** Where everything is now, with processes as this machine numbers them. */
  async facts(): Promise<Environment> {
    return new HostView(this.#state).translate(await this.client.call('environment', {}));
  }

  async apply(...manifests: readonly Manifest[]): Promise<void> {
    const sources = manifests.map((value, at) => ({ source: `object ${at + 1}`, value }));
    await this.client.call('apply', { manifests: sources, namespace: 'default' });
  }

  /** Pods end at once. */
  async remove(...manifests: readonly Manifest[]): Promise<void> {
    const references = manifests.map((manifest) => {
      const { kind, apiVersion } = manifest as { kind: string; apiVersion: string };
      const { name, namespace = '' } = manifest.metadata as { name: string; namespace?: string };
      return { kind, group: apiVersion.includes('/') ? apiVersion.split('/', 1)[0]! : '', namespace, name };
    });
    await this.client.call('delete', { references, graceSeconds: 0 });
  }

  async label(
    target: { readonly kind: string; readonly name: string; readonly namespace?: string },
    changes: Readonly<Record<string, string | null>>,
  ): Promise<void> {
    await this.client.call('label', { ...target, changes });
  }

  async object<T extends KubeObject>(kind: string, namespace: string, name: string): Promise<T> {
    const { objects } = await this.client.call('objects', { kind, namespace, name });
    return objects[0] as T;
  }

  pod(namespace: string, name: string): Promise<PodView> {
    return this.object<PodView>('pod', namespace, name);
  }

  async pods(namespace: string): Promise<readonly PodView[]> {
    const { objects } = await this.client.call('objects', { kind: 'pods', namespace });
    return objects as readonly KubeObject[] as readonly PodView[];
  }

  async podReady(namespace: string, name: string): Promise<PodView> {
    return until(`pod ${name} is ready`, async () => {
      const pod = await this.pod(namespace, name);
      return pod.status.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') && pod;
    });
  }

  /** The address of a pod in a family. */
  async podIp(namespace: string, name: string, family: 4 | 6 = 4): Promise<string> {
    const { status } = await this.pod(namespace, name);
    return ofFamily(
      status.podIPs.map((one) => one.ip),
      family,
    );
  }

  async clusterIp(namespace: string, name: string, family: 4 | 6 = 4): Promise<string> {
    const { spec } = await this.object('service', namespace, name);
    return ofFamily((spec as { clusterIPs: readonly string[] }).clusterIPs, family);
  }

  /** Somebody in the pod who makes calls; always the same for the same pod. */
  callerIn(namespace: string, pod: string): Promise<PodCaller> {
    return this.#caller(`${namespace}/${pod}`, async () => {
      const { pid, env } = await this.client.call('container', { namespace, pod });
      return new PodCaller(this.#view.locate(pid!).enter, env);
    });
  }

  /** The same in the network of a node. */
  callerOn(node: string): Promise<PodCaller> {
    return this.#caller(node, async () => new PodCaller(this.enterNode(node), process.env));
  }

  /** To be put before a command that is to run on a node. */
  enterNode(node: string): readonly string[] {
    return this.#view.locate(this.#environment.nodes.find((one) => one.name === node)!.pid).enter;
  }

  /** Waits until every pod of the namespace is in the mesh, or out of it, in the eyes of agents and proxies. */
  async enrolled(namespace: string, expected = true): Promise<void> {
    await until(`pods of ${namespace} ${expected ? 'in' : 'out of'} the mesh`, async () => {
      const pods = await this.pods(namespace);
      const enabled = pods.filter((pod) => pod.metadata.annotations?.[REDIRECTION] === 'enabled');
      return enabled.length === (expected ? pods.length : 0);
    });
    const protocol = expected ? 'HBONE' : 'TCP';
    await this.everyProxy(`${namespace} takes ${protocol}`, ({ workloads }) =>
      workloads.every((one) => one.namespace !== namespace || one.protocol === protocol),
    );
  }

  /** Waits until what every proxy knows satisfies the check. */
  async everyProxy(what: string, check: (dump: ConfigDump) => boolean): Promise<void> {
    await until(`every proxy knows that ${what}`, async () => {
      const dumps = await Promise.all(this.#environment.nodes.map((node) => this.dump(node.name)));
      return dumps.every(check);
    });
  }

  async dump(node: string): Promise<ConfigDump> {
    const { ztunnel } = this.#environment.nodes.find((one) => one.name === node)!;
    return JSON.parse(await getOverSocket(ztunnel!.adminSocket, '/config_dump')) as ConfigDump;
  }

  /** What the proxy of a node counts now. */
  async metrics(node: string): Promise<readonly MetricSample[]> {
    const caller = await this.callerOn(node);
    return parseMetrics((await caller.get(METRICS_URL)).body);
  }

  /** What the proxy of a node has logged, but for a line that it is writing. */
  logOf(node: string): readonly LogLine[] {
    const { ztunnel } = this.#environment.nodes.find((one) => one.name === node)!;
    const lines = readFileSync(ztunnel!.log, 'utf8').split('\n').slice(0, -1);
    return lines.flatMap((line) => parseLogLine(line) ?? []);
  }

  /** Waits for a line of the access log of a node that has all these fields. */
  async accessLine(
    node: string,
    fields: Readonly<Record<string, string | RegExp>>,
    message?: string,
  ): Promise<LogLine> {
    return until(`a line with ${JSON.stringify(fields, inWords)} in the access log of ${node}`, async () =>
      this.logOf(node).findLast(
        (line) =>
          line.scope === 'access' &&
          (message === undefined || line.message === message) &&
          Object.entries(fields).every(([key, value]) => matches(line.fields[key], value)),
      ),
    );
  }

  #caller(key: string, make: () => Promise<PodCaller>): Promise<PodCaller> {
    let found = this.#callers.get(key);
    if (found === undefined) {
      found = make();
      this.#callers.set(key, found);
    }
    return found;
  }
}

function ofFamily(ips: readonly string[], family: 4 | 6): string {
  const found = ips.find((ip) => ip.includes(':') === (family === 6));
  assert.ok(found, `no IPv${family} address in ${ips}`);
  return found;
}

function matches(value: string | undefined, wanted: string | RegExp): boolean {
  if (typeof wanted === 'string') return value === wanted;
  return value !== undefined && wanted.test(value);
}

function inWords(_: string, value: unknown): unknown {
  return value instanceof RegExp ? String(value) : value;
}

function getOverSocket(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text)).on('error', reject);
    });
    call.on('error', reject).end();
  });
}
