/** A node proxy for tests: real reactor threads that serve pods in real network namespaces, fed by hand instead of by xDS. */

import { type IpAddress, parseIp } from '../../src/base/ip.ts';
import type { Authorization } from '../../src/mesh/authorization.ts';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { NetworkNamespace } from '../../src/sys/network-namespace.ts';
import { SeriesRegistry } from '../../src/telemetry/series-registry.ts';
import { authorizationResource } from '../../src/xds/authorization-conversion.ts';
import {
  ADDRESS_TYPE_URL,
  AUTHORIZATION_TYPE_URL,
  type ResourceUpdate,
} from '../../src/xds/mesh-resources.ts';
import { shareUpdate } from '../../src/xds/shared-update.ts';
import { serviceResource, workloadResource } from '../../src/xds/workload-conversion.ts';
import { type Environment, readConfig } from '../../src/ztunnel/config.ts';
import { ReactorPool } from '../../src/ztunnel/control/reactor-pool.ts';
import type { ConnectionSummary, IdentityMaterial } from '../../src/ztunnel/proxy/messages.ts';
import { ZTUNNEL_METRICS } from '../../src/ztunnel/telemetry/metric-definitions.ts';
import { type CertificateAuthority, type Leaf, makeLeaf } from './certificates.ts';

export interface TestPod {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly addresses: readonly string[];
  /** Path of its network namespace. */
  readonly path: string;
}

/** A workload as the control plane would describe an enrolled pod. */
export function workloadOf(pod: TestPod, changes: Partial<Workload> = {}): Workload {
  return {
    uid: `Kubernetes//Pod/${pod.namespace}/${pod.name}`,
    name: pod.name,
    namespace: pod.namespace,
    addresses: pod.addresses.map((text) => parseIp(text)!),
    hostname: '',
    network: '',
    tunnelProtocol: 'HBONE',
    trustDomain: 'cluster.local',
    serviceAccount: pod.serviceAccount,
    node: 'node1',
    canonicalName: pod.name,
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: pod.name,
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: 'HEALTHY',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'STANDARD',
    extensions: [],
    capacity: 1,
    ...changes,
  };
}

/** A ClusterIP service of the cluster domain. */
export function serviceOf(
  name: string,
  namespace: string,
  vips: readonly string[],
  ports: Record<number, number>,
): Service {
  return {
    name,
    namespace,
    hostname: `${name}.${namespace}.svc.cluster.local`,
    addresses: vips.map((text) => ({ network: '', ip: parseIp(text)! })),
    ports: Object.entries(ports).map(([servicePort, targetPort]) => ({
      servicePort: Number(servicePort),
      targetPort,
      appProtocol: 'TCP',
    })),
    subjectAltNames: [],
    ipFamilies: 'DUAL',
    extensions: [],
    canonical: true,
    ingressUseWaypoint: false,
    weightedWaypoints: [],
    visibility: 'PUBLIC',
  };
}

export class MeshNode {
  readonly pool: ReactorPool;
  readonly metrics = new SeriesRegistry(ZTUNNEL_METRICS);
  readonly failures: Error[] = [];
  readonly identitiesWanted: string[] = [];
  /** The certificate of each identity that it was given last. */
  readonly leaves = new Map<string, Leaf>();
  log = '';
  readonly #authority: CertificateAuthority;
  readonly #started = new Map<string, { missing: number; resolve: (error: string | undefined) => void }>();
  readonly #stopped = new Map<string, { missing: number; resolve: () => void }>();
  readonly #namespaces = new Map<string, NetworkNamespace>();
  readonly #identities = new Set<string>();

  constructor(authority: CertificateAuthority) {
    this.#authority = authority;
    this.pool = new ReactorPool();
    this.pool.listen({
      onSeries: (memory, entry) => this.metrics.adopt(memory, entry),
      onLog: (text) => {
        this.log += text;
      },
      onIdentityWanted: (identity) => this.identitiesWanted.push(identity),
      onHostnameWanted: (hostname) =>
        this.pool.broadcast({ kind: 'hostname', hostname, addresses: [] as IpAddress[] }),
      onPodStarted: (_thread, uid, _attempt, error) => this.#onStarted(uid, error),
      onPodStopped: (_thread, uid) => this.#onStopped(uid),
      onFailure: (error) => this.failures.push(error),
    });
  }

  async start(environment: Environment = {}): Promise<void> {
    await this.pool.start(readConfig({ ZTUNNEL_WORKER_THREADS: '2', RUST_LOG: 'info', ...environment }));
  }

  /** Serves a pod on every thread; resolves with the error of the first thread that cannot. */
  addPod(pod: TestPod): Promise<string | undefined> {
    this.issue(`spiffe://cluster.local/ns/${pod.namespace}/sa/${pod.serviceAccount}`);
    const namespace = NetworkNamespace.open(pod.path);
    this.#namespaces.set(pod.name, namespace);
    return new Promise((resolve) => {
      this.#started.set(pod.name, { missing: this.pool.size, resolve });
      this.pool.broadcast({
        kind: 'pod-add',
        pod: {
          uid: pod.name,
          name: pod.name,
          namespace: pod.namespace,
          serviceAccount: pod.serviceAccount,
          searchDomains: [],
        },
        namespaceFd: namespace.fd,
        attempt: 1,
      });
    });
  }

  removePod(pod: TestPod): Promise<void> {
    return new Promise((resolve) => {
      this.#stopped.set(pod.name, { missing: this.pool.size, resolve });
      this.pool.broadcast({ kind: 'pod-remove', uid: pod.name });
    });
  }

  /** Gives the threads a certificate of the test's authority, once per identity. */
  issue(identity: string): void {
    if (this.#identities.has(identity)) return;
    this.#identities.add(identity);
    this.install(identity, this.#authority);
  }

  install(
    identity: string,
    authority: CertificateAuthority,
    trustedRootsPem = this.#authority.certificatePem,
  ): void {
    const leaf = makeLeaf(authority, { spiffeId: identity });
    this.leaves.set(identity, leaf);
    const material: IdentityMaterial = {
      kind: 'available',
      identity,
      certificateChainPem: leaf.chainPem,
      privateKeyPem: leaf.privateKeyPem,
      trustedRootsPem,
    };
    this.pool.broadcast({ kind: 'identity', material });
  }

  workloads(...workloads: readonly Workload[]): void {
    this.#push(ADDRESS_TYPE_URL, workloads.map(workloadResource));
  }

  services(...services: readonly Service[]): void {
    this.#push(ADDRESS_TYPE_URL, services.map(serviceResource));
  }

  policies(...policies: readonly Authorization[]): void {
    this.#push(AUTHORIZATION_TYPE_URL, policies.map(authorizationResource));
  }

  removePolicy(name: string): void {
    this.#update({ typeUrl: AUTHORIZATION_TYPE_URL, resources: [], removed: [name] });
  }

  /** Resolves when every thread has what it was told so far. */
  async settled(): Promise<void> {
    await this.pool.dump(false);
  }

  async connections(): Promise<readonly ConnectionSummary[]> {
    return (await this.pool.dump(false)).connections;
  }

  /** The sum of a counter over all series whose labels hold the given values. */
  total(metric: string, labels: Readonly<Record<string, string>>): number {
    const definition = ZTUNNEL_METRICS.find((one) => one.name === metric)!;
    const wanted = Object.entries(labels).map(
      ([name, value]) => [definition.labels.indexOf(name), value] as const,
    );
    return this.metrics
      .totals(metric)
      .filter((row) => wanted.every(([i, value]) => row.labelValues[i] === value))
      .reduce((sum, row) => sum + row.values[0]!, 0);
  }

  /** The sums of a counter by the value of one label. */
  totalsBy(metric: string, label: string): ReadonlyMap<string, number> {
    const at = ZTUNNEL_METRICS.find((one) => one.name === metric)!.labels.indexOf(label);
    const sums = new Map<string, number>();
    for (const { labelValues, values } of this.metrics.totals(metric)) {
      sums.set(labelValues[at]!, (sums.get(labelValues[at]!) ?? 0) + values[0]!);
    }
    return sums;
  }

  #push(typeUrl: string, resources: { name: string; bytes: Uint8Array }[]): void {
    this.#update({ typeUrl, resources, removed: [] });
  }

  #update(update: ResourceUpdate): void {
    void this.pool.apply(shareUpdate(update));
  }

  #onStarted(uid: string, error: string | undefined): void {
    const waiting = this.#started.get(uid);
    if (waiting === undefined) return;
    waiting.missing--;
    if (error === undefined && waiting.missing > 0) return;
    this.#started.delete(uid);
    waiting.resolve(error);
  }

  #onStopped(uid: string): void {
    const waiting = this.#stopped.get(uid);
    if (waiting === undefined) return;
    waiting.missing--;
    if (waiting.missing > 0) return;
    this.#stopped.delete(uid);
    this.#namespaces.get(uid)?.close();
    waiting.resolve();
  }
}
