/** One TCP connection on a reactor. */

import type { AmbitError } from '../base/errors.ts';
import type { IpFamily, SocketAddress } from '../base/ip.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import type { Reactor } from './reactor.ts';

/** Result of a read or write that the kernel cannot serve now; the handler is told when it can. */
export const WOULD_BLOCK = -1;
/** Result of a read or write on a connection that is, or just became, closed; onClosed has been called. */
export const FAILED = -2;

export interface KeepAlive {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly probes: number;
}

export interface SocketOptions {
  /** Where the socket is made; it stays there. */
  readonly namespace?: NetworkNamespace;
  /** SO_MARK; needs CAP_NET_ADMIN in the namespace. */
  readonly mark?: number;
  /** IP_TRANSPARENT and IP_FREEBIND, so that `bindTo` may be an address of somebody else. */
  readonly transparent?: boolean;
  readonly bindTo?: SocketAddress;
  readonly keepAlive?: KeepAlive;
  /** TCP_USER_TIMEOUT: how long sent data may stay unacknowledged. */
  readonly userTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  /** Family of the socket when it shall not be that of the remote address. */
  readonly family?: IpFamily;
}

export interface TcpSocketHandler {
  onConnected?(): void;
  onReadable(): void;
  onWritable(): void;
  /** Exactly once: connect failure, reset or local close (undefined). Never called from within connect(). */
  onClosed(error: AmbitError | undefined): void;
}

export type TcpSocketState = 'connecting' | 'open' | 'closed';

export declare class TcpSocket {
  private constructor();
  static connect(
    reactor: Reactor,
    remote: SocketAddress,
    options: SocketOptions,
    handler: TcpSocketHandler,
  ): TcpSocket;
  static accepted(reactor: Reactor, fd: number, handler?: TcpSocketHandler): TcpSocket;
  handler: TcpSocketHandler;
  readonly reactor: Reactor;
  readonly fd: number;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  readonly state: TcpSocketState;
  /** > 0 bytes; 0 end of stream; WOULD_BLOCK; FAILED. Without a system call where nothing can have arrived. */
  receiveInto(buffer: NativeBuffer, offset: number, length: number): number;
  /** > 0 bytes taken, perhaps fewer than `length`; WOULD_BLOCK; FAILED. */
  sendFrom(buffer: NativeBuffer, offset: number, length: number): number;
  /** Sends FIN; reading goes on. */
  shutdownWrite(): void;
  close(): void;
  /** Closes with RST. */
  abort(): void;
  /** Where the connection was headed before it was redirected here, as the kernel's connection tracking knows it. */
  originalDestination(): SocketAddress | undefined;
}
