/** A listening TCP socket on a reactor. */

import type { SocketAddress } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import type { Reactor } from './reactor.ts';
import type { TcpSocket } from './tcp-socket.ts';

export interface ListenOptions {
  readonly namespace?: NetworkNamespace;
  readonly mark?: number;
  readonly reusePort?: boolean;
  readonly backlog?: number;
  readonly transparent?: boolean;
  readonly v6Only?: boolean;
}

export declare class TcpListener {
  private constructor();
  static listen(
    reactor: Reactor,
    address: SocketAddress,
    options: ListenOptions,
    onAccept: (socket: TcpSocket) => void,
  ): TcpListener;
  readonly localAddress: SocketAddress;
  /** How often accepting had to pause because descriptors or memory ran out. */
  readonly acceptPauses: number;
  close(): void;
}
