/** Two small proxies with an HBONE connection between them: what goes into one port comes out at an application. */

import type { AmbitError } from '../../src/base/errors.ts';
import { formatSocketAddress, type IpAddress, type SocketAddress } from '../../src/base/ip.ts';
import { ConnectStatus, connectHeaders, responseHeaders } from '../../src/hbone/connect-request.ts';
import { HbonePool, type PoolKey, poolKey } from '../../src/hbone/hbone-pool.ts';
import { HboneServer } from '../../src/hbone/hbone-server.ts';
import type { InboundConnect } from '../../src/hbone/hbone-server-connection.ts';
import { HeldAccount } from '../../src/hbone/held-account.ts';
import type { ConnectResponder } from '../../src/hbone/inbound-connect.ts';
import type { SecureStream } from '../../src/hbone/secure-stream.ts';
import type { Tunnel } from '../../src/hbone/tunnel.ts';
import { type RelayEnd, TunnelRelay } from '../../src/hbone/tunnel-relay.ts';
import { Http2Counters } from '../../src/http/http2-counters.ts';
import type { Http2Settings } from '../../src/http/http2-settings.ts';
import type { ByteStreamHandler } from '../../src/io/byte-stream.ts';
import { PlainStream } from '../../src/io/plain-stream.ts';
import type { Reactor } from '../../src/io/reactor.ts';
import { TcpListener } from '../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../src/io/tcp-socket.ts';
import { TlsStream } from '../../src/io/tls-stream.ts';
import type { TlsContext } from '../../src/sys/tls-context.ts';
import { address } from './reactor-harness.ts';

/** A plain stream that says that its peer is somebody. */
export class TrustingStream extends PlainStream implements SecureStream {
  peerCertificateChain(): Uint8Array[] {
    return [Uint8Array.of(1)];
  }
}

export interface TunnelPairOptions {
  /** Without contexts the HBONE connection is plain text. */
  readonly tls?: { readonly client: TlsContext; readonly server: TlsContext };
  readonly settings?: Http2Settings;
  /** Decides about a request instead of connecting to the application. */
  readonly onConnect?: (request: InboundConnect<string>, respond: ConnectResponder) => void;
  readonly verifyUpstream?: (chain: Uint8Array[]) => AmbitError | undefined;
  readonly refuseDownstream?: AmbitError;
  readonly maxHandshakes?: number;
  /** Bytes that may wait for applications. */
  readonly maxHeld?: number;
}

export class TunnelPair {
  readonly reactor: Reactor;
  readonly clientCounters = new Http2Counters();
  readonly serverCounters = new Http2Counters();
  readonly held: HeldAccount;
  readonly server: HboneServer<string>;
  readonly pool: HbonePool<PoolKey>;
  /** Those that run. Not a Set: what it held stays in the old generation of V8, and a test looks at that. */
  readonly relays: TunnelRelay[] = [];
  readonly outboundEnds: RelayEnd[] = [];
  readonly inboundEnds: RelayEnd[] = [];
  readonly failures: AmbitError[] = [];
  readonly connectionErrors: (AmbitError | undefined)[] = [];
  dials = 0;
  readonly #options: TunnelPairOptions;
  /** Where the tunnels of the outbound port lead. */
  readonly application: SocketAddress;
  readonly #inbound: TcpListener;
  readonly #outbound: TcpListener;

  /** @param applicationPort on 127.0.0.1 */
  constructor(reactor: Reactor, applicationPort: number, options: TunnelPairOptions = {}) {
    this.reactor = reactor;
    this.#options = options;
    this.application = address(`127.0.0.1:${applicationPort}`);
    this.held = new HeldAccount(options.maxHeld ?? Number.POSITIVE_INFINITY, () => {});
    this.server = this.#makeServer();
    this.pool = this.#makePool();
    this.#inbound = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
      this.server.accept((handler) => this.#serverStream(socket, handler));
    });
    this.#outbound = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) =>
      this.#capture(socket),
    );
  }

  /** Where an application connects to. */
  get port(): number {
    return this.#outbound.localAddress.port;
  }

  /** Where the HBONE server listens. */
  get hbonePort(): number {
    return this.#inbound.localAddress.port;
  }

  get key(): PoolKey {
    return poolKey({
      sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/front',
      expectedIdentities: ['spiffe://cluster.local/ns/shop/sa/cart'],
      destination: this.#inbound.localAddress,
      sourceIp: '127.0.0.1' as IpAddress,
    });
  }

  /** No stream is open and nothing is held on any connection. */
  get isQuiet(): boolean {
    const { clientCounters, serverCounters } = this;
    const streams = clientCounters.streams - clientCounters.streamsClosed;
    return this.relays.length === 0 && streams + serverCounters.streams - serverCounters.streamsClosed === 0;
  }

  close(): void {
    this.pool.close();
    this.server.close();
    this.#inbound.close();
    this.#outbound.close();
  }

  #makeServer(): HboneServer<string> {
    const { settings, refuseDownstream, onConnect } = this.#options;
    return new HboneServer<string>({
      counters: this.serverCounters,
      maxHandshakes: this.#options.maxHandshakes ?? Number.POSITIVE_INFINITY,
      held: this.held,
      ...(settings === undefined ? {} : { settings }),
      verifyPeer: () =>
        refuseDownstream === undefined
          ? { kind: 'trusted', peer: 'front' }
          : { kind: 'refused', error: refuseDownstream },
      onConnect: onConnect ?? ((request, respond) => this.#forward(request, respond)),
      onConnectionEnd: (_, error) => this.connectionErrors.push(error),
    });
  }

  #makePool(): HbonePool<PoolKey> {
    const { settings, verifyUpstream } = this.#options;
    return new HbonePool<PoolKey>({
      counters: this.clientCounters,
      ...(settings === undefined ? {} : { settings }),
      dial: (key, handler) => this.#clientStream(key, handler),
      verifyPeer: (_, chain) => verifyUpstream?.(chain),
    });
  }

  #clientStream(key: PoolKey, handler: ByteStreamHandler): SecureStream {
    this.dials++;
    const socket = TcpSocket.connect(this.reactor, key.destination, {});
    const { tls } = this.#options;
    return tls === undefined
      ? new TrustingStream(socket, handler)
      : TlsStream.client(socket, tls.client, handler);
  }

  #serverStream(socket: TcpSocket, handler: ByteStreamHandler): SecureStream {
    const { tls } = this.#options;
    return tls === undefined
      ? new TrustingStream(socket, handler)
      : TlsStream.server(socket, tls.server, handler);
  }

  #capture(socket: TcpSocket): void {
    const authority = formatSocketAddress(this.application);
    const headers = connectHeaders({ authority, source: socket.remoteAddress });
    const request = this.pool.connect(this.key, headers, {
      onTunnel: (tunnel) => this.relay(socket, tunnel, this.outboundEnds),
      onFailed: (error) => {
        this.failures.push(error);
        socket.close();
      },
    });
    socket.handler = { onReadable() {}, onWritable() {}, onClosed: () => request.cancel() };
  }

  #forward(request: InboundConnect<string>, respond: ConnectResponder): void {
    if (request.target.kind !== 'address') {
      respond.refuse(ConnectStatus.unavailable);
      return;
    }
    const socket: TcpSocket = TcpSocket.connect(
      this.reactor,
      request.target.address,
      {},
      {
        onConnected: () => {
          const tunnel = respond.accept(responseHeaders(ConnectStatus.ok, 'service.name=cart'));
          if (tunnel === undefined) socket.close();
          else this.relay(socket, tunnel, this.inboundEnds);
        },
        onReadable() {},
        onWritable() {},
        onClosed: () => respond.refuse(ConnectStatus.unavailable),
      },
    );
    respond.whenCancelled(() => socket.close());
  }

  relay(socket: TcpSocket, tunnel: Tunnel, ends: RelayEnd[]): void {
    const relay: TunnelRelay = new TunnelRelay({
      socket,
      tunnel,
      onEnd: (end) => {
        this.relays.splice(this.relays.indexOf(relay), 1);
        ends.push(end);
      },
    });
    this.relays.push(relay);
    relay.start();
  }
}
