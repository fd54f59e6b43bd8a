/** One connection that a pod opens: from the captured socket to the relay, over HBONE or in plain text. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress, type IpAddress, type SocketAddress } from '../../base/ip.ts';
import type { SpiffeId } from '../../base/spiffe-id.ts';
import type { TcpSocket, TcpSocketHandler } from '../../io/tcp-socket.ts';
import { meshErrors } from '../../mesh/errors.ts';
import {
  type OutboundDecision,
  resolveOutbound,
  withResolvedAddress,
} from '../../mesh/outbound-resolution.ts';
import type { Service } from '../../mesh/service.ts';
import { identityOf, type Workload } from '../../mesh/workload.ts';
import type { ConnectionAddresses, ConnectionParties } from '../telemetry/connection-parties.ts';
import { ON_DEMAND_DNS } from '../telemetry/metric-definitions.ts';
import type { ConnectionDescription } from './connection-tracker.ts';
import { relayTunnel } from './hbone-relay.ts';
import { MAX_DIAL_ATTEMPTS } from './limits.ts';
import { relayPlain } from './plain-relay.ts';
import { illegalPorts } from './reactor-context.ts';
import type { ServedPod } from './served-pod.ts';
import type { OpenTunnel, TunnelDialer } from './tunnel-dialer.ts';

type Decision = Exclude<OutboundDecision, { kind: 'refused' }>;

/** What the application has said to the proxy itself, when it knows that there is one. */
export interface ProxyRequest {
  readonly destination: SocketAddress;
  /** Called once: the connection stands, or why it does not. */
  readonly answer: (error: AmbitError | undefined) => void;
}

/** Lives from accept until a relay takes over or the connection has failed. */
export class OutboundConnection implements TcpSocketHandler {
  readonly #pod: ServedPod;
  readonly #tunnels: TunnelDialer;
  readonly #socket: TcpSocket;
  readonly #destination: SocketAddress;
  readonly #request: ProxyRequest | undefined;
  #source: Workload | undefined;
  #tried: Set<string> | undefined;
  #attempts = 0;
  #cancelDial: (() => void) | undefined;
  readonly #settled: () => void;
  #over = false;

  /** Takes over the socket of a captured connection, or of one that was made to the proxy with a request. */
  constructor(pod: ServedPod, tunnels: TunnelDialer, socket: TcpSocket, request?: ProxyRequest) {
    this.#pod = pod;
    this.#tunnels = tunnels;
    this.#socket = socket;
    this.#request = request;
    this.#destination = request?.destination ?? socket.originalDestination() ?? socket.localAddress;
    this.#settled = pod.context.tracker.beginning(pod.info.uid, (error) => this.#fail(error, undefined));
    socket.handler = this;
  }

  start(): void {
    if (this.#isSelfCall()) {
      const text = `attempted recursive call to ourselves: ${formatSocketAddress(this.#destination)}`;
      return this.#fail(meshErrors.AMBIT_SELF_CALL(text), undefined);
    }
    this.#pod.whenWorkloadKnown((source) => {
      if (this.#over) return;
      if (source === undefined) return this.#fail(this.#pod.unknownWorkload(), undefined);
      this.#source = source;
      this.#attempt();
    });
  }

  onReadable(): void {}

  onWritable(): void {}

  /** The application is gone before its connection was established. */
  onClosed(): void {
    this.#end();
    this.#cancelDial?.();
  }

  /** A connection to a port of the proxy in this very pod, which no redirection rule sends here. */
  #isSelfCall(): boolean {
    const { ip, port } = this.#destination;
    if (!illegalPorts(this.#pod.context.config).has(port)) return false;
    return ip === this.#socket.localAddress.ip || ip === '127.0.0.1' || ip === '::1';
  }

  /** If no other endpoint is left, the failure of the one that was tried is what the operator wants to read. */
  #attempt(previous?: { readonly decision: Decision; readonly error: AmbitError }): void {
    this.#attempts++;
    const { context } = this.#pod;
    const decision = resolveOutbound(context.mesh, {
      source: this.#source!,
      destination: this.#destination,
      network: context.config.network,
      random: Math.random,
      exclude: this.#tried,
    });
    if (decision.kind === 'refused') {
      return this.#fail(previous?.error ?? decision.error, previous?.decision ?? decision);
    }
    if (decision.dial.kind === 'address') return this.#dial(decision, decision.dial);
    this.#resolveThenDial(decision, decision.dial.hostname);
  }

  #resolveThenDial(decision: Decision, hostname: string): void {
    const { store, hostnames } = this.#pod.context;
    store.add(store.series(ON_DEMAND_DNS, [hostname]), 1);
    hostnames.resolve(hostname, (addresses) => {
      if (this.#over) return;
      const ip = addresses[0];
      if (ip !== undefined) return this.#dialResolved(decision, ip);
      const error = meshErrors.AMBIT_NO_VALID_DESTINATION(
        `host name ${hostname} of the workload has no address`,
      );
      this.#fail(error, decision);
    });
  }

  #dialResolved(decision: Decision, ip: IpAddress): void {
    const resolved = withResolvedAddress(decision, ip);
    if (resolved.dial.kind === 'address') this.#dial(resolved, resolved.dial);
  }

  #dial(decision: Decision, address: SocketAddress): void {
    if (decision.kind === 'passthrough' || decision.kind === 'plain')
      return this.#dialPlain(decision, address);
    const authority = decision.authority ?? formatSocketAddress(address);
    const tunnel = {
      address,
      authority,
      source: this.#source!,
      sourceAddress: this.#socket.remoteAddress,
      expectedIdentities: decision.expectedIdentities,
      serviceHostname: decision.service?.hostname,
      inner: decision.kind === 'gateway' ? decision.inner : undefined,
    };
    this.#cancelDial = this.#tunnels.open(tunnel, {
      onOpen: (open) => this.#onTunnel(decision, address, { ...open, authority }),
      onFailed: (error, retryable) => this.#onDialFailed(decision, error, retryable),
    });
  }

  #dialPlain(decision: Decision, address: SocketAddress): void {
    const upstream = this.#pod.connectPlain(address, undefined, {
      onOpen: () => this.#onPlain(decision, address, upstream),
      onFailed: (error) => this.#onDialFailed(decision, error, error.retryable),
    });
    this.#cancelDial = () => upstream.close();
  }

  #onDialFailed(decision: Decision, error: AmbitError, retryable: boolean): void {
    if (this.#over) return;
    this.#cancelDial = undefined;
    if (!retryable || decision.kind === 'passthrough' || this.#attempts >= MAX_DIAL_ATTEMPTS) {
      return this.#fail(error, decision);
    }
    this.#tried ??= new Set();
    this.#tried.add(decision.endpoint.uid);
    this.#attempt({ decision, error });
  }

  #onTunnel(decision: Decision, address: SocketAddress, open: OpenTunnel & { authority: string }): void {
    this.#end();
    const { authority, peerIdentity } = open;
    const secured = { authority, source: identityOf(this.#source!), destination: peerIdentity };
    const description = this.#describe(decision, address, secured);
    this.#request?.answer(undefined);
    relayTunnel(
      this.#pod,
      { socket: this.#socket, tunnel: open.tunnel },
      {
        ...description,
        protocol: decision.kind === 'gateway' ? 'DOUBLEHBONE' : 'HBONE',
        peerChain: open.peerChain,
      },
    );
  }

  #onPlain(decision: Decision, address: SocketAddress, upstream: TcpSocket): void {
    if (this.#over) return upstream.close();
    this.#end();
    const description = this.#describe(decision, address, undefined);
    this.#request?.answer(undefined);
    relayPlain(
      this.#pod.context,
      { client: this.#socket, server: upstream },
      { ...description, protocol: 'TCP' },
    );
  }

  #end(): void {
    this.#over = true;
    this.#settled();
  }

  #fail(error: AmbitError, decision: OutboundDecision | undefined): void {
    if (this.#over) return;
    this.#end();
    this.#pod.connectionFailed(this.#describe(decision, this.#destination, undefined), error);
    if (this.#request === undefined) return this.#socket.abort();
    this.#request.answer(error);
    this.#socket.close();
  }

  #describe(
    decision: OutboundDecision | undefined,
    actual: SocketAddress,
    tunnel: { authority: string; source: SpiffeId; destination: SpiffeId } | undefined,
  ): Omit<ConnectionDescription, 'protocol'> & {
    parties: ConnectionParties;
    addresses: ConnectionAddresses;
  } {
    const endpoint = decision !== undefined && 'endpoint' in decision ? decision.endpoint : undefined;
    return {
      podUid: this.#pod.info.uid,
      originalDestination: this.#destination,
      parties: {
        reporter: 'source',
        source: this.#source,
        destination: endpoint,
        sourceIdentity: tunnel?.source,
        destinationIdentity: tunnel?.destination,
        service: serviceName(decision?.service),
      },
      addresses: {
        source: this.#socket.remoteAddress,
        destination: actual,
        hboneTarget: tunnel?.authority,
      },
    };
  }
}

function serviceName(service: Service | undefined): ConnectionParties['service'] {
  return service && { namespace: service.namespace, name: service.name, hostname: service.hostname };
}
