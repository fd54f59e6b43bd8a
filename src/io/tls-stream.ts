/** A byte stream over a TCP connection with TLS by OpenSSL. */

import type { AmbitError } from '../base/errors.ts';
import { messageOf } from '../base/errors.ts';
import { formatSocketAddress } from '../base/ip.ts';
import { ERRNO } from '../sys/errno.ts';
import type { TlsContext } from '../sys/tls-context.ts';
import { MAX_SEAL } from '../sys/tls-output.ts';
import { TLS_END, TLS_FAILED, TLS_WAIT, type TlsFailure, TlsSession } from '../sys/tls-session.ts';
import { BufferedStream } from './buffered-stream.ts';
import type { ByteStreamHandler } from './byte-stream.ts';
import { ioErrors } from './errors.ts';
import type { Lane } from './lane.ts';
import type { Timer } from './reactor.ts';
import { FAILED, type TcpSocket, WOULD_BLOCK } from './tcp-socket.ts';
import { TlsRecords } from './tls-records.ts';

/** From the TCP connection to the end of the handshake: half-open ones must not pile up (peers.md §6.3, slowloris). */
export const TLS_HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * Output is sealed and sent once per turn. onOpen() comes when the handshake is done, so for a client before the
 * server has judged the client's certificate (TLS 1.3): a refusal then ends the stream with
 * AMBIT_TLS_ALERT_RECEIVED. The end of input without close_notify is the error AMBIT_TLS_TRUNCATED.
 */
export class TlsStream extends BufferedStream {
  readonly #context: TlsContext;
  #session: TlsSession | undefined;
  /** After the handshake, unless OpenSSL goes on with it. */
  #records: TlsRecords | undefined;
  #handshakeTimer: Timer | undefined;
  /** What follows from it has not been done yet, unless the stream is secured too. */
  #handshakeDone = false;
  #secured = false;
  /** Whether a read may give something, from OpenSSL's buffer or from the socket. */
  #readable = true;
  /** What the last read ran into while it had bytes to deliver first. */
  #pendingEnd: number | undefined;
  #endAnnounced = false;

  private constructor(socket: TcpSocket, context: TlsContext, handler: ByteStreamHandler, lane?: Lane) {
    super(socket, handler, lane);
    this.#context = context;
  }

  /** Takes the socket over, connecting or open; onOpen() follows in a later turn. */
  static client(socket: TcpSocket, context: TlsContext, handler: ByteStreamHandler): TlsStream {
    return new TlsStream(socket, context, handler);
  }

  /** @param lane in which handshake and reading wait for their turn */
  static server(socket: TcpSocket, context: TlsContext, handler: ByteStreamHandler, lane?: Lane): TlsStream {
    return new TlsStream(socket, context, handler, lane);
  }

  /** What both sides agreed on; undefined before onOpen() or without agreement. */
  get alpnProtocol(): string | undefined {
    return this.#session?.alpnProtocol;
  }

  /** DER of the chain that was verified, leaf first, root last; empty before onOpen() or without a certificate. */
  peerCertificateChain(): Uint8Array[] {
    return this.#session?.verifiedChain() ?? [];
  }

  override onReadable(): void {
    if (this.#records === undefined) {
      this.#readable = true;
      this.#session?.noteArrival();
    }
    super.onReadable();
  }

  override close(error?: AmbitError): void {
    if (error === undefined && this.#secured && !this.#endAnnounced && !this.closed) {
      this.#announceEnd();
      this.#sendAll();
    }
    super.close(error);
  }

  protected begin(): void {
    this.#handshakeTimer = this.reactor.setTimer(TLS_HANDSHAKE_TIMEOUT_MS, () => {
      this.socket.close(
        ioErrors.AMBIT_TLS_HANDSHAKE_TIMED_OUT(
          `TLS handshake with ${this.#peer()} not done within ${TLS_HANDSHAKE_TIMEOUT_MS} ms`,
        ),
      );
    });
    try {
      this.#session = new TlsSession(this.#context, this.socket.fd);
    } catch (thrown) {
      const message = `TLS handshake with ${this.#peer()}: ${messageOf(thrown)}`;
      return this.socket.close(ioErrors.AMBIT_TLS_HANDSHAKE_FAILED(message, thrown));
    }
    this.proceed();
  }

  protected proceed(): void {
    const session = this.#session;
    if (session === undefined || this.#secured) return;
    if (this.#handshakeDone) return this.#secure(session);
    const result = session.handshake();
    if (result === TLS_FAILED || result === TLS_END) return this.#fail();
    this.#sendAll();
    if (this.closed || result === TLS_WAIT) return;
    this.#handshakeDone = true;
    this.#handshakeTimer?.cancel();
    this.proceedLater();
  }

  #secure(session: TlsSession): void {
    this.#secured = true;
    const ciphers = session.takeCiphers();
    if (ciphers !== undefined) this.#records = new TlsRecords(ciphers, this.#context.role);
    this.opened();
  }

  protected fill(): number {
    const session = this.#session;
    if (session === undefined) return FAILED;
    if (this.#records !== undefined) return this.#fillFrom(this.#records);
    const end = this.#pendingEnd;
    if (end !== undefined) return this.#finishInput(end);
    if (!this.#readable) return WOULD_BLOCK;
    const { input } = this;
    const before = input.end;
    session.beginReading();
    let count = 1;
    while (count > 0 && input.space() > 0 && this.#readable) {
      count = session.read(input.buffer, input.end, input.space());
      if (count > 0) input.end += count;
      if (count > 0 && !this.socket.endPending && session.drained()) this.#readable = false;
    }
    if (count === TLS_WAIT) this.#readable = false;
    // A read may have caused output: an answer to KeyUpdate, an alert.
    this.#sendAll();
    if (this.closed) return FAILED;
    if (count > 0 || count === TLS_WAIT) return input.end > before ? input.end - before : WOULD_BLOCK;
    if (input.end === before) return this.#finishInput(count);
    this.#pendingEnd = count;
    return input.end - before;
  }

  protected drain(): boolean {
    const session = this.#session;
    if (session === undefined || !this.#sendAll()) return false;
    const { output } = this;
    if (this.#records !== undefined) return this.#drainInto(this.#records);
    while (this.#secured && output.length > 0) {
      const count = session.write(output.buffer, output.start, Math.min(output.length, MAX_SEAL));
      if (count > 0) output.consume(count);
      if (count === TLS_FAILED) this.#fail();
      if (this.closed || !this.#sendAll()) return false;
    }
    return true;
  }

  protected endOutput(): boolean {
    this.#announceEnd();
    if (!this.#sendAll()) return false;
    this.socket.shutdownWrite();
    return true;
  }

  protected dispose(): void {
    this.#handshakeTimer?.cancel();
    this.#session?.free();
    this.#session = undefined;
    this.#records?.free();
    this.#records = undefined;
  }

  #fillFrom(records: TlsRecords): number {
    const result = records.fill(this.socket, this.input);
    if (result === FAILED && !this.closed) this.#fail();
    else if (records.hasOutput) this.flushSoon();
    return result;
  }

  #drainInto(records: TlsRecords): boolean {
    while (records.seal(this.output)) if (!this.#sendAll()) return false;
    return true;
  }

  #announceEnd(): void {
    if (this.#endAnnounced) return;
    this.#endAnnounced = true;
    if (this.#records === undefined) this.#session?.closeNotify();
    else this.#records.closeNotify();
  }

  #finishInput(end: number): number {
    if (end === TLS_END) return 0;
    this.#fail();
    return FAILED;
  }

  /** Sends collected records; whether all of them are out. Closes the stream when the socket is broken. */
  #sendAll(): boolean {
    let result = this.#session?.send() ?? 0;
    if (result === 0 && this.#records !== undefined) result = this.#records.send(this.socket.fd);
    if (result === -ERRNO.EAGAIN) this.socket.expectWritable();
    else if (result < 0) this.#sendFailed(result);
    return result === 0;
  }

  /** A peer that refuses us says so and closes: its alert may be there although the socket takes no more. */
  #sendFailed(result: number): void {
    const { input } = this;
    this.socket.expectReadable();
    input.expand();
    let count = 1;
    while (count > 0 && input.space() > 0) {
      count =
        this.#records?.fill(this.socket, input) ??
        this.#session!.read(input.buffer, input.end, input.space());
    }
    const failure = this.#failure();
    if (count === TLS_FAILED && failure.kind === 'alert') this.socket.close(this.#errorOf(failure));
    else this.socket.closeWithErrno(result);
  }

  #fail(): void {
    const failure = this.#failure();
    if (failure.kind === 'socket') return this.socket.closeWithErrno(failure.result);
    // Tells the peer why, as far as the socket takes it.
    this.#session?.send();
    this.#records?.send(this.socket.fd);
    this.socket.close(this.#errorOf(failure));
  }

  #failure(): TlsFailure {
    return this.#records?.failure ?? this.#session?.failure ?? { kind: 'truncated' };
  }

  #errorOf(failure: Exclude<TlsFailure, { kind: 'socket' }>): AmbitError {
    const peer = this.#peer();
    switch (failure.kind) {
      case 'peer-rejected':
        return ioErrors.AMBIT_TLS_PEER_REJECTED(`certificate of ${peer} not accepted: ${failure.text}`);
      case 'alert':
        return ioErrors.AMBIT_TLS_ALERT_RECEIVED(`${peer} refused the connection: ${failure.text}`);
      case 'truncated':
        return this.#secured
          ? ioErrors.AMBIT_TLS_TRUNCATED(`${peer} ended the connection without close_notify`)
          : ioErrors.AMBIT_TLS_HANDSHAKE_FAILED(`${peer} ended the connection during the TLS handshake`);
      case 'protocol':
        return this.#secured
          ? ioErrors.AMBIT_TLS_PROTOCOL_FAILED(`bad record from ${peer}: ${failure.text}`)
          : ioErrors.AMBIT_TLS_HANDSHAKE_FAILED(`TLS handshake with ${peer}: ${failure.text}`);
    }
  }

  #peer(): string {
    return formatSocketAddress(this.remoteAddress);
  }
}
