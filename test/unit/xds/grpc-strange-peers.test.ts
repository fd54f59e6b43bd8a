/** Servers and clients that do not keep to the protocol, by hand over node:http2. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { GrpcChannel } from '../../../src/xds/grpc/grpc-channel.ts';
import { GrpcServer } from '../../../src/xds/grpc/grpc-server.ts';
import { eventually } from '../../support/eventually.ts';

const GRPC = { ':status': 200, 'content-type': 'application/grpc' };
const NO_METADATA = new Map<string, string>();

async function channelTo(t: TestContext, answer: (stream: ServerHttp2Stream) => void): Promise<GrpcChannel> {
  const server = createServer((request) => request.on('error', () => {}));
  server.on('stream', (stream) => {
    stream.on('error', () => {}).resume();
    answer(stream as ServerHttp2Stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const channel = new GrpcChannel({ target: { host: '127.0.0.1', port }, roots: 'plaintext' });
  t.after(() => {
    channel.close();
    server.close();
  });
  return channel;
}

const STRANGE: readonly (readonly [string, (stream: ServerHttp2Stream) => void, string])[] = [
  [
    'a response that claims four gigabytes',
    (stream) => {
      stream.respond(GRPC);
      stream.end(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff));
    },
    'AMBIT_GRPC_RESOURCE_EXHAUSTED',
  ],
  [
    'a compressed response',
    (stream) => {
      stream.respond(GRPC);
      stream.end(Uint8Array.of(1, 0, 0, 0, 1, 0));
    },
    'AMBIT_GRPC_UNIMPLEMENTED',
  ],
  [
    'a response that ends within a message',
    (stream) => {
      stream.respond(GRPC);
      stream.end(Uint8Array.of(0, 0, 0, 0, 9, 1));
    },
    'AMBIT_GRPC_INTERNAL',
  ],
  [
    'a response without a status',
    (stream) => {
      stream.respond(GRPC);
      stream.end(Uint8Array.of(0, 0, 0, 0, 0));
    },
    'AMBIT_GRPC_UNAVAILABLE',
  ],
  [
    'the 503 of a proxy',
    (stream) => stream.respond({ ':status': 503 }, { endStream: true }),
    'AMBIT_GRPC_UNAVAILABLE',
  ],
  [
    'a web page',
    (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/html' });
      stream.end('<html>');
    },
    'AMBIT_GRPC_UNKNOWN',
  ],
  ['a refused stream', (stream) => stream.close(7), 'AMBIT_GRPC_UNAVAILABLE'],
  [
    'a status that is no number',
    (stream) => stream.respond({ ...GRPC, 'grpc-status': 'x' }, { endStream: true }),
    'AMBIT_GRPC_UNKNOWN',
  ],
  ['a connection that is cut', (stream) => stream.session?.destroy(), 'AMBIT_GRPC_UNAVAILABLE'],
];

for (const [what, answer, code] of STRANGE) {
  test(`${what} is ${code}`, async (t) => {
    const channel = await channelTo(t, answer);
    await assert.rejects(channel.unary('/test/Any', Buffer.from('x'), { metadata: NO_METADATA }), { code });
  });
}

test('a client that resets streams without end loses its connection, others keep theirs', async (t) => {
  const server = new GrpcServer({ credentials: 'plaintext' });
  server.addUnary('/test/Echo', async (request) => request);
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close(100));
  const good = new GrpcChannel({ target: { host: '127.0.0.1', port }, roots: 'plaintext' });
  t.after(() => good.close());
  await good.unary('/test/Echo', Buffer.from('x'), { metadata: NO_METADATA });
  const hostile = connect(`http://127.0.0.1:${port}`);
  hostile.on('error', () => {});
  await once(hostile, 'connect');
  const headers = { ':method': 'POST', ':path': '/test/Echo', 'content-type': 'application/grpc' };
  let sent = 0;
  await eventually('the connection is cut', () => {
    for (let i = 0; i < 50 && !hostile.closed && !hostile.destroyed; i++, sent++) {
      hostile
        .request(headers)
        .on('error', () => {})
        .close(8);
    }
    return hostile.closed || hostile.destroyed;
  });
  assert.ok(sent < 5000, `${sent} streams`);
  const answer = await good.unary('/test/Echo', Buffer.from('still here'), { metadata: NO_METADATA });
  assert.equal(Buffer.from(answer).toString(), 'still here');
});

test('a client that opens streams and sends nothing does not hold up its others', async (t) => {
  const server = new GrpcServer({ credentials: 'plaintext' });
  server.addUnary('/test/Echo', async (request) => request);
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close(100));
  const channel = new GrpcChannel({ target: { host: '127.0.0.1', port }, roots: 'plaintext' });
  t.after(() => channel.close());
  for (let i = 0; i < 90; i++) {
    const call = await channel.open('/test/Echo', { metadata: NO_METADATA });
    void call
      .messages()
      .next()
      .catch(() => {});
  }
  await channel.unary('/test/Echo', Buffer.from('x'), { metadata: NO_METADATA });
});
