/** A tunnel within a tunnel (double HBONE): through the gateway of another network to a workload behind it. */

import { type AmbitError, messageOf } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import type { HeaderList } from '../http/header-list.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import { Http2ErrorCode } from '../http/http2-error-code.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import type { ByteStreamHandler } from '../io/byte-stream.ts';
import type { Reactor } from '../io/reactor.ts';
import { TcpSocket } from '../io/tcp-socket.ts';
import { openSocketPair } from '../sys/socket-pair.ts';
import { hboneErrors } from './errors.ts';
import { Handshake } from './handshake.ts';
import { type ConnectHandler, HboneClient, type PendingTunnel } from './hbone-client.ts';
import type { SecureStream } from './secure-stream.ts';
import type { Tunnel } from './tunnel.ts';
import { TunnelRelay } from './tunnel-relay.ts';

export interface NestedTunnelOptions {
  readonly reactor: Reactor;
  readonly counters: Http2Counters;
  readonly settings?: Http2Settings;
  /** To the gateway; open, and given to this module for good. */
  readonly outer: Tunnel;
  /** The gateway's, for messages and logs. */
  readonly remote: SocketAddress;
  /** Such as `(socket, handler) => TlsStream.client(socket, context, handler)`; what it throws fails this tunnel. */
  readonly secure: (socket: TcpSocket, handler: ByteStreamHandler) => SecureStream;
  readonly verifyPeer: (chain: Uint8Array[]) => AmbitError | undefined;
  /** Of the inner request. */
  readonly headers: HeaderList;
  readonly handler: ConnectHandler;
}

/**
 * Runs TLS and HTTP/2 inside the outer tunnel and asks for one tunnel there. The inner connection is never shared:
 * it would tie later tunnels to the workload that the gateway chose for this one.
 */
export class NestedTunnel {
  readonly #options: NestedTunnelOptions;
  #handshake: Handshake | undefined;
  #client: HboneClient | undefined;
  #request: PendingTunnel | undefined;
  #done = false;

  constructor(options: NestedTunnelOptions) {
    this.#options = options;
    try {
      this.#begin();
    } catch (thrown) {
      this.#failSoon(thrown);
    }
  }

  /** Nobody wants the tunnel any more; the handler is not called. */
  cancel(): void {
    if (this.#done) return;
    this.#done = true;
    this.#request?.cancel();
    if (this.#client !== undefined) this.#client.close();
    else this.#handshake?.stream.close();
  }

  /** @throws AMBIT_SYSTEM_CALL_FAILED when there are no descriptors left; what `secure` throws */
  #begin(): void {
    const socket = tunnelSocket(this.#options);
    try {
      this.#handshake = new Handshake((handler) => this.#options.secure(socket, handler), {
        onOpen: (stream) => this.#onOpen(stream),
        onFailed: (_, error) => this.#fail(error),
      });
    } catch (thrown) {
      // Which ends the outer tunnel, by the relay at the other end of the pair.
      socket.close();
      throw thrown;
    }
  }

  /** What is thrown further would end the outer connection, which others share. */
  #failSoon(thrown: unknown): void {
    const text = `no tunnel can begin within the outer one: ${messageOf(thrown)}`;
    const error = hboneErrors.AMBIT_HBONE_CONNECTION_FAILED(text, thrown);
    this.#options.reactor.defer({ run: () => this.#fail(error) });
  }

  #onOpen(stream: SecureStream): void {
    const { verifyPeer, counters, settings, headers } = this.#options;
    const error = verifyPeer(stream.peerCertificateChain());
    if (error !== undefined) {
      stream.close(error);
      return;
    }
    const client = new HboneClient(stream, {
      counters,
      ...(settings === undefined ? {} : { settings }),
      events: { onRoom: () => this.#closeAfterUse(), onLeaving() {}, onClosed: (cause) => this.#fail(cause) },
    });
    this.#client = client;
    this.#request = client.connect(headers, {
      onTunnel: (tunnel, answer) => {
        this.#done = true;
        this.#options.handler.onTunnel(tunnel, answer);
      },
      onFailed: (cause, details) => {
        this.#done = true;
        this.#options.handler.onFailed(cause, details);
      },
    });
  }

  #closeAfterUse(): void {
    if (this.#done && this.#client?.openTunnels === 0) this.#client.startDrain();
  }

  #fail(error: AmbitError | undefined): void {
    if (this.#done) return;
    this.#done = true;
    const cause = error ?? hboneErrors.AMBIT_HBONE_CONNECTION_FAILED('the gateway ended the outer tunnel');
    this.#options.handler.onFailed(cause, { nothingMoved: true });
  }
}

/** @throws AMBIT_SYSTEM_CALL_FAILED; the tunnel has ended then */
function socketPairFor({ stream }: Tunnel): readonly [number, number] {
  try {
    return openSocketPair();
  } catch (thrown) {
    stream.reset(Http2ErrorCode.cancel);
    throw thrown;
  }
}

/** One end of a pair of sockets whose other end is joined with the tunnel: OpenSSL reads from a descriptor. */
function tunnelSocket(options: NestedTunnelOptions): TcpSocket {
  const { reactor, outer, remote } = options;
  const [near, far] = socketPairFor(outer);
  const socket = TcpSocket.accepted(reactor, near, undefined, remote);
  const relay = new TunnelRelay({
    socket: TcpSocket.accepted(reactor, far, undefined, remote),
    tunnel: outer,
    onEnd() {},
  });
  relay.start();
  return socket;
}
