/** A node for tests of its agent: a host namespace, pods in namespaces with addresses, and their objects in a folder. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { DEFAULT_ENABLEMENT_SELECTORS } from '../../src/cni/enablement-selector.ts';
import type { PodReport } from '../../src/cni/enrolment-report.ts';
import { NodeAgent, type NodeAgentOptions } from '../../src/cni/node-agent.ts';
import { Reactor } from '../../src/io/reactor.ts';
import { FolderSource } from '../../src/objects/folder-source.ts';
import { eventually } from './eventually.ts';
import { NETNS_FOLDER, PodNamespace } from './pod-namespace.ts';
import { ZdsClient } from './zds-client.ts';

export const NODE_NAME = 'node-1';

/** What a pod's manifest may say. */
export interface PodSpec {
  readonly ips?: readonly string[];
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly phase?: string;
}

export class NodeWorld {
  readonly folder = mkdtempSync('/run/test/node-');
  readonly objects = join(this.folder, 'objects');
  readonly zdsPath = join(this.folder, 'ztunnel.sock');
  readonly pluginPath = join(this.folder, 'plugin.sock');
  readonly host = new PodNamespace();
  readonly reactor = new Reactor();
  readonly #agents: { agent: NodeAgent; source: FolderSource }[] = [];
  readonly #pods: PodNamespace[] = [];
  readonly #clients: ZdsClient[] = [];

  constructor() {
    mkdirSync(this.objects);
    this.reactor.attachToNode();
    this.writeNamespace('shop', { 'istio.io/dataplane-mode': 'ambient' });
  }

  writeNamespace(name: string, labels: Readonly<Record<string, string>>): void {
    const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
    writeFileSync(join(this.objects, `ns-${name}.json`), JSON.stringify(manifest));
  }

  writePod(name: string, spec: PodSpec): void {
    const { ips = [], uid = `uid-${name}`, labels = {}, annotations = {}, phase = 'Running' } = spec;
    const manifest = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'shop', uid, labels, annotations },
      spec: {
        nodeName: NODE_NAME,
        serviceAccountName: 'seller',
        containers: [{ name: 'app', image: 'app' }],
      },
      status: { phase, podIPs: ips.map((ip) => ({ ip })) },
    };
    writeFileSync(join(this.objects, `pod-${name}.json`), JSON.stringify(manifest));
  }

  deletePod(name: string): void {
    rmSync(join(this.objects, `pod-${name}.json`));
  }

  /** A sandbox with addresses, wired to the host. */
  makeSandbox(...ips: string[]): PodNamespace {
    const pod = new PodNamespace();
    this.#pods.push(pod);
    for (const ip of ips) pod.connect(this.host, ip, ip.includes(':') ? 'fd00::fe' : '10.255.255.254');
    return pod;
  }

  async startAgent(options: Partial<NodeAgentOptions> = {}): Promise<NodeAgent> {
    const source = new FolderSource({ folder: this.objects, writer: 'cni-test' });
    const agent = new NodeAgent({
      source,
      node: NODE_NAME,
      settings: { selectors: DEFAULT_ENABLEMENT_SELECTORS, excludedNamespaces: ['kube-system'] },
      dnsCapture: true,
      clusterDomain: 'cluster.local',
      zdsPath: this.zdsPath,
      pluginPath: this.pluginPath,
      netnsFolder: NETNS_FOLDER,
      hostNetnsPath: this.host.path,
      iptables: undefined,
      healthPort: 0,
      metricsPort: 0,
      ...options,
    });
    this.#agents.push({ agent, source });
    await agent.start();
    return agent;
  }

  async connectZtunnel(): Promise<ZdsClient> {
    const client = new ZdsClient(this.reactor, this.zdsPath);
    this.#clients.push(client);
    await eventually('a snapshot', () => client.hasSnapshot);
    return client;
  }

  annotationOf(name: string): string | undefined {
    const { source } = this.#agents.at(-1)!;
    return source.get('Pod', 'shop', name)?.metadata.annotations?.['ambient.istio.io/redirection'];
  }

  /** As the CNI plugin would. */
  post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath: this.pluginPath, path, method: 'POST' }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode!, body: JSON.parse(text) }));
      });
      sent.on('error', reject);
      sent.end(JSON.stringify(body));
    });
  }

  addSandboxByPlugin(name: string, pod: PodNamespace, ip: string) {
    const ips = [{ Address: { IP: ip, Mask: '/////w==' }, Gateway: '10.255.255.254' }];
    return this.post('/cmdadd', { Netns: pod.path, PodName: name, PodNamespace: 'shop', IPs: ips });
  }

  close(): void {
    for (const client of this.#clients) client.close();
    for (const { agent } of this.#agents) agent.stop();
    this.reactor.close();
    for (const pod of [...this.#pods, this.host]) pod.close();
    rmSync(this.folder, { recursive: true });
  }
}

export function reportOf(agent: NodeAgent, name: string): PodReport | undefined {
  return agent.report().pods.find((pod) => pod.name === name);
}

export async function reaches(agent: NodeAgent, name: string, state: string): Promise<PodReport> {
  return eventually(`${name} ${state}: ${JSON.stringify(agent.report())}`, () => {
    const report = reportOf(agent, name);
    return report?.state === state ? report : undefined;
  });
}

/** Listens where ztunnel would, so that the pod's proxy is found to be there. */
export function listenAsProxy(pod: PodNamespace, answer = ''): Server[] {
  const listen = (port: number) => createServer((socket) => socket.end(answer)).listen(port);
  return [15001, 15006, 15008].map((port) => pod.namespace.run(() => listen(port)));
}
