/** Opens an HTTP/2 session to a gRPC server: TCP, TLS and ALPN within one deadline. */

import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { messageOf } from '../../base/errors.ts';
import { grpcErrors } from './errors.ts';
import { RememberedLookup } from './remembered-lookup.ts';

export const CONNECT_TIMEOUT_MS = 5000;
/** A control plane that is gone without a word is also found out by TCP; PINGs are quicker where they run. */
const TCP_KEEP_ALIVE_DELAY_MS = 300_000;
/** Bytes; pushes come in bulk, and Node's default of 64 KiB would take a round trip for each. */
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;
/** Larger than that of a stream, or one stream that is not read could stop the others. */
const CONNECTION_WINDOW_BYTES = 16 * 1024 * 1024;
const MAX_HEADER_LIST_BYTES = 32 * 1024;
/** MB; the windows count. */
const MAX_SESSION_MEMORY_MB = 64;

/** One for the process: whoever connects again profits from what somebody has found out. */
const { lookup } = new RememberedLookup();

/** PEM of the roots that a server's chain has to end in, or the roots that come with the system. */
export type TrustedRoots = { readonly kind: 'pem'; readonly pem: string } | { readonly kind: 'system' };

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** The name to ask for and to find in the certificate, instead of the host. */
  readonly serverName?: string | undefined;
}

/** Throws UNAVAILABLE. `plaintext` is for tests. */
export async function dialSession(
  target: DialTarget,
  roots: TrustedRoots | 'plaintext',
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<ClientHttp2Session> {
  const socket =
    roots === 'plaintext' ? connectTcp({ ...target, lookup }) : connectTls(tlsOptions(target, roots));
  const ready = roots === 'plaintext' ? 'connect' : 'secureConnect';
  try {
    await socketReady(socket, ready, timeoutMs);
    if (roots !== 'plaintext') expectHttp2(socket as TLSSocket);
    return await openSession(socket, roots === 'plaintext' ? 'http' : 'https', target);
  } catch (thrown) {
    socket.destroy();
    const where = `${target.host}:${target.port}`;
    throw grpcErrors.AMBIT_GRPC_UNAVAILABLE(`no connection to ${where}: ${messageOf(thrown)}`, thrown);
  }
}

function tlsOptions(target: DialTarget, roots: TrustedRoots): ConnectionOptions {
  const name = target.serverName ?? target.host;
  return {
    host: target.host,
    port: target.port,
    lookup,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    // Node throws when an IP address is given as a name to ask for; the certificate is checked against it anyway.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ...(roots.kind === 'pem' ? { ca: roots.pem } : {}),
  };
}

function expectHttp2(socket: TLSSocket): void {
  if (socket.alpnProtocol !== 'h2') throw new Error('the server does not speak HTTP/2');
}

function socketReady(socket: Socket, event: 'connect' | 'secureConnect', timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not connected within ${timeoutMs} ms`)), timeoutMs);
    // Stays for the life of the socket: an error without a listener would end the process.
    socket.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    socket.once(event, () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function openSession(
  socket: Socket,
  scheme: 'http' | 'https',
  target: DialTarget,
): Promise<ClientHttp2Session> {
  const name = target.serverName ?? target.host;
  const authority = `${scheme}://${isIP(name) === 6 ? `[${name}]` : name}:${target.port}`;
  socket.setKeepAlive(true, TCP_KEEP_ALIVE_DELAY_MS).setNoDelay(true);
  return new Promise((resolve, reject) => {
    const session = connectHttp2(authority, {
      createConnection: () => socket,
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxHeaderListSize: MAX_HEADER_LIST_BYTES,
      },
    });
    // Stays as well; see above.
    session.on('error', reject);
    session.once('connect', () => {
      session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
      resolve(session);
    });
  });
}
