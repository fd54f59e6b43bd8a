/** A UDP socket on a reactor. */

import type { IpFamily, SocketAddress } from '../base/ip.ts';
import { familyOf, formatSocketAddress, parseIp } from '../base/ip.ts';
import { ERRNO, errnoName } from '../sys/errno.ts';
import { NativeBuffer } from '../sys/native-buffer.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { steerGroup, stopSteering } from '../sys/reuse-port.ts';
import { UNKNOWN_ADDRESS } from '../sys/socket-address.ts';
import * as sockets from '../sys/sockets.ts';
import { applyListeningOptions, markSocket } from '../sys/tcp-options.ts';
import { ioErrors } from './errors.ts';
import type { EventHandler, Reactor, Task } from './reactor.ts';

/** Datagrams read before other work of the turn gets its chance. */
const DATAGRAMS_PER_TURN = 64;
/** The largest UDP payload there is. */
const MAX_DATAGRAM = 65_535;

/** Shared by all sockets of this thread: a datagram is looked at before the next one is read. */
const inbox = new NativeBuffer(MAX_DATAGRAM);
const outbox = new NativeBuffer(MAX_DATAGRAM);

export interface UdpOptions {
  readonly namespace?: NetworkNamespace | undefined;
  readonly mark?: number | undefined;
  readonly reusePort?: boolean | undefined;
}

export type UdpMessageHandler = (data: Uint8Array, from: SocketAddress) => void;

export class UdpSocket implements EventHandler, Task {
  readonly localAddress: SocketAddress;
  readonly #reactor: Reactor;
  readonly #fd: number;
  readonly #family: IpFamily;
  readonly #onMessage: UdpMessageHandler;
  #closed = false;

  private constructor(reactor: Reactor, bound: Bound, onMessage: UdpMessageHandler) {
    this.#reactor = reactor;
    this.#fd = bound.fd;
    this.#family = bound.family;
    this.#onMessage = onMessage;
    this.localAddress = sockets.localAddressOf(bound.fd) ?? UNKNOWN_ADDRESS;
    reactor.register(bound.fd, this);
  }

  /**
   * `data` is valid during the call of `onMessage` only. `::` means IPv4 too, and `0.0.0.0` where IPv6 is switched off.
   * @throws AMBIT_LISTEN_FAILED
   */
  static bind(
    reactor: Reactor,
    address: SocketAddress,
    options: UdpOptions,
    onMessage: UdpMessageHandler,
  ): UdpSocket {
    const open = (): Bound => openBound(address, options);
    const bound = options.namespace === undefined ? open() : options.namespace.run(open);
    if (bound.fd >= 0) return new UdpSocket(reactor, bound, onMessage);
    const where = formatSocketAddress(address);
    throw ioErrors.AMBIT_LISTEN_FAILED(`listen on UDP ${where}: ${errnoName(bound.fd)}`);
  }

  /** False when the kernel did not take the datagram; as with all UDP, nobody will know. */
  send(data: Uint8Array, to: SocketAddress): boolean {
    const wrongFamily = this.#family === 4 && familyOf(to.ip) === 6;
    if (this.#closed || data.length > MAX_DATAGRAM || wrongFamily) return false;
    outbox.bytes.set(data);
    return sockets.sendDatagram(this.#fd, outbox, data.length, { address: to, family: this.#family }) >= 0;
  }

  onEvents(): void {
    this.run();
  }

  run(): void {
    for (let i = 0; i < DATAGRAMS_PER_TURN; i++) {
      if (this.#closed) return;
      const length = sockets.receiveDatagram(this.#fd, inbox);
      if (length === -ERRNO.EAGAIN) return;
      // Any other failure is an ICMP error of something sent before (udp(7)), and that was lost anyway.
      if (length >= 0) this.#deliver(length);
    }
    this.#reactor.deferLong(this);
  }

  /** With `reusePort`: datagrams go to the socket with this index from now on; those that are here are still read. */
  steer(index: number): void {
    if (!this.#closed) steerGroup(this.#fd, index);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reactor.deregister(this.#fd);
    sockets.closeDescriptor(this.#fd);
  }

  /** One hostile datagram must not end the socket, as it would if the reactor caught the exception. */
  #deliver(length: number): void {
    const from = sockets.receivedFrom();
    if (from === undefined) return;
    try {
      this.#onMessage(inbox.bytes.subarray(0, length), from);
    } catch (thrown) {
      this.#reactor.reportFailure(thrown);
    }
  }
}

interface Bound {
  /** Or a negated errno. */
  readonly fd: number;
  readonly family: IpFamily;
}

function openBound(address: SocketAddress, options: UdpOptions): Bound {
  const family = familyOf(address.ip);
  const fd = bindHere(address, family, options);
  if (fd !== -ERRNO.EAFNOSUPPORT || address.ip !== '::') return { fd, family };
  return { fd: bindHere({ ip: parseIp('0.0.0.0')!, port: address.port }, 4, options), family: 4 };
}

function bindHere(address: SocketAddress, family: IpFamily, options: UdpOptions): number {
  const fd = sockets.openSocket(family, 'datagram');
  if (fd < 0) return fd;
  let result = applyUdpOptions(fd, family, options);
  if (result === 0) result = sockets.bindSocket(fd, address, family);
  // A predecessor may have steered the group before it left.
  if (result === 0 && options.reusePort === true) stopSteering(fd);
  if (result === 0) return fd;
  sockets.closeDescriptor(fd);
  return result;
}

function applyUdpOptions(fd: number, family: IpFamily, options: UdpOptions): number {
  const result = applyListeningOptions(fd, family, { reusePort: options.reusePort, reuseAddress: false });
  return result < 0 || options.mark === undefined ? result : markSocket(fd, options.mark);
}
