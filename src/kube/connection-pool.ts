/** The connections of one client to its API server: all requests, watches and streams share them. */

import type { Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher, ProxyAgent } from 'undici';
import type { KubeCredentials, TlsMaterial } from './credentials.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** Silence on a connection until the kernel begins to ask whether the peer is there; it gives up ten seconds later. */
const KEEP_ALIVE_MS = 30_000;
/** An API server keeps idle connections for 90 s: ours end before, so that none is used while it closes. */
const IDLE_MS = 30_000;
const OPTIONS = { allowH2: false, keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS } as const;

type Connector = ReturnType<typeof buildConnector>;

/**
 * HTTP/1.1 only: a watch has a connection of its own, so one that is slow or broken takes no other with it.
 * A certificate that has been rotated is used by the next connection (through a proxy, by the next process).
 */
export async function openPool(credentials: KubeCredentials): Promise<Dispatcher> {
  if (credentials.proxy !== undefined) {
    const requestTls = connectorOptions(await credentials.tls());
    return new ProxyAgent({ ...OPTIONS, uri: credentials.proxy, requestTls });
  }
  const connect = connectorOf(credentials);
  return new Agent({
    ...OPTIONS,
    connect(target, callback) {
      connect(target).then(
        (socket) => callback(null, socket),
        (thrown: Error) => callback(thrown, null),
      );
    },
  });
}

/** Keeps the connector, and with it the TLS sessions, for as long as the certificates are the same. */
function connectorOf(credentials: KubeCredentials): (target: Parameters<Connector>[0]) => Promise<Socket> {
  let current: { readonly key: string; readonly connector: Connector } | undefined;
  return async (target) => {
    const tls = await credentials.tls();
    const key = Object.values(tls).join('\n');
    if (current?.key !== key) current = { key, connector: buildConnector(connectorOptions(tls)) };
    const { connector } = current;
    return new Promise((resolve, reject) => {
      connector(target, (...[error, socket]) => (error === null ? resolve(socket) : reject(error)));
    });
  };
}

function connectorOptions(tls: TlsMaterial): buildConnector.BuildOptions {
  return {
    ...tls,
    allowH2: false,
    timeout: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_MS,
  };
}
