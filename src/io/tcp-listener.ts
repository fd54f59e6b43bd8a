/** A listening TCP socket on a reactor. */

import type { AmbitError } from '../base/errors.ts';
import type { IpFamily, SocketAddress } from '../base/ip.ts';
import { familyOf, formatSocketAddress, parseIp } from '../base/ip.ts';
import { ERRNO, errnoName } from '../sys/errno.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { steerGroup, stopSteering } from '../sys/reuse-port.ts';
import { UNKNOWN_ADDRESS } from '../sys/socket-address.ts';
import { ignoreNewHandshakes } from '../sys/socket-filter.ts';
import * as sockets from '../sys/sockets.ts';
import { applyListeningOptions, applyTcpOptions, type KeepAlive } from '../sys/tcp-options.ts';
import { ioErrors } from './errors.ts';
import type { EventHandler, Reactor, Task, Timer } from './reactor.ts';
import { TcpSocket } from './tcp-socket.ts';

/** Connections accepted before other work of the turn gets its chance. */
const ACCEPTS_PER_TURN = 16;
/** What the kernel cuts to net.core.somaxconn; a burst of connections must fit while the thread is busy. */
const DEFAULT_BACKLOG = 4096;
/** How long to wait for descriptors or memory; the backlog holds the clients meanwhile. */
const ACCEPT_PAUSE_MS = 100;

/** Failures of accept that are about us, not about the connection: trying on at once would spin. */
const EXHAUSTED: ReadonlySet<number> = new Set([ERRNO.EMFILE, ERRNO.ENFILE, ERRNO.ENOBUFS, ERRNO.ENOMEM]);

export interface ListenOptions {
  readonly namespace?: NetworkNamespace | undefined;
  readonly mark?: number | undefined;
  readonly reusePort?: boolean | undefined;
  readonly backlog?: number | undefined;
  /** IP_TRANSPARENT: connections redirected by TPROXY, and local addresses that are not ours. */
  readonly transparent?: boolean | undefined;
  /** Of accepted connections, which inherit it. */
  readonly keepAlive?: KeepAlive | false | undefined;
  readonly userTimeoutMs?: number | undefined;
  /** Listening on `::` means IPv4 too unless this is set. */
  readonly v6Only?: boolean | undefined;
  /** Descriptors or memory have run out, and accepting pauses. */
  readonly onExhausted?: ((error: string) => void) | undefined;
  /** As many connections have come as are taken before other work gets its chance. */
  readonly onShareUsedUp?: (() => void) | undefined;
}

type Hooks = Pick<ListenOptions, 'onExhausted' | 'onShareUsedUp'>;

export class TcpListener implements EventHandler, Task {
  readonly localAddress: SocketAddress;
  /** How often accepting had to pause because descriptors or memory ran out. */
  acceptPauses = 0;
  readonly #reactor: Reactor;
  readonly #fd: number;
  readonly #onAccept: (socket: TcpSocket) => void;
  readonly #hooks: Hooks;
  #pause: Timer | undefined;
  #closed = false;

  private constructor(reactor: Reactor, fd: number, onAccept: (socket: TcpSocket) => void, hooks: Hooks) {
    this.#reactor = reactor;
    this.#fd = fd;
    this.#onAccept = onAccept;
    this.#hooks = hooks;
    this.localAddress = sockets.localAddressOf(fd) ?? UNKNOWN_ADDRESS;
    reactor.register(fd, this);
  }

  /**
   * Listens; `::` where IPv6 is switched off becomes `0.0.0.0`. The accepted socket is given to `onAccept`, which sets
   * its handler.
   * @throws AMBIT_LISTEN_FAILED
   */
  static listen(
    reactor: Reactor,
    address: SocketAddress,
    options: ListenOptions,
    onAccept: (socket: TcpSocket) => void,
  ): TcpListener {
    const { namespace } = options;
    const open = (): number => openListening(address, options);
    const fd = namespace === undefined ? open() : namespace.run(open);
    if (fd < 0) throw listenError(address, fd);
    return new TcpListener(reactor, fd, onAccept, options);
  }

  onEvents(): void {
    this.run();
  }

  run(): void {
    if (!this.#closed && this.#pause === undefined) this.#acceptSome();
  }

  /**
   * With `reusePort`: new connections go to the listener with this index from now on. What is in this one's queue, and
   * the handshakes it has begun, still come here, so it goes on accepting.
   */
  steer(index: number): void {
    if (!this.#closed) steerGroup(this.#fd, index);
  }

  /**
   * Answers nobody new, so that nothing is on its way when it closes: between the last look into the queue and the
   * close there is always time for one more connection, which the kernel would reset.
   */
  ignoreNew(): void {
    if (!this.#closed) ignoreNewHandshakes(this.#fd);
  }

  /** Takes what is in the queue, which the kernel would reset, and closes. */
  closeEmptied(): void {
    for (let fd = 0; !this.#closed && fd >= 0; ) {
      fd = sockets.acceptConnection(this.#fd);
      if (fd >= 0) this.#handOver(fd);
    }
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pause?.cancel();
    this.#reactor.deregister(this.#fd);
    sockets.closeDescriptor(this.#fd);
  }

  #acceptSome(): void {
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      const fd = sockets.acceptConnection(this.#fd);
      if (fd >= 0) this.#handOver(fd);
      else if (fd === -ERRNO.EAGAIN) return;
      else if (EXHAUSTED.has(-fd)) return this.#pauseAccepting(fd);
      // Any other failure is of a connection that has died in the queue (accept(2), "Error handling").
      if (this.#closed) return;
    }
    this.#hooks.onShareUsedUp?.();
    this.#reactor.deferLong(this);
  }

  #handOver(fd: number): void {
    const remote = sockets.acceptedFrom();
    let socket: TcpSocket | undefined;
    try {
      socket = TcpSocket.accepted(this.#reactor, fd, undefined, remote);
      this.#onAccept(socket);
    } catch (thrown) {
      // One bad connection must not end the listener, as it would if the reactor caught this.
      this.#reactor.reportFailure(thrown);
      socket?.onFailure(thrown);
    }
  }

  #pauseAccepting(result: number): void {
    this.acceptPauses++;
    this.#hooks.onExhausted?.(errnoName(result));
    this.#pause = this.#reactor.setTimer(ACCEPT_PAUSE_MS, () => {
      this.#pause = undefined;
      this.#acceptSome();
    });
  }
}

function openListening(address: SocketAddress, options: ListenOptions): number {
  const fd = listenHere(address, familyOf(address.ip), options);
  const noIpv6 = fd === -ERRNO.EAFNOSUPPORT || fd === -ERRNO.EADDRNOTAVAIL;
  if (!noIpv6 || address.ip !== '::') return fd;
  return listenHere({ ip: parseIp('0.0.0.0')!, port: address.port }, 4, options);
}

/** A listening descriptor, or a negated errno. */
function listenHere(address: SocketAddress, family: IpFamily, options: ListenOptions): number {
  const fd = sockets.openSocket(family, 'stream');
  if (fd < 0) return fd;
  let result = applyListeningOptions(fd, family, options);
  if (result === 0) result = applyTcpOptions(fd, family, options);
  if (result === 0) result = sockets.bindSocket(fd, address, family);
  if (result === 0) result = sockets.listenOn(fd, options.backlog ?? DEFAULT_BACKLOG);
  // A predecessor may have steered the group before it left.
  if (result === 0 && options.reusePort === true) stopSteering(fd);
  if (result === 0) return fd;
  sockets.closeDescriptor(fd);
  return result;
}

function listenError(address: SocketAddress, result: number): AmbitError {
  return ioErrors.AMBIT_LISTEN_FAILED(`listen on ${formatSocketAddress(address)}: ${errnoName(result)}`);
}
