/** One pod as one reactor thread serves it: its listeners, its DNS, its tunnels. */

import { type AmbitError, messageOf } from '../../base/errors.ts';
import { familyOf, type IpAddress, type SocketAddress } from '../../base/ip.ts';
import { formatSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import { HeldAccount } from '../../hbone/held-account.ts';
import type { TcpListener } from '../../io/tcp-listener.ts';
import { type SocketOptions, TcpSocket, type TcpSocketHandler } from '../../io/tcp-socket.ts';
import { type DnsResolution, resolveDnsName } from '../../mesh/dns-resolution.ts';
import { meshErrors } from '../../mesh/errors.ts';
import type { Workload } from '../../mesh/workload.ts';
import { errnoName } from '../../sys/errno.ts';
import { enlargeLoopbackPackets } from '../../sys/loopback-device.ts';
import { NetworkNamespace } from '../../sys/network-namespace.ts';
import { countListeners } from '../../sys/reuse-port.ts';
import { SourcePorts } from '../../sys/source-ports.ts';
import { logger } from '../../telemetry/log.ts';
import type { ZtunnelConfig } from '../config.ts';
import { DnsProxy, LOOPBACK_V4, LOOPBACK_V6 } from '../dns/dns-proxy.ts';
import { errors } from '../errors.ts';
import { InboundPlaintext } from './inbound-plaintext.ts';
import { InboundTunnels } from './inbound-tunnels.ts';
import { LimitReporter } from './limit-reporter.ts';
import { CONNECT_TIMEOUT_MS, DNS_QUERIES_PER_POD, MAX_HELD_BYTES_PER_POD } from './limits.ts';
import type { PodInfo } from './messages.ts';
import { OutboundConnection } from './outbound-connection.ts';
import { PodHandover } from './pod-handover.ts';
import {
  INBOUND_HBONE_PORT,
  INBOUND_PLAINTEXT_PORT,
  OUTBOUND_PORT,
  openPodListeners,
  type PodListener,
  SOCKS5_PORT,
} from './pod-listeners.ts';
import type { ReactorContext } from './reactor-context.ts';
import type { DialCallbacks, FailedConnection, ServedPod } from './served-pod.ts';
import { Socks5Session } from './socks5-session.ts';
import { TunnelDialer } from './tunnel-dialer.ts';

const log = logger('proxy');

const NOBODY: TcpSocketHandler = { onReadable() {}, onWritable() {}, onClosed() {} };

export class PodProxy implements ServedPod {
  readonly context: ReactorContext;
  readonly info: PodInfo;
  readonly limits: LimitReporter;
  readonly held: HeldAccount;
  readonly identity: SpiffeId;
  readonly identityUri: string;
  readonly workloadUid: string;
  readonly #tunnels: TunnelDialer;
  readonly #namespace: NetworkNamespace;
  readonly #sourcePorts = new SourcePorts();
  readonly #isSelf: boolean;
  readonly #tcp: ReturnType<typeof tcpOptions>;
  readonly #inbound: InboundTunnels;
  readonly #reportExhausted = (error: string): void => this.limits.reached('descriptors', { error });
  #listeners: TcpListener[] = [];
  #dns: DnsProxy | undefined;
  #handover: PodHandover | undefined;

  /**
   * The descriptor stays the main thread's, which closes it after every thread has let the pod go. Without one the pod
   * is the proxy itself, in the namespace it runs in.
   */
  constructor(context: ReactorContext, info: PodInfo, namespaceFd: number | undefined) {
    this.context = context;
    this.info = info;
    const { namespace, name, serviceAccount } = info;
    this.identity = { trustDomain: context.config.trustDomain, namespace, serviceAccount };
    this.identityUri = formatSpiffeId(this.identity);
    this.workloadUid = `${context.config.clusterId}//Pod/${namespace}/${name}`;
    this.limits = new LimitReporter(context, info);
    this.held = new HeldAccount(MAX_HELD_BYTES_PER_POD, () => this.limits.reached('held_bytes_per_pod'));
    this.#isSelf = namespaceFd === undefined;
    this.#tcp = tcpOptions(context.config);
    this.#namespace =
      namespaceFd === undefined ? NetworkNamespace.current() : NetworkNamespace.fromFd(namespaceFd);
    this.#tunnels = new TunnelDialer(this);
    this.#inbound = new InboundTunnels(this);
  }

  get namespace(): NetworkNamespace {
    return this.#namespace;
  }

  get workload(): Workload | undefined {
    return this.context.mesh.workloadByUid(this.workloadUid);
  }

  /** Nothing in the proxy's own namespace would bring the answers to a foreign address back to it. */
  get keepsSource(): boolean {
    return this.context.config.originalSource && !this.#isSelf;
  }

  get #mark(): number | undefined {
    return this.#isSelf ? undefined : this.context.config.packetMark;
  }

  /** @throws AmbitError when a listener cannot be opened; nothing is left open then. */
  start(): void {
    // There and back once for all sockets.
    this.#namespace.run(() => this.#open());
  }

  #open(): void {
    const { reactor, config } = this.context;
    const options = {
      reactor,
      namespace: this.#namespace,
      ipv6: config.ipv6,
      tcp: this.#tcp,
      onExhausted: this.#reportExhausted,
      onShareUsedUp: () => this.limits.reached('turn_share_per_pod'),
    };
    if (!this.#isSelf) this.#enlargePackets();
    this.#listeners = openPodListeners(options, this.#wantedListeners());
    try {
      if (config.dnsProxy && !this.#isSelf) this.#startDns();
    } catch (thrown) {
      this.stopListening();
      throw errors.AMBIT_POD_START_FAILED(`DNS could not be served in the pod: ${messageOf(thrown)}`, thrown);
    }
  }

  /** Whatever the proxy hands to the pod's applications passes loopback. Without it everything works as well. */
  #enlargePackets(): void {
    const result = enlargeLoopbackPackets();
    if (result === 0) return;
    log.debug('packets on loopback stay small', { pod: this.info.name, error: errnoName(result) });
  }

  /** Nothing is redirected to the proxy itself: it only takes HBONE, so that its metrics can be read through it. */
  #wantedListeners(): PodListener[] {
    const hbone = { port: INBOUND_HBONE_PORT, onAccept: (socket: TcpSocket) => this.#inbound.accept(socket) };
    if (this.#isSelf) return [hbone];
    return [
      hbone,
      {
        port: OUTBOUND_PORT,
        onAccept: (socket) =>
          this.#admit(socket, () => new OutboundConnection(this, this.#tunnels, socket).start()),
      },
      {
        port: INBOUND_PLAINTEXT_PORT,
        onAccept: (socket) => this.#admit(socket, () => new InboundPlaintext(this, socket).start()),
      },
      ...(this.context.config.socks5 ? [this.#socks5Listener()] : []),
    ];
  }

  #socks5Listener(): PodListener {
    const start = (socket: TcpSocket) => {
      const session = new Socks5Session(this, socket, {
        resolve: (name, callback) => this.#resolveName(name, callback),
        onRequest: (destination, answer) =>
          new OutboundConnection(this, this.#tunnels, socket, { destination, answer }).start(),
      });
      session.start();
    };
    const onAccept = (socket: TcpSocket) => this.#admit(socket, () => start(socket));
    return { port: SOCKS5_PORT, ip: LOOPBACK_V4, onAccept };
  }

  /** A name of the mesh as DNS in the pod would answer it, or whatever else the proxy can find. */
  #resolveName(name: string, callback: (addresses: readonly IpAddress[]) => void): void {
    const found = this.#lookUp(name);
    if (found.kind === 'addresses') return callback([...found.v4, ...found.v6]);
    this.context.hostnames.resolve(name, callback);
  }

  #lookUp(name: string): DnsResolution {
    const { config, mesh } = this.context;
    return resolveDnsName(mesh, name, {
      namespace: this.info.namespace,
      network: config.network,
      clusterDomain: config.clusterDomain,
      searchDomains: this.info.searchDomains,
    });
  }

  /** Takes no new connection; those that are open go on. */
  stopListening(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    this.#dns?.close();
    this.#dns = undefined;
  }

  /** Leaves the pod to the next proxy, as soon as there is one; until then it is served as before. */
  handOver(): void {
    const { reactor, config } = this.context;
    this.#handover ??= new PodHandover(reactor, {
      ownListeners: config.workerThreads,
      countListeners: () => this.#countListeners(),
      steer: (index) => this.#steer(index),
      onSteered: () => this.#inbound.drain(),
      ignoreNew: () => this.#ignoreNew(),
      onReleased: () => this.#release(),
    });
  }

  /** Whether the next proxy is there, and this one has still to take what was on its way to it. */
  get isHandingOver(): boolean {
    return this.#handover?.isUnderWay === true || (this.isReleased && this.#dns?.isBusy === true);
  }

  /** Takes nothing new any more. */
  get isReleased(): boolean {
    return this.#handover?.isReleased === true;
  }

  /** Ends serving without a successor; peers hear of it. */
  release(): void {
    this.#inbound.drain();
    this.#handover?.release();
  }

  /** Connections of peers that are open or about to be. */
  get peerConnections(): number {
    return this.#inbound.connections;
  }

  get peerTunnels(): number {
    return this.#inbound.openTunnels;
  }

  #countListeners(): number {
    const [listener] = this.#listeners;
    if (listener === undefined) return 0;
    const { ip, port } = listener.localAddress;
    return this.#namespace.run(() => countListeners(port, familyOf(ip)));
  }

  #steer(index: number): void {
    for (const listener of this.#listeners) listener.steer(index);
    this.#dns?.steer(index);
  }

  #ignoreNew(): void {
    for (const listener of this.#listeners) listener.ignoreNew();
    this.#dns?.ignoreNew();
  }

  #release(): void {
    for (const listener of this.#listeners.splice(0)) listener.closeEmptied();
    this.#dns?.stopAccepting();
  }

  /** Ends the HBONE connections, in use or not, whose other end showed such a chain. */
  closeWhere(isWanted: (peerChain: readonly Uint8Array[]) => boolean): void {
    this.#tunnels.closeWhere(isWanted);
    this.#inbound.closeWhere(isWanted);
  }

  /**
   * Takes nothing more and ends everything at once, by a reset: what still stood when the process ends would be closed
   * by the kernel, which applications take for the end of their data.
   */
  stop(reason: AmbitError): void {
    this.stopListening();
    this.#handover?.release();
    this.context.tracker.cutPod(this.info.uid, reason);
    this.#inbound.close();
    this.#tunnels.close();
  }

  whenWorkloadKnown(callback: (workload: Workload | undefined) => void): void {
    this.context.workloads.whenKnown(this.workloadUid, callback);
  }

  unknownWorkload(): AmbitError {
    const { namespace, name } = this.info;
    const text = `the control plane has not described pod ${namespace}/${name} (${this.workloadUid})`;
    return meshErrors.AMBIT_LOCAL_WORKLOAD_UNKNOWN(text);
  }

  connectPlain(
    remote: SocketAddress,
    source: SocketAddress | undefined,
    callbacks: DialCallbacks,
  ): TcpSocket {
    let open = false;
    return this.connectSocket(remote, source, {
      onConnected() {
        open = true;
        callbacks.onOpen();
      },
      onReadable() {},
      onWritable() {},
      onClosed(error) {
        if (!open && error !== undefined) callbacks.onFailed(error);
      },
    });
  }

  connectSocket(
    remote: SocketAddress,
    source: SocketAddress | undefined,
    handler: TcpSocketHandler = NOBODY,
  ): TcpSocket {
    return TcpSocket.connect(this.context.reactor, remote, this.#socketOptions(source), handler);
  }

  #socketOptions(source: SocketAddress | undefined): SocketOptions {
    return {
      ...this.#tcp,
      namespace: this.#namespace,
      mark: this.#mark,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      transparent: source !== undefined,
      bindTo: source,
      sourcePorts: this.#sourcePorts,
    };
  }

  connectionFailed({ parties, addresses }: FailedConnection, error: AmbitError): void {
    if (error.code === 'AMBIT_SOURCE_PORTS_EXHAUSTED') this.limits.reached('source_ports');
    this.context.tracker.failed(parties, addresses, error);
  }

  /** Starts a connection unless the pod has too many. */
  #admit(socket: TcpSocket, start: () => void): void {
    if (this.context.tracker.countOf(this.info.uid) < this.context.maxConnectionsPerPod) return start();
    this.limits.reached('connections_per_pod');
    socket.abort();
  }

  #startDns(): void {
    const { reactor, config, store, nameservers } = this.context;
    const dns = new DnsProxy({
      reactor,
      store,
      nameservers,
      namespace: this.#namespace,
      mark: config.packetMark,
      ipv6: config.ipv6,
      queries: DNS_QUERIES_PER_POD,
      onLimit: (limit) => this.limits.reached(limit),
      onExhausted: this.#reportExhausted,
      resolve: (name) => this.#lookUp(name),
      client: () => ({
        canonicalService: this.workload?.canonicalName || 'unknown',
        canonicalRevision: this.workload?.canonicalRevision || 'unknown',
      }),
    });
    this.#dns = dns;
    dns.listen(LOOPBACK_V4);
    if (config.ipv6) this.#listenOnLoopbackV6(dns);
  }

  /** Pods without IPv6 have no ::1, and need none. */
  #listenOnLoopbackV6(dns: DnsProxy): void {
    try {
      dns.listen(LOOPBACK_V6);
    } catch (thrown) {
      log.debug('no DNS on ::1', { pod: this.info.name, error: messageOf(thrown) });
    }
  }
}

/** Of every connection, accepted or opened. */
function tcpOptions({ keepAlive, userTimeoutMs }: ZtunnelConfig) {
  const { enabled, timeSeconds, intervalSeconds, retries } = keepAlive;
  return {
    keepAlive: enabled && {
      idleMs: timeSeconds * 1000,
      intervalMs: intervalSeconds * 1000,
      probes: retries,
    },
    userTimeoutMs,
  };
}
