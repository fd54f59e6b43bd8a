/** One HBONE connection at the server, with a peer that has been verified. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import type { HeaderList } from '../http/header-list.ts';
import { Http2Connection } from '../http/http2-connection.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import { Http2ErrorCode } from '../http/http2-error-code.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler } from '../http/http2-stream.ts';
import { ConnectStatus, parseConnectHeaders, type ReceivedConnect } from './connect-request.ts';
import type { HeldAccount } from './held-account.ts';
import { type ConnectResponder, PendingConnect } from './inbound-connect.ts';
import type { SecureStream } from './secure-stream.ts';

/** A CONNECT request and the connection that it came on. */
export interface InboundConnect<Peer> extends ReceivedConnect {
  readonly connection: HboneServerConnection<Peer>;
}

export interface HboneServerConnectionOptions<Peer> {
  readonly peer: Peer;
  readonly counters: Http2Counters;
  readonly settings: Http2Settings;
  readonly held: HeldAccount;
  readonly onConnect: (request: InboundConnect<Peer>, respond: ConnectResponder) => void;
  /** A tunnel beyond `settings.maxConcurrentStreams`. */
  readonly onTunnelRefused: () => void;
  readonly onClosed: (error: AmbitError | undefined) => void;
}

export class HboneServerConnection<Peer> {
  /** What the verification of the peer found out. */
  readonly peer: Peer;
  readonly #stream: SecureStream;
  readonly #options: HboneServerConnectionOptions<Peer>;
  readonly #connection: Http2Connection;

  /** @param stream open, its peer verified. */
  constructor(stream: SecureStream, options: HboneServerConnectionOptions<Peer>) {
    this.peer = options.peer;
    this.#stream = stream;
    this.#options = options;
    this.#connection = new Http2Connection(stream, {
      role: 'server',
      settings: options.settings,
      counters: options.counters,
      events: {
        onReady() {},
        onRequest: (request, headers) => this.#onRequest(request, headers),
        onStreamRefused: options.onTunnelRefused,
        onClosed: options.onClosed,
      },
    });
  }

  get localAddress(): SocketAddress {
    return this.#stream.localAddress;
  }

  get remoteAddress(): SocketAddress {
    return this.#stream.remoteAddress;
  }

  /** Bytes received that no application has taken yet. */
  get heldBytes(): number {
    return this.#connection.heldBytes;
  }

  get openTunnels(): number {
    return this.#connection.openStreams;
  }

  /** Begins to speak; call once. */
  start(): void {
    this.#connection.onOpen();
  }

  /** Takes no new requests; closes when the last tunnel has ended. */
  startDrain(): void {
    this.#connection.startDrain();
  }

  /** Ends the connection and every tunnel on it. */
  close(errorCode: number = Http2ErrorCode.noError): void {
    this.#connection.close(errorCode);
  }

  #onRequest(stream: Http2Stream, headers: HeaderList): Http2StreamHandler {
    const pending = new PendingConnect(stream, this.#stream.reactor, this.#options.held);
    const request = parseConnectHeaders(headers);
    if (request === undefined) pending.refuse(ConnectStatus.badRequest);
    else this.#options.onConnect(Object.assign(request, { connection: this }), pending);
    // An answer at once has made somebody else the handler.
    return stream.handler;
  }
}
