/** The node agent: its parts, the order in which they start and stop, and its reconciliation. */

import { messageOf } from '../base/errors.ts';
import { Reactor } from '../io/reactor.ts';
import type { ObjectSource } from '../objects/object-source.ts';
import { NetworkNamespace } from '../sys/network-namespace.ts';
import {
  type EndpointResponse,
  type EndpointRoutes,
  HttpEndpoint,
  jsonResponse,
} from '../telemetry/http-endpoint.ts';
import { logger } from '../telemetry/log.ts';
import type { ClusterAccess } from './cluster-access.ts';
import { CniMetrics } from './cni-metrics.ts';
import type { EnrolmentSettings } from './enrolment-decision.ts';
import { EnrolmentManager } from './enrolment-manager.ts';
import { type EnrolmentReport, reportPods } from './enrolment-report.ts';
import type { Installer } from './install/installer.ts';
import { chooseIptables, type IptablesChoice } from './iptables-tools.ts';
import { testKernel } from './kernel-test.ts';
import { kubeletUser } from './kubelet-user.ts';
import { formatFinding } from './namespace-rules.ts';
import { NodeSteps } from './node-steps.ts';
import type { PartReport } from './part-report.ts';
import { PluginServer } from './plugin-server.ts';
import { type NetnsFinder, NetnsFinders, NetnsFolder } from './pod-netns.ts';
import { ProbeExemption } from './probe-exemption.ts';
import { ProcessNetns } from './process-netns.ts';
import { Redirection } from './redirection.ts';
import { WorkLimit } from './work-limit.ts';
import { ZdsServer } from './zds-server.ts';

export interface NodeAgentOptions {
  readonly source: ObjectSource;
  readonly node: string;
  readonly settings: EnrolmentSettings;
  readonly dnsCapture: boolean;
  readonly clusterDomain: string;
  readonly zdsPath: string;
  readonly pluginPath: string;
  readonly netnsFolder: string;
  /** The node's /proc, where this process sees it; absent: pods are found in the folder alone. */
  readonly hostProc?: string | undefined;
  /** The node's namespace; the agent's own when absent. */
  readonly hostNetnsPath: string | undefined;
  /** `nft` or `legacy`; what the node uses when absent. */
  readonly iptables: string | undefined;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Absent where objects come out of a folder. */
  readonly cluster?: ClusterAccess | undefined;
  /** Makes what keeps the CNI plugin on the node; absent: somebody else calls the plugin's socket. */
  readonly makeInstaller?: ((metrics: CniMetrics) => Installer) | undefined;
  /** Take the taint off the node that keeps pods away until then. */
  readonly removeTaint?: boolean;
}

interface Parts {
  readonly iptables: IptablesChoice;
  readonly exemption: ProbeExemption;
  readonly manager: EnrolmentManager;
  readonly zds: ZdsServer;
  readonly plugin: PluginServer;
}

const log = logger('cni');
/** How often everything in force is looked at. */
const RECONCILE_INTERVAL_MS = 60_000;
/** From one look that was asked for to the next: many would be work without end. */
const VERIFY_INTERVAL_MS = 5_000;
/** Shells that run iptables at the same time: more would only wait for the kernel's locks and for CPU. */
const CONCURRENT_CHANGES = 4;

export class NodeAgent {
  readonly #options: NodeAgentOptions;
  readonly #reactor = new Reactor();
  readonly #host: NetworkNamespace;
  readonly #metrics: CniMetrics;
  readonly #health: HttpEndpoint;
  readonly #stats: HttpEndpoint;
  #parts: Parts | undefined;
  #isStarted = false;
  #isTaintDone = false;
  #kernel: PartReport | undefined;
  #verification: Promise<void> | undefined;
  #verifiedAtMs = Number.NEGATIVE_INFINITY;
  readonly #installer: Installer | undefined;
  #isStopped = false;
  #reconcileTimer: NodeJS.Timeout | undefined;

  constructor(options: NodeAgentOptions) {
    this.#options = options;
    const countStates = () => this.#parts?.manager.countStates() ?? new Map();
    this.#metrics = new CniMetrics(countStates, options.source.metrics);
    const { hostNetnsPath, makeInstaller, removeTaint = false } = options;
    this.#isTaintDone = !removeTaint;
    this.#installer = makeInstaller?.(this.#metrics);
    this.#host =
      hostNetnsPath === undefined ? NetworkNamespace.current() : NetworkNamespace.open(hostNetnsPath);
    const health: EndpointRoutes = {
      'GET /healthz': () => ({ body: 'ok\n' }),
      'GET /readyz': () =>
        this.#isReady ? { body: 'ok\n' } : { status: 503, body: `${this.#whyNotReady()}\n` },
    };
    this.#health = new HttpEndpoint(health, {
      'GET /enrolment': () => jsonResponse(this.report()),
      'POST /verify': () => this.#verifyNow(),
    });
    this.#stats = new HttpEndpoint({ 'GET /metrics': (request) => this.#metrics.render(request.accept) });
  }

  /** Resolves when every pod of the node has been brought as far as it goes; rejects when the agent cannot work. */
  async start(): Promise<void> {
    const { source, healthPort, metricsPort } = this.#options;
    await Promise.all([listenAnywhere(this.#health, healthPort), listenAnywhere(this.#stats, metricsPort)]);
    await source.start();
    const parts = await this.#makeParts();
    this.#parts = parts;
    this.#kernel = await testKernel(parts.iptables);
    await parts.exemption.start();
    // Before ztunnel may ask, so that its first snapshot has every pod that was enrolled before.
    parts.manager.start();
    this.#reactor.attachToNode();
    parts.zds.listen();
    await parts.plugin.listen();
    // From now on new pods come by the plugin; those that started before are being taken up meanwhile.
    const installed = this.#installer?.start();
    await parts.manager.whenAtRest();
    await this.#reconcileProbes(parts);
    await installed;
    this.#isStarted = true;
    await this.#endTaint();
    log.info('ready', { node: this.#options.node, pods: parts.manager.enrolments.size });
    this.#planReconciliation(parts);
  }

  /** Everything in force stays in force: pods go on, and new ones cannot start until the next agent is there. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#reconcileTimer);
    this.#health.close();
    this.#stats.close();
    this.#options.source.stop();
    this.#installer?.stop();
    this.#parts?.plugin.close();
    this.#parts?.manager.stop();
    this.#parts?.zds.close();
    this.#reactor.close();
  }

  /** Takes the plugin off the node and every pod out of the mesh; {@link stop} is still to be called. */
  async uninstall(): Promise<void> {
    clearTimeout(this.#reconcileTimer);
    await this.#installer?.uninstall();
    await this.#parts?.manager.dismissAll();
    this.#parts?.plugin.remove();
  }

  report(): EnrolmentReport {
    return {
      node: this.#options.node,
      iptables: this.#parts?.iptables.preferred.flavour ?? 'unknown',
      ready: this.#isReady,
      ztunnelConnections: this.#parts?.zds.connections ?? 0,
      ...(this.#kernel && { kernel: this.#kernel }),
      ...(this.#installer && { plugin: this.#installer.report() }),
      pods: this.#parts === undefined ? [] : reportPods(this.#parts.manager),
    };
  }

  /** Looks at everything once, now. */
  async reconcile(): Promise<void> {
    if (this.#parts === undefined) return;
    await this.#parts.manager.verifyAll();
    await this.#reconcileProbes(this.#parts);
  }

  /** Whoever asks while it is being looked, or soon after, gets that answer: anybody on the node's network may ask. */
  async #verifyNow(): Promise<EndpointResponse> {
    if (performance.now() - this.#verifiedAtMs > VERIFY_INTERVAL_MS) {
      this.#verifiedAtMs = performance.now();
      this.#verification = this.reconcile();
    }
    await this.#verification;
    return { body: 'verified\n' };
  }

  get #isReady(): boolean {
    return this.#isStarted && (this.#installer?.isReady ?? true);
  }

  #whyNotReady(): string {
    return this.#isStarted
      ? 'the CNI plugin is not installed'
      : 'pods of this node are still being looked at';
  }

  async #endTaint(): Promise<void> {
    if (!this.#isTaintDone) this.#isTaintDone = (await this.#options.cluster?.removeTaint()) ?? true;
  }

  async #makeParts(): Promise<Parts> {
    const { source, zdsPath, pluginPath, cluster } = this.#options;
    const iptables = await chooseIptables(this.#options.iptables, this.#host);
    const exemption = new ProbeExemption({ iptables, host: this.#host, kubeletUser: this.#kubeletUser() });
    const steps = new NodeSteps({
      finder: this.#makeFinder(),
      redirection: new Redirection(iptables),
      exemption,
      proxy: { add: (uid) => zds.add(uid), remove: (uid) => zds.remove(uid) },
      source,
      limit: new WorkLimit(CONCURRENT_CHANGES),
    });
    const manager = new EnrolmentManager({
      ...this.#options,
      steps,
      metrics: this.#metrics,
      namespaceLabels: cluster && ((name) => cluster.namespaceLabels(name)),
      reportFailure: cluster && ((pod, error) => cluster.reportFailure(pod, error)),
    });
    const zds = new ZdsServer({
      reactor: this.#reactor,
      path: zdsPath,
      workloads: manager,
      onSnapshotAnswer: (uid, error) => manager.onSnapshotAnswer(uid, error),
      onConnections: (count) => {
        this.#metrics.ztunnelConnections = count;
      },
    });
    const plugin = new PluginServer({
      path: pluginPath,
      enrol: (request, deadlineMs) => manager.enrolSandbox(request, deadlineMs),
      endSandbox: (path) => manager.endSandbox(path),
      onAnswer: (status) => this.#metrics.countPluginRequest(status),
    });
    return { iptables, exemption, manager, zds, plugin };
  }

  #kubeletUser(): number | undefined {
    const { hostProc } = this.#options;
    const user = hostProc === undefined ? undefined : kubeletUser(hostProc);
    log.info('probes are exempt', {
      from: user === undefined ? 'every process of the node' : `user ${user}`,
    });
    return user;
  }

  #makeFinder(): NetnsFinder {
    const { netnsFolder, hostProc } = this.#options;
    const folder = new NetnsFolder(netnsFolder, this.#host.inode, hostProc);
    return hostProc === undefined
      ? folder
      : new NetnsFinders(folder, new ProcessNetns(hostProc, this.#host.inode));
  }

  #planReconciliation(parts: Parts): void {
    if (this.#isStopped) return;
    this.#reconcileTimer = setTimeout(async () => {
      await parts.manager.verifyAll();
      await this.#reconcileProbes(parts);
      await this.#endTaint();
      this.#planReconciliation(parts);
    }, RECONCILE_INTERVAL_MS);
  }

  async #reconcileProbes({ exemption, manager }: Parts): Promise<void> {
    try {
      const { rules, missing, stale } = await exemption.reconcile(manager.knowsAllAddresses);
      for (const finding of rules) this.#noteOnNode('probe-rules', formatFinding(finding));
      for (const ip of missing) this.#noteOnNode('probe-set', `${ip} was missing`);
      for (const ip of stale) this.#noteOnNode('probe-set', `${ip} belongs to no enrolled pod`);
    } catch (thrown) {
      log.error('probe exemption not reconciled', { error: messageOf(thrown) });
    }
  }

  #noteOnNode(kind: 'probe-rules' | 'probe-set', detail: string): void {
    this.#metrics.countFinding(kind);
    log.warn('found and repaired on the node', { finding: kind, detail });
  }
}

/** On a kernel without IPv6 there is no wildcard of both families. */
async function listenAnywhere(endpoint: HttpEndpoint, port: number): Promise<number> {
  try {
    return await endpoint.listen('::', port);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw thrown;
    return endpoint.listen('0.0.0.0', port);
  }
}
