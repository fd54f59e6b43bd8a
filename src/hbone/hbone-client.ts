/** One HTTP/2 connection on which an outbound proxy opens tunnels. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import { type HeaderList, headerValue } from '../http/header-list.ts';
import { Http2Connection } from '../http/http2-connection.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import { Http2ErrorCode, http2ErrorName } from '../http/http2-error-code.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler, ResetOrigin } from '../http/http2-stream.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { Timer } from '../io/reactor.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import { hboneErrors } from './errors.ts';
import { DEFAULT_POOL_LIMITS, hboneClientSettings, RESPONSE_TIMEOUT_MS } from './hbone-settings.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Tunnel } from './tunnel.ts';

/** Hears how a CONNECT request went; exactly one of the two is called, unless it was cancelled. */
export interface ConnectHandler {
  /** 200. Take the stream over before returning. */
  onTunnel(tunnel: Tunnel, headers: HeaderList): void;
  /** `status` is that of a refusal. When `nothingMoved`, the same request may be sent on another connection. */
  onFailed(error: AmbitError, details: { readonly status?: number; readonly nothingMoved: boolean }): void;
}

export interface HboneClientEvents {
  /** A tunnel ended, or the peer raised its limit. */
  onRoom(): void;
  /** No tunnel can be opened any more; those that are open go on. */
  onLeaving(): void;
  onClosed(error: AmbitError | undefined): void;
}

export interface HboneClientOptions {
  readonly counters: Http2Counters;
  readonly events: HboneClientEvents;
  readonly settings?: Http2Settings;
  /** What an earlier connection to the same peer allowed; used until this one's SETTINGS are here. */
  readonly expectedPeerStreams?: number;
  /** Tunnels at once, beside what the peer allows. */
  readonly maxTunnels?: number;
}

export class HboneClient {
  readonly #connection: Http2Connection;
  readonly #stream: ByteStream;
  readonly #maxTunnels: number;
  #peerStreams: number | undefined;
  #ready = false;

  /** @param stream open, its peer verified. */
  constructor(stream: ByteStream, options: HboneClientOptions) {
    const { events } = options;
    this.#stream = stream;
    this.#maxTunnels = options.maxTunnels ?? DEFAULT_POOL_LIMITS.maxTunnels;
    this.#peerStreams = options.expectedPeerStreams;
    this.#connection = new Http2Connection(stream, {
      role: 'client',
      settings: options.settings ?? hboneClientSettings,
      counters: options.counters,
      events: {
        onReady: () => {
          this.#peerStreams = undefined;
          this.#ready = true;
          events.onRoom();
        },
        onStreamsAvailable: () => events.onRoom(),
        onGoAway: () => events.onLeaving(),
        onClosed: (error) => events.onClosed(error),
      },
    });
    this.#connection.onOpen();
  }

  get openTunnels(): number {
    return this.#connection.openStreams;
  }

  /** The peer has spoken: TLS 1.3 lets a client open before the server has judged its certificate. */
  get isReady(): boolean {
    return this.#ready;
  }

  /** Streams that the peer allows at once, as far as is known. */
  get peerStreams(): number {
    return this.#peerStreams ?? this.#connection.maxPeerStreams;
  }

  /** Tunnels that fit on this connection. */
  get maxTunnels(): number {
    return Math.min(this.#maxTunnels, this.peerStreams);
  }

  get hasRoom(): boolean {
    return this.#connection.acceptsStreams && this.openTunnels < this.maxTunnels;
  }

  get isLeaving(): boolean {
    return this.#connection.isLeaving;
  }

  /** Sends a CONNECT request; undefined, with nothing called, when there is no room for one. */
  connect(headers: HeaderList, handler: ConnectHandler): PendingTunnel | undefined {
    if (!this.hasRoom) return undefined;
    const pending = new PendingTunnel(this.#stream, handler);
    const stream = this.#connection.openStream(headers, pending);
    if (stream === undefined) {
      pending.cancel();
      return undefined;
    }
    pending.begin(stream);
    return pending;
  }

  /** Lets the open tunnels end by themselves, then closes. */
  startDrain(): void {
    this.#connection.startDrain();
  }

  close(): void {
    this.#connection.close(Http2ErrorCode.noError);
  }
}

/** A CONNECT request that waits for its answer. */
export class PendingTunnel implements Http2StreamHandler {
  readonly #handler: ConnectHandler;
  readonly #peerAddress: SocketAddress;
  readonly #timer: Timer;
  readonly #early = new HeldBytes();
  #stream: Http2Stream | undefined;

  constructor(connection: ByteStream, handler: ConnectHandler) {
    this.#peerAddress = connection.remoteAddress;
    this.#handler = handler;
    this.#timer = connection.reactor.setTimer(RESPONSE_TIMEOUT_MS, () => this.#onTimeout());
  }

  begin(stream: Http2Stream): void {
    this.#stream = stream;
  }

  /** Nobody wants the tunnel any more; the handler is not called. */
  cancel(): void {
    this.#take()?.reset(Http2ErrorCode.cancel);
  }

  onHeaders(headers: HeaderList, endOfStream: boolean): void {
    const status = Number(headerValue(headers, ':status'));
    if (status < 200) return;
    const stream = this.#take();
    if (stream === undefined) return;
    if (status === 200) {
      this.#handler.onTunnel({ stream, early: this.#early, ended: false }, headers);
      return;
    }
    if (endOfStream) stream.endData();
    else stream.reset(Http2ErrorCode.cancel);
    const error = hboneErrors.AMBIT_HBONE_REFUSED(`http status: ${status} from ${this.#peer}`);
    this.#handler.onFailed(error, { status, nothingMoved: false });
  }

  /** Not before the answer, which ends this handler's part. */
  onData(_buffer: NativeBuffer, _offset: number, length: number): void {
    this.#stream?.consumed(length);
  }

  onEnd(): void {}

  onWritable(): void {}

  /** Nothing has been sent through a tunnel that was never set up, so losing it costs nothing (RFC 9113 §8.7). */
  onReset(errorCode: number, origin: ResetOrigin, cause?: AmbitError): void {
    if (this.#take() === undefined) return;
    const nothingMoved =
      origin === 'goaway' || origin === 'connection' || errorCode === Http2ErrorCode.refusedStream;
    const reason = cause?.message ?? `reset with ${http2ErrorName(errorCode)}`;
    const error = hboneErrors.AMBIT_HBONE_CONNECTION_LOST(
      `the tunnel request to ${this.#peer} was lost: ${reason}`,
      cause,
    );
    this.#handler.onFailed(error, { nothingMoved });
  }

  get #peer(): string {
    return `${this.#peerAddress.ip} port ${this.#peerAddress.port}`;
  }

  #onTimeout(): void {
    const stream = this.#take();
    if (stream === undefined) return;
    stream.reset(Http2ErrorCode.cancel);
    const error = hboneErrors.AMBIT_HBONE_NO_RESPONSE(
      `${this.#peer} did not answer the tunnel request within ${RESPONSE_TIMEOUT_MS} ms`,
    );
    this.#handler.onFailed(error, { nothingMoved: false });
  }

  /** The stream, once. */
  #take(): Http2Stream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#timer.cancel();
    return stream;
  }
}
