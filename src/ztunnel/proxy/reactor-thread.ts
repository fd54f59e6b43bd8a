/** The entry of a reactor thread: an epoll loop that serves every pod of the node, told what to do by the main thread. */

import { flushCompileCache } from 'node:module';
import { getHeapStatistics } from 'node:v8';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { Http2Counters } from '../../http/http2-counters.ts';
import { RevocationList } from '../../identity/revocation-list.ts';
import { Reactor } from '../../io/reactor.ts';
import { MeshState } from '../../mesh/mesh-state.ts';
import { collectThreadStep, releaseThreadMemory } from '../../sys/process-memory.ts';
import {
  flushLog,
  logger,
  resetLogLevels,
  setLogFormat,
  setLogLevels,
  setLogSink,
} from '../../telemetry/log.ts';
import { SeriesStore } from '../../telemetry/series-store.ts';
import { applyUpdate, type RejectedResource } from '../../xds/mesh-resources.ts';
import { readSharedUpdate, type SharedUpdate } from '../../xds/shared-update.ts';
import { errors } from '../errors.ts';
import { maxDescriptors } from '../telemetry/max-descriptors.ts';
import { REACTOR_METRICS } from '../telemetry/metric-definitions.ts';
import { reportReactorGauges } from '../telemetry/reactor-gauges.ts';
import { ConnectionTracker } from './connection-tracker.ts';
import { dumpMesh } from './dump-mesh.ts';
import { HostnameResolver } from './hostname-resolver.ts';
import { connectionsPerPod, REPORT_INTERVAL_MS } from './limits.ts';
import type { FromReactor, PodInfo, ReactorBoot, ToReactor } from './messages.ts';
import { PodProxy } from './pod-proxy.ts';
import { cutRevoked, reevaluate } from './policy-watch.ts';
import { QuietCollection } from './quiet-collection.ts';
import type { ReactorContext } from './reactor-context.ts';
import { TlsContexts } from './tls-contexts.ts';
import { WorkloadWait } from './workload-wait.ts';

const log = logger('reactor');
/** Node timers do not fire in this thread, so the log is flushed by the loop. */
const LOG_FLUSH_MS = 50;
/** So long without an event is quiet. */
const QUIET_MS = 250;
/** How often a thread that stops looks whether it may. */
const DRAIN_LOOK_MS = 100;

/** Everything of one thread, and the messages that change it. */
class ReactorThread {
  readonly #context: ReactorContext;
  readonly #pods = new Map<string, PodProxy>();
  readonly #collection: QuietCollection;
  #draining = false;

  constructor(boot: ReactorBoot) {
    const reactor = new Reactor();
    const mesh = new MeshState();
    const store: SeriesStore = new SeriesStore(REACTOR_METRICS, (entry) => say({ kind: 'series', entry }));
    this.#context = {
      config: boot.config,
      reactor,
      mesh,
      store,
      tls: new TlsContexts(
        reactor,
        (identity) => say({ kind: 'identity-wanted', identity }),
        boot.config.tls12,
      ),
      http2Counters: new Http2Counters(),
      tracker: new ConnectionTracker(store, () => reactor.nowMs),
      workloads: new WorkloadWait(reactor, (uid) => mesh.workloadByUid(uid)),
      hostnames: new HostnameResolver(reactor, (hostname) => say({ kind: 'hostname-wanted', hostname })),
      nameservers: boot.config.nameservers,
      maxConnectionsPerPod: connectionsPerPod(maxDescriptors(), boot.config.workerThreads),
      revocations: RevocationList.empty,
    };
    this.#collection = new QuietCollection({
      events: () => reactor.events,
      heapSize: () => getHeapStatistics().total_heap_size,
      connections: () => reactor.watched,
      step: collectThreadStep,
      release: releaseThreadMemory,
      finished: () => say({ kind: 'collected' }),
    });
    mesh.onChange((change) => {
      this.#context.workloads.recheck();
      reevaluate(this.#context, change);
    });
  }

  /** Never returns: the loop is the thread. */
  run(): void {
    const { reactor, store } = this.#context;
    reactor.onWake(() => this.#readMessages());
    this.#every(LOG_FLUSH_MS, flushLog);
    this.#every(REPORT_INTERVAL_MS, () => this.#report());
    this.#every(QUIET_MS, () => this.#collection.look());
    say({ kind: 'ready', wakeFd: reactor.wakeFd, series: store.memory });
    reactor.run();
  }

  #every(intervalMs: number, action: () => void): void {
    this.#context.reactor.setTimer(intervalMs, () => {
      action();
      this.#every(intervalMs, action);
    });
  }

  #report(): void {
    const { tracker, store, http2Counters } = this.#context;
    tracker.reportBytes();
    reportReactorGauges(store, http2Counters, tracker);
  }

  #readMessages(): void {
    for (
      let next = receiveMessageOnPort(parentPort!);
      next !== undefined;
      next = receiveMessageOnPort(parentPort!)
    ) {
      this.#handleSafely(next.message as ToReactor);
    }
  }

  /** A message that fails must not leave those behind it unread until the next wake-up. */
  #handleSafely(message: ToReactor): void {
    try {
      this.#handle(message);
    } catch (thrown) {
      this.#context.reactor.reportFailure(thrown);
    }
  }

  #handle(message: ToReactor): void {
    const context = this.#context;
    switch (message.kind) {
      case 'resources':
        return this.#takeResources(message.id, message.update);
      case 'mesh-read':
        return this.#collection.releaseWhenQuiet();
      case 'pod-add':
        return this.#addPod(message.pod, message.namespaceFd, message.attempt);
      case 'pod-remove':
        return this.#removePod(message.uid);
      case 'serve-self':
        return this.#serveSelf(message.pod);
      case 'identity':
        return context.tls.update(message.material);
      case 'revocations':
        return this.#setRevocations(message.content);
      case 'hostname':
        return context.hostnames.answer(message.hostname, message.addresses);
      case 'log-levels':
        if (message.specification === undefined) resetLogLevels();
        else setLogLevels(message.specification);
        return;
      case 'dump':
        return this.#dump(message.id, message.withMesh);
      case 'drain':
        return this.#drain();
      case 'close-all':
        return this.#closeAll();
    }
  }

  /** Whatever happens, the control thread hears of it: it waits with the next update until then. */
  #takeResources(id: number, update: SharedUpdate): void {
    let rejected: readonly RejectedResource[] = [];
    try {
      rejected = applyUpdate(this.#context.mesh, readSharedUpdate(update));
    } finally {
      say({ kind: 'resources-taken', id, rejected });
    }
  }

  #addPod(info: PodInfo, namespaceFd: number, attempt: number): void {
    let error: string | undefined;
    if (!this.#pods.has(info.uid)) {
      try {
        const pod = new PodProxy(this.#context, info, namespaceFd);
        pod.start();
        this.#pods.set(info.uid, pod);
        if (this.#draining) pod.handOver();
      } catch (thrown) {
        error = messageOf(thrown);
      }
    }
    say({ kind: 'pod-started', uid: info.uid, attempt, error });
  }

  /** Another process may hold the port where the network is the host's; then the proxy is only reached in plain text. */
  #serveSelf(info: PodInfo): void {
    const pod = new PodProxy(this.#context, info, undefined);
    try {
      pod.start();
      this.#pods.set(info.uid, pod);
    } catch (thrown) {
      log.warn('no HBONE for the proxy itself', { error: messageOf(thrown) });
    }
  }

  #removePod(uid: string): void {
    const pod = this.#pods.get(uid);
    this.#pods.delete(uid);
    pod?.stop(
      errors.AMBIT_POD_REMOVED(
        `connection closed: pod ${pod.info.namespace}/${pod.info.name} has left the mesh`,
      ),
    );
    say({ kind: 'pod-stopped', uid });
  }

  #setRevocations(content: Uint8Array | undefined): void {
    try {
      this.#context.revocations =
        content === undefined ? RevocationList.empty : RevocationList.parse(content);
      cutRevoked(this.#context, this.#pods.values());
    } catch (thrown) {
      const code = thrown instanceof AmbitError ? thrown.code : undefined;
      log.error('revocation list refused; the last good one stays', { error: messageOf(thrown), code });
    }
  }

  #dump(id: number, withMesh: boolean): void {
    const connections = this.#context.tracker.summaries();
    const dump = withMesh ? { connections, mesh: dumpMesh(this.#context.mesh) } : { connections };
    say({ kind: 'dump', id, dump });
  }

  #drain(): void {
    this.#draining = true;
    for (const pod of this.#pods.values()) pod.handOver();
    this.#lookWhetherDrained();
  }

  #closeAll(): void {
    const text = 'connection closed: the proxy stops and the grace period is over';
    for (const pod of this.#pods.values()) pod.stop(errors.AMBIT_DRAIN_DEADLINE(text));
  }

  #lookWhetherDrained(): void {
    const pods = [...this.#pods.values()];
    // Nobody takes over, and nobody would notice: there is no reason to stay.
    if (this.#isIdle(pods)) for (const pod of pods) pod.release();
    if (!pods.every((pod) => pod.isReleased && pod.peerConnections === 0) || !this.#isIdle(pods)) {
      this.#context.reactor.setTimer(DRAIN_LOOK_MS, () => this.#lookWhetherDrained());
      return;
    }
    flushLog();
    say({ kind: 'drained' });
  }

  #isIdle(pods: readonly PodProxy[]): boolean {
    if (!this.#context.tracker.isIdle) return false;
    return pods.every((pod) => !pod.isHandingOver && pod.peerTunnels === 0);
  }
}

function say(message: FromReactor): void {
  parentPort!.postMessage(message);
}

const boot = workerData as ReactorBoot;
setLogFormat(boot.config.logFormat);
setLogSink((text) => say({ kind: 'log', text }));
if (boot.config.logLevel !== undefined) setLogLevels(boot.config.logLevel);
// This thread never ends in good order, which is when it would be written.
flushCompileCache();
const thread = new ReactorThread(boot);
// Not from here: V8 would visit the handles of all that was loaded in each collection, for as long as the module is evaluated.
setImmediate(() => thread.run());
