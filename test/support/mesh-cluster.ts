/** A cluster as the control plane sees one: a real API server with the installed rights, and pods that no kubelet runs. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_TRUSTED_NODE_ACCOUNTS } from '../../src/controlplane/ca/node-authorization.ts';
import { type KubernetesConfig, servingNamesOf } from '../../src/controlplane/config.ts';
import { ControlPlaneServer } from '../../src/controlplane/control-plane-server.ts';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { MeshState } from '../../src/mesh/mesh-state.ts';
import { CallCredentials } from '../../src/xds/call-credentials.ts';
import { GrpcCertificateClient } from '../../src/xds/certificate-client.ts';
import { DeltaClient } from '../../src/xds/delta-client.ts';
import { applyUpdate, MESH_TYPE_URLS } from '../../src/xds/mesh-resources.ts';
import { BareApiServer } from './cluster/bare-api-server.ts';
import { eventuallyAnswers } from './eventually.ts';

const DAEMONSET = join(import.meta.dirname, '../../daemonset');
const SYSTEM = 'ambit-system';
/** From the start of the first replica until it leads and has published them. */
const ROOTS_DEADLINE_MS = 60_000;
const MERGE_PATCH = 'application/merge-patch+json';

export interface PodFacts {
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly serviceAccount?: string;
  readonly ips?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly hostNetwork?: boolean;
}

interface Stored {
  readonly metadata: { readonly uid: string };
}

export class MeshCluster implements AsyncDisposable {
  readonly server: BareApiServer;
  readonly #client: KubeClient;
  readonly #folder = mkdtempSync(join(tmpdir(), 'ambit-cluster-'));
  readonly #stack = new AsyncDisposableStack();
  #files = 0;

  private constructor(server: BareApiServer, client: KubeClient) {
    this.server = server;
    this.#client = client;
    this.#stack.use(server);
    this.#stack.use(client);
    this.#stack.defer(() => rmSync(this.#folder, { recursive: true }));
  }

  /** @param flags of kube-apiserver */
  static async start(flags: Readonly<Record<string, string>> = {}): Promise<MeshCluster> {
    const server = await BareApiServer.start(flags);
    const client = await KubeClient.connect({ kubeconfig: server.kubeconfig() });
    server.kubectl(['apply', '--server-side', '-k', join(DAEMONSET, 'crds')]);
    server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    const base = (name: string): string[] => ['-f', join(DAEMONSET, 'base', name)];
    server.kubectl(['apply', ...base('namespace.yaml')]);
    server.kubectl(['apply', ...base('controlplane-rbac.yaml')]);
    return new MeshCluster(server, client);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  request<T = unknown>(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    return this.#client.request<T>({ method, path, body });
  }

  patch(path: string, body: unknown): Promise<unknown> {
    return this.#client.request({ method: 'PATCH', path, body, contentType: MERGE_PATCH });
  }

  apply(manifest: string): void {
    this.server.kubectl(['apply', '-f', '-'], manifest);
  }

  async namespace(name: string): Promise<void> {
    await this.request('POST', '/api/v1/namespaces', { metadata: { name } });
  }

  /** A pod that runs and is ready; returns its uid. */
  async pod(facts: PodFacts): Promise<string> {
    const { namespace, name, node, serviceAccount = 'default', ips = [], hostNetwork = false } = facts;
    const { labels = {}, annotations = {} } = facts;
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const containers = [{ name: 'main', image: 'none' }];
    const { metadata } = await this.request<Stored>('POST', path, {
      metadata: { name, labels, annotations },
      spec: { nodeName: node, serviceAccountName: serviceAccount, hostNetwork, containers },
    });
    await this.patch(`${path}/${name}/status`, {
      status: {
        phase: 'Running',
        podIP: ips[0],
        podIPs: ips.map((ip) => ({ ip })),
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    });
    return metadata.uid;
  }

  async serviceAccount(namespace: string, name: string): Promise<void> {
    await this.request('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } });
  }

  /** As the kubelet gets one for a projected volume. */
  async token(account: string, audience?: string, pod?: { name: string; uid: string }): Promise<string> {
    const [namespace, name] = account.split('/');
    const spec = {
      audiences: audience === undefined ? undefined : [audience],
      boundObjectRef: pod && { kind: 'Pod', apiVersion: 'v1', name: pod.name, uid: pod.uid },
    };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status } = await this.request<{ status: { token: string } }>('POST', path, { spec });
    return status.token;
  }

  /** A control plane with the rights of its service account; stopped with the cluster. */
  async controlPlane(
    identity: string,
    changes: Partial<KubernetesConfig> = {},
  ): Promise<RunningControlPlane> {
    const server = await ControlPlaneServer.start({
      kind: 'kubernetes',
      kubeconfig: this.server.kubeconfig(await this.token(`${SYSTEM}/ambit-controlplane`)),
      context: undefined,
      namespace: SYSTEM,
      identity,
      caSecret: 'ambit-ca',
      tokenAudiences: ['ambit-ca', 'istio-ca'],
      listen: { host: '127.0.0.1', port: 0 },
      http: { host: '127.0.0.1', port: 0 },
      trustDomain: 'cluster.local',
      clusterId: 'Kubernetes',
      clusterDomain: 'cluster.local',
      network: '',
      rootNamespace: 'istio-system',
      servingNames: servingNamesOf([], SYSTEM),
      trustedNodeAccounts: DEFAULT_TRUSTED_NODE_ACCOUNTS,
      ...changes,
    });
    const running = new RunningControlPlane(this, server);
    this.#stack.use(running);
    return running;
  }

  /** The roots as any pod finds them. */
  async roots(namespace = SYSTEM): Promise<string> {
    const path = `/api/v1/namespaces/${namespace}/configmaps/istio-ca-root-cert`;
    const { data } = await this.request<{ data: Record<string, string> }>('GET', path);
    return data['root-cert.pem'] ?? '';
  }

  file(text: string): string {
    const path = join(this.#folder, `file-${this.#files++}`);
    writeFileSync(path, text);
    return path;
  }
}

/** One replica, with clients such as a node proxy has. */
export class RunningControlPlane implements AsyncDisposable {
  readonly #cluster: MeshCluster;
  readonly #server: ControlPlaneServer;
  #stopped: Promise<void> | undefined;

  constructor(cluster: MeshCluster, server: ControlPlaneServer) {
    this.#cluster = cluster;
    this.#server = server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stopped ??= this.#server[Symbol.asyncDispose]();
    return this.#stopped;
  }

  async page(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`http://127.0.0.1:${this.#server.httpPort}${path}`);
    return { status: response.status, text: await response.text() };
  }

  async metric(line: RegExp): Promise<number> {
    const { text } = await this.page('/metrics');
    return Number(
      text
        .split('\n')
        .find((one) => line.test(one))
        ?.split(' ')
        .at(-1),
    );
  }

  async certificates(token: string): Promise<GrpcCertificateClient> {
    return new GrpcCertificateClient(await this.#connection(token));
  }

  /** The mesh as a node proxy sees it; the caller stops the client. */
  async mesh(token: string): Promise<{ readonly state: MeshState; readonly client: DeltaClient }> {
    const state = new MeshState();
    const client = new DeltaClient({
      ...(await this.#connection(token)),
      node: {
        instanceIp: '10.0.0.250',
        podName: 'ztunnel',
        podNamespace: SYSTEM,
        nodeName: 'node-1',
        clusterId: 'Kubernetes',
      },
      typeUrls: MESH_TYPE_URLS,
      consume: (update) => applyUpdate(state, update),
    });
    client.start();
    return { state, client };
  }

  async #connection(token: string) {
    const serverName = 'ambit-controlplane.ambit-system.svc';
    const roots = await eventuallyAnswers('the roots', () => this.#cluster.roots(), ROOTS_DEADLINE_MS);
    return {
      target: { host: '127.0.0.1', port: this.#server.xdsPort, serverName },
      roots: { kind: 'file' as const, path: this.#cluster.file(roots) },
      credentials: new CallCredentials({ tokenPath: this.#cluster.file(token), clusterId: 'Kubernetes' }),
    };
  }
}
