/**
 * node:http2 as the other node proxy: ends tunnels in front of an application, and begins them for its clients. Arguments:
 * the folder of its credentials, its own address, and the address and port that its tunnels lead to. SIGTERM drains it.
 */

import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import { connect, createServer, type Socket } from 'node:net';
import { parseSocketAddress } from '../../src/base/ip.ts';
import { ENVOY_ENTRY_PORT } from './envoy-config.ts';

const HBONE_PORT = 15008;
/** Of a session, in megabytes: Node resets streams that are written to faster than they are sent. */
const SESSION_MEMORY_MB = 200;
const { NGHTTP2_CONNECT_ERROR, NGHTTP2_NO_ERROR } = http2.constants;

const [folder, ownIp, upstreamIp, upstreamPort] = process.argv.slice(2) as [string, string, string, string];
const read = (name: string) => readFileSync(`${folder}/${name}`);
const credentials = { key: read('key.pem'), cert: read('chain.pem'), ca: read('root.pem') };
/** The windows stay those of HTTP/2 itself: 65,535 bytes for each stream and for the connection. */
const options = { ...credentials, minVersion: 'TLSv1.3', maxSessionMemory: SESSION_MEMORY_MB } as const;

/** Bytes and ends pass both ways; a failure of one side is a reset of the other. */
function join(stream: http2.Http2Stream, socket: Socket): void {
  stream.pipe(socket).pipe(stream);
  socket.on('error', () => stream.close(NGHTTP2_CONNECT_ERROR));
  stream.on('error', () => socket.resetAndDestroy());
  stream.on('close', () => {
    if (stream.rstCode !== NGHTTP2_NO_ERROR) socket.resetAndDestroy();
  });
}

function endTunnels(): http2.Http2SecureServer {
  const server = http2.createSecureServer({ ...options, requestCert: true, rejectUnauthorized: true });
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on('sessionError', () => {});
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    const target = parseSocketAddress(headers[':authority'] ?? '');
    if (headers[':method'] !== 'CONNECT' || target === undefined)
      return void stream.respond({ ':status': 400 });
    const socket = connect({ host: ownIp, port: target.port, allowHalfOpen: true });
    socket.once('connect', () => {
      stream.respond({ ':status': 200 });
      join(stream, socket);
    });
    socket.once('error', () => stream.destroy());
  });
  process.on('SIGTERM', () => {
    for (const session of sessions) session.close();
  });
  return server;
}

/** All tunnels share one session, until its end. */
function beginTunnels(): ReturnType<typeof createServer> {
  let session: http2.ClientHttp2Session | undefined;
  const currentSession = () => {
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    const checkServerIdentity = () => undefined;
    session = http2.connect(`https://${upstreamIp}:${HBONE_PORT}`, { ...options, checkServerIdentity });
    session.on('error', () => {});
    session.on('goaway', () => process.stdout.write('goaway\n'));
    return session;
  };
  return createServer({ allowHalfOpen: true }, (socket) => {
    const authority = `${upstreamIp}:${upstreamPort}`;
    const stream = currentSession().request({ ':method': 'CONNECT', ':authority': authority });
    join(stream, socket);
  });
}

endTunnels().listen(HBONE_PORT, ownIp, () => {
  beginTunnels().listen(ENVOY_ENTRY_PORT, '127.0.0.1', () => process.stdout.write('ready\n'));
});
