/** Somebody on the network who speaks to a port as nobody should, and says what became of it. */

import { once } from 'node:events';
import * as http2 from 'node:http2';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Leaf } from './certificates.ts';

/** Longer than every timeout of the proxy that may end a connection. */
const PATIENCE_MS = 20_000;

export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface Credentials {
  /** Without one the client has no certificate. */
  readonly leaf?: Leaf;
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3';
}

/** Resolves when the other side has closed or reset the connection; rejects when it does not. */
export function untilClosed(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the connection is still open after ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve();
    };
    socket.on('end', done).on('close', done).on('error', done).resume();
  });
}

/** Sends bytes over plain TCP and waits until the other side has had enough. */
export async function sendPlain(target: Target, bytes: Uint8Array | string): Promise<void> {
  const socket = connect(target);
  const closed = untilClosed(socket);
  socket.write(bytes);
  await closed;
}

/** Sends the first bytes of something and leaves. */
export async function sendAndLeave(target: Target, bytes: Uint8Array | string): Promise<void> {
  const socket = connect(target);
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.end(bytes);
  await untilClosed(socket);
}

/** One byte of a text at a time, for as long as the other side takes it. */
export async function drip(target: Target, bytes: Uint8Array): Promise<void> {
  const socket = connect({ ...target, noDelay: true });
  const closed = untilClosed(socket);
  let next = 0;
  const timer = setInterval(() => socket.write(bytes.subarray(next, ++next)), 500);
  await closed.finally(() => clearInterval(timer));
}

/** Whom one talks to is not the question here. */
export function openTls(target: Target, { leaf, minVersion, maxVersion }: Credentials): TLSSocket {
  return connectTls({
    ...target,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2'],
    ...(leaf !== undefined && { cert: leaf.chainPem, key: leaf.privateKeyPem }),
    ...(minVersion !== undefined && { minVersion }),
    ...(maxVersion !== undefined && { maxVersion }),
  });
}

/** A handshake with these credentials and then these bytes, until the other side has had enough. */
export async function sendTls(
  target: Target,
  credentials: Credentials,
  bytes: Uint8Array | string,
): Promise<void> {
  const socket = openTls(target, credentials);
  const closed = untilClosed(socket);
  socket.once('secureConnect', () => socket.write(bytes));
  await closed;
}

/** An HTTP/2 client with this certificate. */
export async function openHttp2(target: Target, leaf: Leaf): Promise<http2.ClientHttp2Session> {
  const socket = openTls(target, { leaf });
  const session = http2.connect('https://mesh', { createConnection: () => socket });
  // Rejects when the connection fails before.
  await once(session, 'remoteSettings');
  session.on('error', () => {});
  return session;
}

/** The status of a request; header fields as node:http2 takes them. */
export async function statusOf(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
): Promise<number | string> {
  const stream = session.request(headers);
  const { promise, resolve } = Promise.withResolvers<number | string>();
  stream.on('response', (response) => resolve(response[':status']!));
  stream.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  stream.on('close', () => resolve(`closed with ${stream.rstCode}`));
  stream.resume();
  return promise.finally(() => stream.close());
}

/** A ClientHello as a real client would begin with, recorded from one. */
export async function clientHello(): Promise<Buffer> {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connectTls({ host: '127.0.0.1', port, ALPNProtocols: ['h2'] });
  client.on('error', () => {});
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  client.destroy();
  accepted.destroy();
  server.close();
  return bytes;
}
