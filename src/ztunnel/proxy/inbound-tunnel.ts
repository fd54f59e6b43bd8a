/** One CONNECT request to a pod: judged by policy, connected to the application, then relayed. */

import type { AmbitError } from '../../base/errors.ts';
import type { SocketAddress } from '../../base/ip.ts';
import { formatSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import { ConnectStatus, responseHeaders } from '../../hbone/connect-request.ts';
import { type ConnectTarget, formatConnectTarget } from '../../hbone/connect-target.ts';
import type { InboundConnect } from '../../hbone/hbone-server-connection.ts';
import type { ConnectResponder } from '../../hbone/inbound-connect.ts';
import type { Lane } from '../../io/lane.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import { type InboundForward, resolveInbound } from '../../mesh/inbound-resolution.ts';
import type { PolicySource } from '../../mesh/policy-subject.ts';
import type { Workload } from '../../mesh/workload.ts';
import { NativeBuffer } from '../../sys/native-buffer.ts';
import { errors } from '../errors.ts';
import type { ConnectionDescription } from './connection-tracker.ts';
import { relayTunnel } from './hbone-relay.ts';
import { proxyHeader } from './proxy-protocol.ts';
import { illegalPorts } from './reactor-context.ts';
import type { ServedPod } from './served-pod.ts';
import { baggageOf } from './tunnel-dialer.ts';
import { denialOf } from './verdict.ts';

/** What the handshake told about the other end of a connection. */
export interface TunnelPeer {
  readonly identity: SpiffeId;
  readonly policySource: PolicySource;
  readonly chain: readonly Uint8Array[];
}

export class InboundTunnel {
  readonly #pod: ServedPod;
  readonly #request: InboundConnect<TunnelPeer>;
  readonly #respond: ConnectResponder;
  readonly #lane: Lane;
  #workload: Workload | undefined;
  #upstream: TcpSocket | undefined;
  readonly #settled: () => void;
  #over = false;

  /** @param lane in which the answer of the application's kernel waits for its turn */
  constructor(pod: ServedPod, request: InboundConnect<TunnelPeer>, respond: ConnectResponder, lane: Lane) {
    this.#pod = pod;
    this.#request = request;
    this.#respond = respond;
    this.#lane = lane;
    this.#settled = pod.context.tracker.beginning(pod.info.uid, (error) => this.#cut(error));
  }

  start(): void {
    const { context, info } = this.#pod;
    // This one counts already.
    if (context.tracker.countOf(info.uid) > context.maxConnectionsPerPod) {
      this.#pod.limits.reached('connections_per_pod');
      const text = `pod ${info.namespace}/${info.name} holds ${context.maxConnectionsPerPod} connections`;
      return this.#fail(ConnectStatus.unavailable, errors.AMBIT_CONNECTION_LIMIT(text), undefined);
    }
    this.#pod.whenWorkloadKnown((workload) => {
      if (this.#over) return;
      this.#workload = workload;
      this.#resolve();
    });
  }

  get #localIp() {
    return this.#request.connection.localAddress.ip;
  }

  #resolve(): void {
    const { context } = this.#pod;
    const decision = resolveInbound(context.mesh, {
      target: this.#request.target,
      local: this.#workload,
      localIp: this.#localIp,
      network: context.config.network,
      illegalPorts: illegalPorts(context.config),
      forwardedHost: this.#request.serviceHostname,
    });
    if (decision.kind === 'refused') return this.#fail(decision.status, decision.error, undefined);
    this.#judge(decision);
  }

  #judge(forward: InboundForward): void {
    const denial = denialOf(this.#pod.context, this.#workload!, this.#subject(forward));
    if (denial === undefined) return this.#connect(forward);
    this.#fail(ConnectStatus.denied, denial, forward);
  }

  #connect(forward: InboundForward): void {
    const upstream = this.#pod.connectPlain(forward.dial, this.#upstreamSource(forward), {
      // Either costs as much as the request, and hundreds may come at once: when SYNs that found a queue full are sent again.
      onOpen: () =>
        this.#lane.defer({
          run: () => this.#onConnected(forward, upstream),
          onFailure: (thrown) => upstream.onFailure(thrown),
        }),
      onFailed: (error) =>
        this.#lane.defer({ run: () => this.#fail(ConnectStatus.unavailable, error, forward) }),
    });
    this.#upstream = upstream;
    this.#respond.whenCancelled(() => {
      this.#end();
      // Not by FIN: sockets in TIME_WAIT use up source ports, and finding a free one among few takes milliseconds.
      upstream.abort();
    });
  }

  #cut(error: AmbitError): void {
    this.#fail(ConnectStatus.unavailable, error, undefined);
    this.#upstream?.abort();
  }

  #end(): void {
    this.#over = true;
    this.#settled();
  }

  /** The application sees the peer's address, except where the pod calls itself or gets a PROXY header. */
  #upstreamSource(forward: InboundForward): SocketAddress | undefined {
    const { config } = this.#pod.context;
    const { ip } = this.#request.connection.remoteAddress;
    if (forward.proxyProtocol !== undefined) {
      return config.localhostAppTunnel ? { ip: forward.dial.ip, port: 0 } : undefined;
    }
    return this.#pod.keepsSource && ip !== forward.dial.ip ? { ip, port: 0 } : undefined;
  }

  #onConnected(forward: InboundForward, upstream: TcpSocket): void {
    if (this.#over) return;
    this.#end();
    if (!this.#sendProxyHeader(forward, upstream)) return upstream.abort();
    const { config } = this.#pod.context;
    const described = config.responseBaggage ? baggageOf(this.#workload!) : undefined;
    const tunnel = this.#respond.accept(responseHeaders(ConnectStatus.ok, described));
    if (tunnel === undefined) return upstream.abort();
    relayTunnel(this.#pod, { socket: upstream, tunnel }, this.#describe(forward));
  }

  /** It fits into the empty send buffer of a new connection as a whole, or the connection is of no use. */
  #sendProxyHeader(forward: InboundForward, upstream: TcpSocket): boolean {
    if (forward.proxyProtocol === undefined) return true;
    const header = proxyHeader({
      source: this.#request.connection.remoteAddress,
      destination: forward.proxyProtocol.destination,
      identity: formatSpiffeId(this.#request.connection.peer.identity),
    });
    const buffer = new NativeBuffer(header.length);
    buffer.bytes.set(header);
    return upstream.sendFrom(buffer, 0, header.length) === header.length;
  }

  #subject(forward: InboundForward) {
    return {
      workloadUid: this.#pod.workloadUid,
      source: this.#request.connection.peer.policySource,
      sourceIp: this.#request.connection.remoteAddress.ip,
      destinationIp: forward.policyDestination.ip,
      destinationPort: forward.policyDestination.port,
    };
  }

  #fail(status: number, error: AmbitError, forward: InboundForward | undefined): void {
    if (this.#over) return;
    this.#end();
    this.#pod.connectionFailed(this.#describe(forward), error);
    this.#respond.refuse(status);
  }

  #describe(forward: InboundForward | undefined): ConnectionDescription {
    const { connection, target } = this.#request;
    const destination = forward?.dial ?? connection.localAddress;
    const service = forward?.service;
    return {
      podUid: this.#pod.info.uid,
      originalDestination: connection.localAddress,
      protocol: 'HBONE',
      peerChain: connection.peer.chain,
      subject: forward && this.#subject(forward),
      parties: {
        reporter: 'destination',
        source: this.#sourceWorkload(),
        destination: this.#workload,
        sourceIdentity: connection.peer.identity,
        destinationIdentity: this.#pod.identity,
        service: service && { namespace: service.namespace, name: service.name, hostname: service.hostname },
      },
      addresses: {
        source: connection.remoteAddress,
        destination,
        hboneTarget: leadsTo(target, destination) ? undefined : formatConnectTarget(target),
      },
    };
  }

  /** By address, unless the peer speaks for another network, where the same address is somebody else. */
  #sourceWorkload(): Workload | undefined {
    const { mesh, config } = this.#pod.context;
    const { sourceNetwork, connection } = this.#request;
    const foreign =
      sourceNetwork !== undefined && sourceNetwork.toLowerCase() !== config.network.toLowerCase();
    return foreign ? undefined : mesh.workloadByAddress(config.network, connection.remoteAddress.ip);
  }
}

function leadsTo(target: ConnectTarget, { ip, port }: SocketAddress): boolean {
  return target.kind === 'address' && target.address.ip === ip && target.address.port === port;
}
