/** The control side of ztunnel: wires the control plane, certificates, the node agent and the admin pages to the reactors. */

import { readFileSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import { VERSION } from '../../base/version.ts';
import { CertificateManager } from '../../identity/certificate-manager.ts';
import { systemClock } from '../../identity/clock.ts';
import { RevocationFile } from '../../identity/revocation-file.ts';
import { Reactor } from '../../io/reactor.ts';
import { exitProcess } from '../../sys/process-exit.ts';
import { collectOften, releaseProcessMemory, releaseThreadMemory } from '../../sys/process-memory.ts';
import { HttpEndpoint } from '../../telemetry/http-endpoint.ts';
import { logger, resetLogLevels, setLogLevels, writeLog } from '../../telemetry/log.ts';
import { SeriesRegistry } from '../../telemetry/series-registry.ts';
import { SeriesStore } from '../../telemetry/series-store.ts';
import { CallCredentials } from '../../xds/call-credentials.ts';
import { GrpcCertificateClient } from '../../xds/certificate-client.ts';
import { DeltaClient, type DeltaUpdate } from '../../xds/delta-client.ts';
import { MESH_TYPE_URLS, type RejectedResource } from '../../xds/mesh-resources.ts';
import { nameRejected, shareUpdate } from '../../xds/shared-update.ts';
import { type AdminActions, adminEndpoint } from '../admin/admin-server.ts';
import { dumpPods } from '../admin/config-dump.ts';
import type { ServerAddress, ZtunnelConfig } from '../config.ts';
import { CONTROL_METRICS, ZTUNNEL_METRICS } from '../telemetry/metric-definitions.ts';
import { ControlMetrics } from './control-metrics.ts';
import { lookupHostname } from './hostname-lookup.ts';
import { IdentityFeed } from './identity-feed.ts';
import { PodRegistry } from './pod-registry.ts';
import type { ReactorPool } from './reactor-pool.ts';
import { Readiness } from './readiness.ts';
import { ZdsClient } from './zds-client.ts';

const log = logger('ztunnel');
const XDS_TASK = 'first state from the control plane';
const ZDS_TASK = 'pods from the node agent';
/** How long readiness waits for pods that cannot be served: they are tried again every five seconds. */
const TAKE_OVER_PATIENCE_MS = 30_000;
/** After the mesh is known: by then a start is over, pods and certificates included, where nothing is amiss. */
const SETTLE_MS = 3000;

export class ZtunnelProcess {
  readonly #config: ZtunnelConfig;
  readonly #registry = new SeriesRegistry(ZTUNNEL_METRICS);
  readonly #readiness = new Readiness([XDS_TASK, ZDS_TASK]);
  readonly #pool: ReactorPool;
  readonly #pods: PodRegistry;
  readonly #manager: CertificateManager;
  readonly #certificateClient: GrpcCertificateClient;
  readonly #feed: IdentityFeed;
  readonly #xds: DeltaClient;
  readonly #zds: ZdsClient;
  readonly #endpoints: HttpEndpoint[] = [];
  #stopping = false;

  /** The threads have been started. */
  constructor(config: ZtunnelConfig, pool: ReactorPool) {
    this.#config = config;
    this.#pool = pool;
    this.#certificateClient = this.#makeCertificateClient();
    this.#manager = new CertificateManager({
      client: this.#certificateClient,
      ttlSeconds: config.secretTtlSeconds,
    });
    this.#feed = new IdentityFeed(this.#manager, config.trustDomain, (message) =>
      this.#pool.broadcast(message),
    );
    this.#pods = new PodRegistry(this.#pool, {
      onStarted: (pod) => this.#feed.podStarted(pod),
      onStopped: (pod) => this.#feed.podStopped(pod),
    });
    this.#xds = this.#makeXdsClient();
    const reactor = new Reactor();
    reactor.attachToNode();
    this.#listenToReactors();
    this.#zds = new ZdsClient(reactor, config.zdsSocket, this.#pods, {
      onSnapshot: () => void this.#onSnapshot(),
    });
  }

  /**
   * Resolves when everything is under way; the pods follow once the control plane has told of the mesh, which needs not wait
   * for the reactors.
   */
  async start(reactors: Promise<void>): Promise<void> {
    this.#xds.start();
    this.#startMetrics();
    await this.#listen();
    this.#watchRevocations();
    // While the mesh is on its way: the first pods wait for their certificates.
    this.#certificateClient.connect();
    await reactors;
    log.info('started', {
      reactors: this.#pool.size,
      node: this.#config.nodeName,
      xds: `${this.#config.xdsAddress.host}:${this.#config.xdsAddress.port}`,
    });
  }

  /** Stops accepting, lets connections end until the deadline, and ends the process. */
  async stop(signal: string): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    log.info('draining', { signal, deadline_ms: this.#config.drainDeadlineMs });
    this.#readiness.undone('draining');
    this.#zds.stop();
    await this.#pool.drain(this.#config.drainDeadlineMs);
    log.info('stopped');
    exitProcess(0);
  }

  #listenToReactors(): void {
    this.#pool.listen({
      onSeries: (memory, entry) => this.#registry.adopt(memory, entry),
      onLog: writeLog,
      onIdentityWanted: (identity) => void this.#feed.wanted(identity),
      onHostnameWanted: (hostname) => void this.#resolve(hostname),
      onPodStarted: (thread, uid, attempt, error) => this.#pods.onThreadStarted(thread, uid, attempt, error),
      onPodStopped: (thread, uid) => this.#pods.onThreadStopped(thread, uid),
      onFailure: (error) => {
        log.error('a reactor thread failed: the process ends', {
          error: messageOf(error),
          stack: error.stack,
        });
        exitProcess(1);
      },
    });
  }

  #makeCertificateClient(): GrpcCertificateClient {
    const { caAddress, caRoot, altCaHostname, clusterId, tokenPath, caHeaders } = this.#config;
    return new GrpcCertificateClient({
      target: dialTarget(caAddress, altCaHostname),
      roots: caRoot,
      credentials: new CallCredentials({ tokenPath, clusterId, headers: caHeaders }),
    });
  }

  #makeXdsClient(): DeltaClient {
    const { xdsAddress, xdsRoot, altXdsHostname, clusterId, tokenPath, xdsHeaders } = this.#config;
    const { instanceIp, podName, podNamespace, nodeName, metadata } = this.#config;
    return new DeltaClient({
      target: dialTarget(xdsAddress, altXdsHostname),
      roots: xdsRoot,
      credentials: new CallCredentials({ tokenPath, clusterId, headers: xdsHeaders }),
      node: { instanceIp, podName, podNamespace, nodeName, clusterId, metadata },
      typeUrls: MESH_TYPE_URLS,
      consume: (update) => this.#consume(update),
      onReady: () => this.#onMeshKnown(),
    });
  }

  /** The reactors get the bytes, and decode them for themselves: nothing of the result is shared. */
  async #consume(update: DeltaUpdate): Promise<RejectedResource[]> {
    return nameRejected(await this.#pool.apply(shareUpdate(update)), update.resources);
  }

  /** Only now: a pod that is served before the mesh is known would have its calls pass as plain text. */
  #onMeshKnown(): void {
    this.#readiness.done(XDS_TASK);
    collectOften();
    this.#pool.broadcast({ kind: 'mesh-read' });
    this.#zds.start();
    this.#serveSelf();
    setTimeout(settle, SETTLE_MS).unref();
  }

  /**
   * Ready means that the proxy before this one may go: every pod is served and has its certificate. What cannot be served
   * or certified does not hold that up for ever. Once ready, the proxy stays so while the agent is away: it serves all the
   * same, and an upgrade that waits for it would wait for the wrong part.
   */
  async #onSnapshot(): Promise<void> {
    const pods = [...this.#pods.summaries().values()].map(({ info }) => info);
    await Promise.race([
      Promise.all([this.#pods.whenServed(), this.#feed.whenCertified(pods)]),
      new Promise((resolve) => setTimeout(resolve, TAKE_OVER_PATIENCE_MS).unref()),
    ]);
    this.#readiness.done(ZDS_TASK);
  }

  /** Its own pod is a destination like any other, so that what scrapes it can do so within the mesh. */
  #serveSelf(): void {
    const { podName: name, podNamespace: namespace, serviceAccount } = this.#config;
    if (name === '' || namespace === '' || serviceAccount === '') return;
    const pod = { uid: 'self', name, namespace, serviceAccount, searchDomains: [] };
    this.#feed.podStarted(pod);
    this.#pool.broadcast({ kind: 'serve-self', pod });
  }

  async #resolve(hostname: string): Promise<void> {
    this.#pool.broadcast({ kind: 'hostname', hostname, addresses: await lookupHostname(hostname) });
  }

  #startMetrics(): void {
    const store: SeriesStore = new SeriesStore(CONTROL_METRICS, (entry) =>
      this.#registry.adopt(store.memory, entry),
    );
    const metrics = new ControlMetrics(store, {
      pods: this.#pods,
      agent: this.#zds,
      xds: this.#xds,
      certificates: this.#manager,
      reactors: this.#config.workerThreads,
    });
    this.#registry.beforeCollect(() => metrics.update());
  }

  async #listen(): Promise<void> {
    const { adminPort, statsPort, readinessPort } = this.#config;
    const render = async (accept: string | undefined) => this.#registry.render(accept);
    const stats = new HttpEndpoint({
      'GET /metrics': ({ accept }) => render(accept),
      'GET /stats/prometheus': ({ accept }) => render(accept),
    });
    const readiness = new HttpEndpoint({ 'GET /healthz/ready': () => this.#readinessPage() });
    const admin = adminEndpoint(this.#adminActions());
    this.#endpoints.push(admin, stats, readiness);
    const anywhere = this.#config.ipv6 ? '::' : '0.0.0.0';
    await admin.listen('127.0.0.1', adminPort);
    await stats.listen(anywhere, statsPort);
    await readiness.listen(anywhere, readinessPort);
  }

  #readinessPage() {
    if (this.#readiness.ready) return { body: 'ready\n' };
    return { status: 500, body: `not ready, waiting for: ${this.#readiness.missing.join(', ')}\n` };
  }

  #adminActions(): AdminActions {
    return {
      configDump: () => this.#configDump(),
      setLogLevels: (specification) => {
        const wrong = specification === undefined ? undefined : setLogLevels(specification);
        if (wrong !== undefined) return wrong;
        if (specification === undefined) resetLogLevels();
        this.#pool.broadcast({ kind: 'log-levels', specification });
        return undefined;
      },
      shutdown: () => void this.stop('quitquitquit'),
    };
  }

  async #configDump(): Promise<object> {
    const { connections, mesh } = await this.#pool.dump(true);
    return {
      workloads: mesh?.workloads ?? [],
      services: mesh?.services ?? [],
      policies: mesh?.policies ?? [],
      stagedServices: mesh?.stagedServices ?? {},
      // What a file would add to the control plane's state; there is no such file here.
      staticConfig: { workloads: [], services: [], policies: [] },
      version: { version: VERSION, name: 'ambit' },
      config: this.#config,
      certificates: this.#manager.snapshot(),
      workloadState: dumpPods(this.#pods.summaries(), connections),
      xds: { connected: this.#xds.connected, ready: this.#xds.ready, lastError: this.#xds.lastError },
    };
  }

  #watchRevocations(): void {
    const { crlPath } = this.#config;
    if (crlPath === undefined) return;
    const file = new RevocationFile(crlPath, systemClock);
    const send = () => this.#pool.broadcast({ kind: 'revocations', content: readOptional(crlPath) });
    file.onChange(send);
    send();
  }
}

function settle(): void {
  releaseThreadMemory();
  releaseProcessMemory();
}

function dialTarget(address: ServerAddress, serverName: string | undefined) {
  return { host: address.host, port: address.port, ...(serverName !== undefined && { serverName }) };
}

function readOptional(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
