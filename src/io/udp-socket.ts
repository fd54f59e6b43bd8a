/** A UDP socket on a reactor. */

import type { SocketAddress } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import type { Reactor } from './reactor.ts';

export interface UdpOptions {
  readonly namespace?: NetworkNamespace;
  readonly mark?: number;
  readonly reusePort?: boolean;
}

export declare class UdpSocket {
  private constructor();
  /** `data` is valid during the call only. */
  static bind(
    reactor: Reactor,
    address: SocketAddress,
    options: UdpOptions,
    onMessage: (data: Uint8Array, from: SocketAddress) => void,
  ): UdpSocket;
  readonly localAddress: SocketAddress;
  /** False when the kernel did not take the datagram; as with all UDP, nobody will know. */
  send(data: Uint8Array, to: SocketAddress): boolean;
  close(): void;
}
