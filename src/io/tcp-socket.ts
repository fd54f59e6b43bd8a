/** One TCP connection on a reactor. */

import type { AmbitError } from '../base/errors.ts';
import { messageOf } from '../base/errors.ts';
import type { IpFamily, SocketAddress } from '../base/ip.ts';
import { familyOf, formatSocketAddress } from '../base/ip.ts';
import { ERRNO } from '../sys/errno.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { UNKNOWN_ADDRESS } from '../sys/socket-address.ts';
import * as sockets from '../sys/sockets.ts';
import type { SourcePorts } from '../sys/source-ports.ts';
import { applyTcpOptions, bindWithoutPort, type KeepAlive } from '../sys/tcp-options.ts';
import { connectError, connectionError, sourcePortsExhausted } from './connection-errors.ts';
import { ioErrors } from './errors.ts';
import {
  FAILED as EVENT_FAILED,
  type EventHandler,
  HANGUP,
  READABLE,
  type Reactor,
  type Timer,
  WRITABLE,
} from './reactor.ts';

export type { KeepAlive } from '../sys/tcp-options.ts';

/** Result of a read or write that the kernel cannot serve now; the handler is told when it can. */
export const WOULD_BLOCK = -1;
/** Result of a read or write on a connection that is, or just became, closed; onClosed has been called. */
export const FAILED = -2;

/** As ztunnel's: a peer that is there answers within milliseconds, retransmitted SYNs included within seconds. */
export const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;

export interface SocketOptions {
  /** Where the socket is made; it stays there. */
  readonly namespace?: NetworkNamespace | undefined;
  /** SO_MARK; needs CAP_NET_ADMIN in the namespace. */
  readonly mark?: number | undefined;
  /** IP_TRANSPARENT, so that `bindTo` may be an address of somebody else. */
  readonly transparent?: boolean | undefined;
  /** Source address; port 0 lets the kernel choose one for this very destination. */
  readonly bindTo?: SocketAddress | undefined;
  /** Of the namespace, for whoever connects often; the kernel looks among all of them when left out. */
  readonly sourcePorts?: SourcePorts | undefined;
  readonly keepAlive?: KeepAlive | false | undefined;
  /** TCP_USER_TIMEOUT: how long sent data may stay unacknowledged. */
  readonly userTimeoutMs?: number | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** Family of the socket when it shall not be that of the remote address. */
  readonly family?: IpFamily | undefined;
}

export interface TcpSocketHandler {
  onConnected?(): void;
  onReadable(): void;
  /** After a write did not take everything there is room again. */
  onWritable(): void;
  /** Exactly once: connect failure, reset or local close (undefined). Never called from within connect(). */
  onClosed(error: AmbitError | undefined): void;
}

export type TcpSocketState = 'connecting' | 'open' | 'closed';

/** Until its owner has set a handler, an accepted socket keeps still. */
const NOBODY: TcpSocketHandler = { onReadable() {}, onWritable() {}, onClosed() {} };

/**
 * Reads and writes are direct system calls on memory of the caller; the handler learns when to try. Edge-triggered:
 * after onReadable() read until WOULD_BLOCK (which costs no system call after a short read) or come back by defer().
 */
export class TcpSocket implements EventHandler {
  handler: TcpSocketHandler;
  readonly reactor: Reactor;
  readonly #outgoing: boolean;
  #state: TcpSocketState;
  #fd = -1;
  #remote: SocketAddress | undefined;
  #local: SocketAddress | undefined;
  #connectTimer: Timer | undefined;
  /** Whether a read may give something: not after one came up short, since whatever comes then is a new event. */
  #readable = false;
  #writable = true;
  /** The end of the stream is among what can be read, and will not be told again. */
  #endPending = false;
  /** So is an error. */
  #errorPending = false;

  private constructor(reactor: Reactor, handler: TcpSocketHandler, outgoing: boolean) {
    this.reactor = reactor;
    this.handler = handler;
    this.#outgoing = outgoing;
    this.#state = outgoing ? 'connecting' : 'open';
  }

  /** Never throws for what the network or the kernel says: that comes by onClosed() in a later turn. */
  static connect(
    reactor: Reactor,
    remote: SocketAddress,
    options: SocketOptions,
    handler: TcpSocketHandler = NOBODY,
  ): TcpSocket {
    const socket = new TcpSocket(reactor, handler, true);
    socket.#remote = remote;
    const error = socket.#dial(remote, options);
    if (error !== undefined) reactor.defer({ run: () => socket.close(error) });
    return socket;
  }

  /** Takes a connected descriptor over. @throws AMBIT_SYSTEM_CALL_FAILED when it cannot be watched; it is closed then */
  static accepted(
    reactor: Reactor,
    fd: number,
    handler: TcpSocketHandler = NOBODY,
    remote?: SocketAddress,
  ): TcpSocket {
    const socket = new TcpSocket(reactor, handler, false);
    socket.#adopt(fd);
    socket.#remote = remote;
    return socket;
  }

  /** -1 when closed. */
  get fd(): number {
    return this.#fd;
  }

  get state(): TcpSocketState {
    return this.#state;
  }

  /** Asked from the kernel once; 0.0.0.0:0 when the first to ask comes after the close. */
  get localAddress(): SocketAddress {
    if (this.#local === undefined && this.#fd >= 0) this.#local = sockets.localAddressOf(this.#fd);
    return this.#local ?? UNKNOWN_ADDRESS;
  }

  get remoteAddress(): SocketAddress {
    if (this.#remote === undefined && this.#fd >= 0) this.#remote = sockets.remoteAddressOf(this.#fd);
    return this.#remote ?? UNKNOWN_ADDRESS;
  }

  /** Whether the peer has ended or broken the connection, so that reading on will meet the end. */
  get endPending(): boolean {
    return this.#endPending;
  }

  /** > 0 bytes; 0 end of stream; WOULD_BLOCK; FAILED. Without a system call where nothing can have arrived. */
  receiveInto(buffer: NativeBuffer, offset: number, length: number): number {
    if (!this.#readable || length === 0) return this.#state === 'closed' ? FAILED : WOULD_BLOCK;
    const count = sockets.readInto(this.#fd, buffer, offset, length);
    if (count >= 0) {
      if (count < length && count > 0 && !this.#endPending) this.#readable = false;
      return count;
    }
    if (count === -ERRNO.EAGAIN) {
      this.#readable = false;
      return WOULD_BLOCK;
    }
    return this.#fail(count);
  }

  /** > 0 bytes taken, perhaps fewer than `length`; WOULD_BLOCK; FAILED. */
  sendFrom(buffer: NativeBuffer, offset: number, length: number): number {
    if (!this.#writable || this.#state !== 'open') return this.#state === 'closed' ? FAILED : WOULD_BLOCK;
    const count = sockets.writeFrom(this.#fd, buffer, offset, length);
    if (count >= 0) {
      if (count < length) this.#writable = false;
      return count;
    }
    if (count === -ERRNO.EAGAIN) {
      this.#writable = false;
      return WOULD_BLOCK;
    }
    return this.#fail(count);
  }

  /** For whoever writes to the descriptor by other means and met a full buffer: asks for onWritable(). */
  expectWritable(): void {
    this.#writable = false;
  }

  /** For whoever wants to know what has come before an event tells. */
  expectReadable(): void {
    this.#readable = this.#state === 'open';
  }

  /**
   * For whoever cannot read now, or has met the end already: a reset of the peer would go unnoticed. Closes with the
   * error that waits, if one does, and says whether.
   */
  closeIfBroken(): boolean {
    if (!this.#errorPending || this.#state !== 'open') return false;
    this.closeWithErrno(sockets.takeSocketError(this.#fd) || -ERRNO.ECONNRESET);
    return true;
  }

  /** Closes with the error that stands for a negated errno, met by whoever used the descriptor by other means. */
  closeWithErrno(result: number): void {
    this.close(connectionError(this.remoteAddress, this.#outgoing, result));
  }

  /** Sends FIN; reading goes on. */
  shutdownWrite(): void {
    if (this.#state === 'open') sockets.shutdownWriting(this.#fd);
  }

  /** Calls onClosed() before it returns; a second call does nothing. */
  close(error?: AmbitError): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#readable = false;
    this.#connectTimer?.cancel();
    if (this.#fd >= 0) {
      this.reactor.forget(this.#fd);
      sockets.closeDescriptor(this.#fd);
      this.#fd = -1;
    }
    this.handler.onClosed(error);
  }

  /** Closes with RST: the peer's reads and writes fail. */
  abort(error?: AmbitError): void {
    if (this.#fd >= 0) sockets.lingerZero(this.#fd);
    this.close(error);
  }

  /** Where the connection was headed before it was redirected here, as the kernel's connection tracking knows it. */
  originalDestination(): SocketAddress | undefined {
    if (this.#fd < 0) return undefined;
    return sockets.originalDestinationOf(this.#fd, familyOf(this.remoteAddress.ip));
  }

  onEvents(events: number): void {
    if (this.#state === 'connecting' && !this.#finishConnect(events)) return;
    if ((events & (HANGUP | EVENT_FAILED)) !== 0) this.#endPending = true;
    if ((events & EVENT_FAILED) !== 0) this.#errorPending = true;
    if ((events & (READABLE | HANGUP | EVENT_FAILED)) !== 0) {
      this.#readable = true;
      this.handler.onReadable();
    }
    if ((events & WRITABLE) !== 0 && !this.#writable && this.#state === 'open') {
      this.#writable = true;
      this.handler.onWritable();
    }
  }

  onFailure(thrown: unknown): void {
    const peer = formatSocketAddress(this.remoteAddress);
    this.abort(
      ioErrors.AMBIT_HANDLER_FAILED(`connection with ${peer} dropped: ${messageOf(thrown)}`, thrown),
    );
  }

  #dial(remote: SocketAddress, options: SocketOptions): AmbitError | undefined {
    const fd = openConnecting(remote, options);
    // Of an address that one may not bind to the kernel says the same.
    const boundAsSelf = options.bindTo !== undefined && options.transparent !== true;
    if (fd === -ERRNO.EADDRNOTAVAIL && !boundAsSelf) return sourcePortsExhausted(remote);
    if (fd < 0) return connectError(remote, fd);
    try {
      this.#adopt(fd);
    } catch (thrown) {
      return ioErrors.AMBIT_CONNECT_FAILED(
        `connect to ${formatSocketAddress(remote)}: ${messageOf(thrown)}`,
        thrown,
      );
    }
    const timeoutMs = options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    this.#connectTimer = this.reactor.setTimer(timeoutMs, () => {
      const where = formatSocketAddress(remote);
      this.close(ioErrors.AMBIT_CONNECT_TIMED_OUT(`connect to ${where}: no answer within ${timeoutMs} ms`));
    });
    return undefined;
  }

  #adopt(fd: number): void {
    try {
      this.reactor.register(fd, this);
    } catch (thrown) {
      sockets.closeDescriptor(fd);
      throw thrown;
    }
    this.#fd = fd;
  }

  /** Whether the connection is open now. */
  #finishConnect(events: number): boolean {
    const isBroken = (events & (HANGUP | EVENT_FAILED)) !== 0;
    const result = isBroken ? sockets.takeSocketError(this.#fd) : 0;
    if (result === 0 && (events & WRITABLE) === 0) return false;
    this.#connectTimer?.cancel();
    this.#connectTimer = undefined;
    if (result < 0) {
      this.close(connectError(this.remoteAddress, result));
      return false;
    }
    this.#state = 'open';
    this.handler.onConnected?.();
    return this.state === 'open';
  }

  #fail(result: number): typeof FAILED {
    this.closeWithErrno(result);
    return FAILED;
  }
}

/** A socket that has begun to connect, or a negated errno. */
function openConnecting(remote: SocketAddress, options: SocketOptions): number {
  const { namespace } = options;
  return namespace === undefined ? dialHere(remote, options) : namespace.run(() => dialHere(remote, options));
}

function dialHere(remote: SocketAddress, options: SocketOptions): number {
  const family = options.family ?? familyOf(remote.ip);
  const fd = sockets.openSocket(family, 'stream');
  if (fd < 0) return fd;
  let result = applyTcpOptions(fd, family, options);
  if (result === 0 && options.bindTo !== undefined) result = bindSource(fd, options.bindTo, family);
  if (result === 0) result = connectFrom(fd, remote, family, options.sourcePorts);
  if (result === 0 || result === -ERRNO.EINPROGRESS) return fd;
  sockets.closeDescriptor(fd);
  return result;
}

function connectFrom(
  fd: number,
  remote: SocketAddress,
  family: IpFamily,
  ports: SourcePorts | undefined,
): number {
  const connectNow = () => sockets.connectSocket(fd, remote, family);
  return ports === undefined ? connectNow() : ports.connect(fd, connectNow);
}

function bindSource(fd: number, source: SocketAddress, family: IpFamily): number {
  const result = source.port === 0 ? bindWithoutPort(fd) : 0;
  return result < 0 ? result : sockets.bindSocket(fd, source, family);
}
