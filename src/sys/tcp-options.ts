/** The socket options of the data plane, applied as one set. */

import type { IpFamily } from '../base/ip.ts';
import * as k from './layouts.ts';
import { setOption } from './sockets.ts';

export interface KeepAlive {
  readonly idleMs: number;
  readonly intervalMs: number;
  readonly probes: number;
}

/** What Istio's ztunnel uses (peers of a node proxy vanish silently when their node does). */
export const DEFAULT_KEEP_ALIVE: KeepAlive = { idleMs: 180_000, intervalMs: 180_000, probes: 9 };

export interface ListeningOptions {
  /** Lets a TCP listener come back while connections of its predecessor linger; true when left out. */
  readonly reuseAddress?: boolean | undefined;
  readonly reusePort?: boolean | undefined;
  readonly v6Only?: boolean | undefined;
}

export interface TcpOptions {
  readonly mark?: number | undefined;
  readonly transparent?: boolean | undefined;
  /** False switches it off; what Istio's ztunnel uses when left out. */
  readonly keepAlive?: KeepAlive | false | undefined;
  readonly userTimeoutMs?: number | undefined;
}

/** The setsockopt calls of one socket; the first that failed is remembered and the rest are not tried. */
class OptionSet {
  failed = 0;
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  set(level: number, name: number, value: number): void {
    if (this.failed === 0) this.failed = Math.min(0, setOption(this.#fd, level, name, value));
  }
}

/** What a socket needs before it is bound to listen; 0 or a negated errno. */
export function applyListeningOptions(fd: number, family: IpFamily, options: ListeningOptions): number {
  const set = new OptionSet(fd);
  if (options.reuseAddress !== false) set.set(k.SOL_SOCKET, k.SO_REUSEADDR, 1);
  if (options.reusePort === true) set.set(k.SOL_SOCKET, k.SO_REUSEPORT, 1);
  if (family === 6) set.set(k.SOL_IPV6, k.IPV6_V6ONLY, options.v6Only === true ? 1 : 0);
  return set.failed;
}

/**
 * Applies TCP_NODELAY, keep-alive and what else is asked for. Sockets accepted from a listener inherit all of it, so
 * an accepted connection costs no such call. Returns 0 or the negated errno of the first failure.
 */
export function applyTcpOptions(fd: number, family: IpFamily, options: TcpOptions): number {
  const set = new OptionSet(fd);
  const keepAlive = options.keepAlive ?? DEFAULT_KEEP_ALIVE;
  set.set(k.SOL_TCP, k.TCP_NODELAY, 1);
  if (keepAlive !== false) {
    set.set(k.SOL_SOCKET, k.SO_KEEPALIVE, 1);
    set.set(k.SOL_TCP, k.TCP_KEEPIDLE, seconds(keepAlive.idleMs));
    set.set(k.SOL_TCP, k.TCP_KEEPINTVL, seconds(keepAlive.intervalMs));
    set.set(k.SOL_TCP, k.TCP_KEEPCNT, keepAlive.probes);
  }
  if (options.userTimeoutMs !== undefined) set.set(k.SOL_TCP, k.TCP_USER_TIMEOUT, options.userTimeoutMs);
  if (options.mark !== undefined) set.set(k.SOL_SOCKET, k.SO_MARK, options.mark);
  if (options.transparent === true) {
    if (family === 6) set.set(k.SOL_IPV6, k.IPV6_TRANSPARENT, 1);
    // An IPv6 socket that carries IPv4 is looked up by this.
    set.set(k.SOL_IP, k.IP_TRANSPARENT, 1);
  }
  return set.failed;
}

export function markSocket(fd: number, mark: number): number {
  return setOption(fd, k.SOL_SOCKET, k.SO_MARK, mark);
}

/**
 * Lets bind() with port 0 leave the choice of the port to connect(), which can use one port for many destinations.
 * Returns 0 or a negated errno.
 */
export function bindWithoutPort(fd: number): number {
  return setOption(fd, k.SOL_IP, k.IP_BIND_ADDRESS_NO_PORT, 1);
}

function seconds(ms: number): number {
  return Math.max(1, Math.round(ms / 1000));
}
