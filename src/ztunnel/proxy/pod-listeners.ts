/** The listeners that ztunnel opens inside a pod's network namespace. */

import { messageOf } from '../../base/errors.ts';
import { type IpAddress, parseIp } from '../../base/ip.ts';
import type { Reactor } from '../../io/reactor.ts';
import { type ListenOptions, TcpListener } from '../../io/tcp-listener.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';
import type { NetworkNamespace } from '../../sys/network-namespace.ts';
import { errors } from '../errors.ts';
import { LISTEN_BACKLOG } from './limits.ts';

export const OUTBOUND_PORT = 15001;
export const INBOUND_PLAINTEXT_PORT = 15006;
export const INBOUND_HBONE_PORT = 15008;
export const SOCKS5_PORT = 15080;

export interface PodListenerOptions {
  readonly reactor: Reactor;
  readonly namespace: NetworkNamespace;
  readonly ipv6: boolean;
  /** What accepted connections have in common with those that the proxy opens. */
  readonly tcp: Pick<ListenOptions, 'keepAlive' | 'userTimeoutMs'>;
  /** Descriptors or memory have run out; accepting goes on a little later. */
  readonly onExhausted: (error: string) => void;
  /** As many connections have come to a port as are taken before other work gets its chance. */
  readonly onShareUsedUp: () => void;
}

/** A port and what becomes of connections to it. */
export interface PodListener {
  readonly port: number;
  /** The only address that is listened on; all of them when left out. */
  readonly ip?: IpAddress;
  readonly onAccept: (socket: TcpSocket) => void;
}

/**
 * Opens all of them, or none.
 * @throws AmbitError AMBIT_POD_START_FAILED
 */
export function openPodListeners(options: PodListenerOptions, wanted: readonly PodListener[]): TcpListener[] {
  const listeners: TcpListener[] = [];
  try {
    for (const one of wanted) listeners.push(listen(options, one));
    return listeners;
  } catch (thrown) {
    for (const listener of listeners) listener.close();
    throw errors.AMBIT_POD_START_FAILED(
      `a listener could not be opened in the pod: ${messageOf(thrown)}`,
      thrown,
    );
  }
}

/**
 * Unless it is for one address: all of both families; of IPv4 alone where the pod has no IPv6. Without the mark of sockets
 * that the proxy opens: an accepted connection would inherit it, and the rules in the pod would have the kernel look up a
 * route anew for each packet of both sides.
 */
function listen(options: PodListenerOptions, wanted: PodListener): TcpListener {
  const { reactor, namespace, tcp, onExhausted, onShareUsedUp } = options;
  const ip = wanted.ip ?? parseIp(options.ipv6 ? '::' : '0.0.0.0')!;
  const hooks = { onExhausted, onShareUsedUp };
  const listenOptions = { namespace, reusePort: true, backlog: LISTEN_BACKLOG, ...hooks, ...tcp };
  return TcpListener.listen(reactor, { ip, port: wanted.port }, listenOptions, wanted.onAccept);
}
