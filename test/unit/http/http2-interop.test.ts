/** The session on real sockets, against peers that others wrote: node:http2, nghttp and h2load. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { HeaderList } from '../../../src/http/header-list.ts';
import { Http2Connection } from '../../../src/http/http2-connection.ts';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { defaultHttp2Settings } from '../../../src/http/http2-settings.ts';
import { PlainStream } from '../../../src/io/plain-stream.ts';
import { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { echoServer, HashingRequest, nobody } from '../../support/http2-echo.ts';
import { address, testReactor, until, within } from '../../support/reactor-harness.ts';

const run = promisify(execFile);
const reactor = testReactor();
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Sends the body through node:http2 and returns the hash of what comes back. */
async function echoed(session: http2.ClientHttp2Session, body: Buffer, connect: boolean): Promise<string> {
  const stream = session.request(
    connect
      ? { ':method': 'CONNECT', ':authority': '10.0.0.9:80' }
      : {
          ':method': 'POST',
          ':path': '/',
          'content-length': String(body.length),
          cookie: `a=${body.length}`,
        },
  );
  const hash = createHash('sha256');
  stream.on('data', (chunk: Buffer) => hash.update(chunk));
  stream.end(body);
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders & { ':status'?: number }];
  assert.equal(headers[':status'], 200);
  if (!stream.readableEnded) await once(stream, 'end');
  return hash.digest('hex');
}

describe('our server', () => {
  const server = echoServer(reactor);

  test('echoes requests and tunnels of a node:http2 client, many at once', async () => {
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    const bodies = Array.from({ length: 150 }, (_, i) =>
      randomBytes(i % 10 === 0 ? 300_000 : randomInt(5000)),
    );
    const hashes = await within(Promise.all(bodies.map((body, i) => echoed(session, body, i % 2 === 0))));
    assert.deepEqual(hashes, bodies.map(sha256));
    session.close();
    await within(once(session, 'close'));
    await until(() => server.connections.size === 0);
    assert.equal(server.counters.streams, server.counters.streamsClosed);
    assert.equal(server.counters.protocolErrors, 0);
  });

  test('moves one large body both ways at once', async () => {
    // Node buffers 10 MB per session at most, and resets a stream that is written to faster.
    const session = http2.connect(`http://127.0.0.1:${server.port}`, { maxSessionMemory: 100 });
    await within(once(session, 'connect'));
    session.setLocalWindowSize(8 * 1024 * 1024);
    const body = randomBytes(20_000_000);
    assert.equal(await within(echoed(session, body, true)), sha256(body));
    for (const connection of server.connections) assert.equal(connection.heldBytes, 0);
    session.destroy();
  });

  test('tells a node:http2 client to go away, and lets its tunnel finish', async () => {
    const session = http2.connect(`http://127.0.0.1:${server.port}`);
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' });
    await within(once(stream, 'response'));
    const goAway = once(session, 'goaway');
    for (const connection of server.connections) connection.startDrain();
    const [code, lastStreamId] = (await within(goAway)) as [number, number];
    assert.equal(code, 0);
    assert.ok(lastStreamId >= 1);
    stream.end('last words');
    let text = '';
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    await within(once(session, 'close'));
    assert.equal(text, 'last words');
    await until(() => server.connections.size === 0);
  });

  test('survives clients that vanish', async () => {
    const sessions = Array.from({ length: 10 }, () => http2.connect(`http://127.0.0.1:${server.port}`));
    for (const session of sessions) {
      session.on('error', () => {});
      for (let i = 0; i < 10; i++) {
        const stream = session.request({ ':method': 'CONNECT', ':authority': 'a:1' });
        stream.on('error', () => {});
        stream.write(randomBytes(50_000));
      }
    }
    await until(() => server.connections.size === 10);
    for (const session of sessions) session.destroy();
    await until(() => server.connections.size === 0);
    assert.equal(server.counters.streams, server.counters.streamsClosed);
  });

  test('satisfies nghttp', async () => {
    const { stdout } = await run('nghttp', ['-nv', `http://127.0.0.1:${server.port}/`], { timeout: 20_000 });
    assert.match(stdout, /:status: 200/);
    assert.doesNotMatch(stdout, /INVALID|error_code=[^N]/);
  });

  test('satisfies h2load', async () => {
    const url = `http://127.0.0.1:${server.port}/`;
    const { stdout } = await run('h2load', ['-n', '5000', '-c', '5', '-m', '50', url], { timeout: 60_000 });
    assert.match(stdout, /5000 done, 5000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.equal(server.counters.protocolErrors, 0);
  });

  test('closes its listener', () => server.close());
});

describe('our client', () => {
  async function connected(port: number): Promise<Http2Connection> {
    const socket = TcpSocket.connect(reactor, address(`127.0.0.1:${port}`), {});
    const { promise, resolve } = Promise.withResolvers<void>();
    const connection = new Http2Connection(new PlainStream(socket, nobody), {
      role: 'client',
      settings: defaultHttp2Settings,
      counters: new Http2Counters(),
      events: { onReady: () => resolve(), onClosed() {} },
    });
    await within(promise);
    return connection;
  }

  async function nodeServer(onStream: (stream: http2.ServerHttp2Stream) => void): Promise<http2.Http2Server> {
    const server = http2.createServer({ settings: { maxConcurrentStreams: 100 } });
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      onStream(stream as http2.ServerHttp2Stream);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }

  const portOf = (server: http2.Http2Server): number => (server.address() as AddressInfo).port;
  const post: HeaderList = [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'localhost'],
    ['x-note', 'grüße'],
  ];
  const tunnel: HeaderList = [
    [':method', 'CONNECT'],
    [':authority', '10.0.0.9:80'],
    ['baggage', 'k8s.namespace.name=shop'],
  ];

  test('gets its bodies back from a node:http2 server, many at once', async () => {
    const server = await nodeServer((stream) => {
      stream.respond({ ':status': 200, 'x-padding': 'y'.repeat(3000) });
      stream.pipe(stream);
    });
    const connection = await connected(portOf(server));
    assert.equal(connection.maxPeerStreams, 100);
    for (let round = 0; round < 5; round++) {
      const bodies = Array.from({ length: 60 }, (_, i) => randomBytes(i === 0 ? 3_000_000 : randomInt(3000)));
      const requests = bodies.map((body, i) => {
        const one = new HashingRequest();
        one.begin(connection, i % 2 === 0 ? tunnel : post, body);
        return one;
      });
      const hashes = await within(Promise.all(requests.map((one) => one.done)));
      assert.deepEqual(hashes, bodies.map(sha256));
      assert.equal(connection.heldBytes, 0);
    }
    await until(() => connection.openStreams === 0);
    connection.startDrain();
    server.close();
  });

  test('hears of resets and refusals', async () => {
    const server = await nodeServer((stream) => stream.close(Http2ErrorCode.refusedStream));
    const connection = await connected(portOf(server));
    const one = new HashingRequest();
    one.begin(connection, tunnel, Buffer.from('x'));
    assert.equal(await within(one.done), `reset ${Http2ErrorCode.refusedStream} peer`);
    connection.close(Http2ErrorCode.noError);
    server.close();
  });

  test('loses its streams when the server vanishes', async () => {
    const server = await nodeServer((stream) => {
      stream.respond({ ':status': 200 });
      stream.session!.destroy();
    });
    const connection = await connected(portOf(server));
    const one = new HashingRequest();
    one.begin(connection, tunnel, Buffer.alloc(10));
    assert.match(await within(one.done), /^reset/);
    await until(() => connection.isLeaving);
    assert.equal(connection.openStreams, 0);
    server.close();
  });
});
