/** Joins an application's socket with a tunnel: bytes, half-closes and resets both ways. */

import type { AmbitError } from '../base/errors.ts';
import { Http2ErrorCode } from '../http/http2-error-code.ts';
import type { Http2Stream, Http2StreamHandler, ResetOrigin } from '../http/http2-stream.ts';
import { BULK_BYTES, QUEUE_CAPACITY } from '../io/buffered-stream.ts';
import type { Timer } from '../io/reactor.ts';
import { FAILED, type TcpSocket, type TcpSocketHandler, WOULD_BLOCK } from '../io/tcp-socket.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { HeldAccount } from './held-account.ts';
import type { HeldBytes } from './held-bytes.ts';
import type { Tunnel } from './tunnel.ts';

/**
 * Why a relay ended. `finished`: both sides had ended their direction. `socket-failed`: the application reset the
 * connection. `stream-reset`: the other proxy did, or the HTTP/2 connection broke. `aborted`: we wanted it so.
 */
export type RelayEnd =
  | { readonly kind: 'finished' }
  | { readonly kind: 'socket-failed'; readonly error: AmbitError | undefined }
  | {
      readonly kind: 'stream-reset';
      readonly errorCode: number;
      readonly origin: ResetOrigin;
      /** Why the connection was lost, when it was. */
      readonly cause: AmbitError | undefined;
    }
  /** More bytes wait for the sockets of the same owner than may. */
  | { readonly kind: 'overdrawn' }
  | { readonly kind: 'aborted' };

export interface TunnelRelayOptions {
  /** Open, and with nobody else reading from it. */
  readonly socket: TcpSocket;
  readonly tunnel: Tunnel;
  /** Of the bytes that wait for the socket; without one they are counted already, or nobody counts. */
  readonly account?: HeldAccount | undefined;
  /** Exactly once; nothing of the relay lives on then. */
  readonly onEnd: (end: RelayEnd) => void;
}

/** Read from the socket at a time, so that one fast application leaves time for the others. */
const BYTES_PER_PORTION = 256 * 1024;
/** A peer that gave up leaves bytes behind which the application may not want; they are not kept for ever. */
const FLUSH_AFTER_RESET_MS = 10_000;

/**
 * What ends how: an end of stream becomes a half-close on the other side, either way. A failure of the socket
 * becomes RST_STREAM(CONNECT_ERROR) (RFC 9113 §8.5). RST_STREAM with NO_ERROR or CANCEL is the end of a peer that
 * has no more interest, as Istio's proxies send it: what has arrived is still delivered, then the socket is closed.
 * Any other one, and the loss of the connection, become a TCP reset, so that a cut is never taken for an end.
 */
export class TunnelRelay implements Http2StreamHandler {
  /** Bytes that went from the socket into the tunnel. */
  sent = 0;
  /** Bytes that the socket took out of the tunnel. */
  received = 0;
  readonly #socket: TcpSocket;
  readonly #stream: Http2Stream;
  readonly #held: HeldBytes;
  readonly #onEnd: (end: RelayEnd) => void;
  #runQueued = false;
  /** So much came at once that what comes next is long work. */
  #isBulk = false;
  /** The application sends no more. */
  #socketEnded = false;
  /** The tunnel sends no more; what is held is the rest. */
  #streamEnded: boolean;
  #socketShut = false;
  /** Set by a reset of the peer that lets us deliver the rest. */
  #reset: RelayEnd | undefined;
  #flushTimer: Timer | undefined;
  /** The connection of the tunnel is gone. */
  #lost: RelayEnd | undefined;
  #over = false;

  constructor(options: TunnelRelayOptions) {
    this.#socket = options.socket;
    this.#stream = options.tunnel.stream;
    this.#held = options.tunnel.early;
    if (options.account !== undefined) this.#held.chargeTo(options.account);
    this.#streamEnded = options.tunnel.ended;
    this.#onEnd = options.onEnd;
    this.#stream.handler = this;
    this.#socket.handler = this.#socketHandler();
  }

  /** Bytes that wait for the socket. */
  get held(): number {
    return this.#held.length;
  }

  /** Moves what is there already; call once, right after construction. */
  start(): void {
    this.#flushHeld();
    this.#read();
  }

  /** Ends both sides at once: the peer gets RST_STREAM with the code, the application a reset. */
  abort(errorCode: number = Http2ErrorCode.connectError): void {
    this.#end({ kind: 'aborted' }, errorCode);
  }

  #end(end: RelayEnd, errorCode: number): void {
    if (this.#over) return;
    this.#finish(end);
    this.#stream.reset(errorCode);
    this.#socket.abort();
  }

  // From the tunnel.

  /** Trailers mean nothing to a tunnel. */
  onHeaders(): void {}

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    let taken = 0;
    if (this.#held.length === 0 && !this.#over) {
      const result = this.#socket.sendFrom(buffer, offset, length);
      taken = result === WOULD_BLOCK || result === FAILED ? 0 : result;
    }
    if (this.#over) {
      this.#stream.consumed(length);
      return;
    }
    if (taken < length) this.#held.append(buffer, offset + taken, length - taken);
    this.#deliver(taken);
    if (taken < length && this.#held.overdrawn)
      this.#end({ kind: 'overdrawn' }, Http2ErrorCode.enhanceYourCalm);
  }

  onEnd(): void {
    this.#streamEnded = true;
    this.#afterDelivery();
  }

  onReset(errorCode: number, origin: ResetOrigin, cause?: AmbitError): void {
    const end: RelayEnd = { kind: 'stream-reset', errorCode, origin, cause };
    if (origin === 'connection') return this.#endLater(end);
    const gently = errorCode === Http2ErrorCode.noError || errorCode === Http2ErrorCode.cancel;
    if (origin !== 'peer' || !gently) return this.#giveUp(end);
    this.#reset = end;
    this.#streamEnded = true;
    this.#afterDelivery();
    if (this.#over) return;
    this.#flushTimer = this.#socket.reactor.setTimer(FLUSH_AFTER_RESET_MS, () => this.#giveUp(end));
  }

  /** The stream has room. */
  onWritable(): void {
    this.#pump();
  }

  // From the socket.

  #socketHandler(): TcpSocketHandler {
    return {
      onReadable: () => this.#onSocketReadable(),
      onWritable: () => this.#onSocketWritable(),
      onClosed: (error) => this.#onSocketClosed(error),
    };
  }

  #onSocketClosed(error: AmbitError | undefined): void {
    if (this.#over) return;
    this.#finish({ kind: 'socket-failed', error });
    this.#stream.reset(Http2ErrorCode.connectError);
  }

  #onSocketReadable(): void {
    if (this.#isBulk) this.#runLater();
    else this.#read();
  }

  /** What is still there is read when the tunnel has room; but a reset would not be met until then. */
  #read(): void {
    this.#pump();
    if (!this.#over && !this.#runQueued) this.#socket.closeIfBroken();
  }

  #pump(): void {
    const before = this.sent;
    this.#moveIntoTunnel();
    if (this.sent > before) this.#isBulk = this.sent - before >= BULK_BYTES;
  }

  /** Received right behind the room for a frame header, never copied. */
  #moveIntoTunnel(): void {
    const stream = this.#stream;
    let budget = BYTES_PER_PORTION;
    while (!this.#socketEnded && !this.#over && this.#reset === undefined) {
      const room = stream.writableBytes();
      if (room === 0) return;
      if (budget <= 0) {
        this.#runLater();
        return;
      }
      const count = this.#socket.receiveInto(stream.dataBuffer, stream.dataOffset(), room);
      if (count < 0) return;
      if (count === 0) {
        this.#onSocketEnd();
        return;
      }
      this.sent += count;
      budget -= count;
      stream.commitData(count, false);
    }
  }

  #runLater(): void {
    if (this.#runQueued) return;
    this.#runQueued = true;
    this.#socket.reactor.deferLong(this);
  }

  /** All tunnels of a connection end with it, and resetting that of an application takes the kernel up to 30 us. */
  #endLater(end: RelayEnd): void {
    this.#lost = end;
    this.#runLater();
  }

  /** What was put off: the end with a lost connection, or the rest of the work of a turn. */
  run(): void {
    this.#runQueued = false;
    if (this.#lost !== undefined) return this.#giveUp(this.#lost);
    this.#flushHeld();
    this.#read();
  }

  #onSocketEnd(): void {
    this.#socketEnded = true;
    this.#stream.endData();
    this.#finishIfDone();
  }

  #onSocketWritable(): void {
    if (this.#held.length >= BULK_BYTES) this.#runLater();
    else this.#flushHeld();
  }

  #flushHeld(): void {
    if (this.#over) return;
    const taken = this.#held.drainTo(this.#socket, QUEUE_CAPACITY);
    if (taken === FAILED) return;
    this.#deliver(taken);
    if (taken >= QUEUE_CAPACITY && this.#held.length > 0) this.#runLater();
  }

  /** The socket took bytes: the peer may send as many again. */
  #deliver(bytes: number): void {
    if (bytes > 0) {
      this.received += bytes;
      this.#stream.consumed(bytes);
    }
    this.#afterDelivery();
  }

  #afterDelivery(): void {
    if (!this.#streamEnded || this.#over || this.#held.length > 0) return;
    if (this.#reset !== undefined) {
      this.#finish(this.#reset);
      this.#socket.close();
      return;
    }
    if (this.#socketShut) return;
    this.#socketShut = true;
    // Otherwise it is closed at once, which says the same.
    if (!this.#socketEnded) this.#socket.shutdownWrite();
    this.#finishIfDone();
  }

  #finishIfDone(): void {
    if (this.#over || !this.#socketEnded || !this.#socketShut) return;
    this.#finish({ kind: 'finished' });
    this.#socket.close();
  }

  #giveUp(end: RelayEnd): void {
    if (this.#over) return;
    this.#finish(end);
    this.#socket.abort();
  }

  #finish(end: RelayEnd): void {
    this.#over = true;
    this.#flushTimer?.cancel();
    const dropped = this.#held.discard();
    if (dropped > 0) this.#stream.consumed(dropped);
    this.#onEnd(end);
  }
}
