/** The inbound end: requests, early data, late decisions, drain; seen from a client of node:http2. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2 from 'node:http2';
import { after, describe, type TestContext, test } from 'node:test';
import type { InboundConnect } from '../../../src/hbone/hbone-server-connection.ts';
import { HboneServerConnection } from '../../../src/hbone/hbone-server-connection.ts';
import { hboneServerSettings, RESPONSE_TIMEOUT_MS } from '../../../src/hbone/hbone-settings.ts';
import { HeldAccount } from '../../../src/hbone/held-account.ts';
import type { ConnectResponder } from '../../../src/hbone/inbound-connect.ts';
import type { Tunnel } from '../../../src/hbone/tunnel.ts';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameType } from '../../../src/http/http2-frame.ts';
import type { Http2StreamHandler } from '../../../src/http/http2-stream.ts';
import {
  data,
  HeaderCodec,
  PREFACE,
  parseFrames,
  rstStream,
  SETTINGS_ACK,
  settings,
} from '../../support/http2-frames.ts';
import { manualReactor } from '../../support/http2-peer.ts';
import { MemoryStream } from '../../support/memory-stream.ts';
import { testReactor, until, within } from '../../support/reactor-harness.ts';
import { TunnelPair } from '../../support/tunnel-pair.ts';

const pairs: TunnelPair[] = [];
after(() => {
  for (const pair of pairs) pair.close();
});
const reactor = testReactor();

interface Asked {
  readonly request: InboundConnect<string>;
  readonly respond: ConnectResponder;
}

/** A server whose requests wait in `asked`. */
function waitingServer(): { pair: TunnelPair; asked: Asked[]; session: http2.ClientHttp2Session } {
  const asked: Asked[] = [];
  const pair = new TunnelPair(reactor, 9, {
    onConnect: (request, respond) => asked.push({ request, respond }),
  });
  pairs.push(pair);
  const session = http2.connect(`http://127.0.0.1:${pair.hbonePort}`);
  session.on('error', () => {});
  after(() => session.destroy());
  return { pair, asked, session };
}

/** Collects what comes out of a tunnel. */
function listen(tunnel: Tunnel, chunks: string[]): void {
  const { stream } = tunnel;
  stream.handler = {
    onHeaders() {},
    onData(buffer, offset, length) {
      chunks.push(Buffer.from(buffer.bytes.slice(offset, offset + length)).toString());
      stream.consumed(length);
    },
    onEnd: () => chunks.push('end'),
    onReset: (code) => chunks.push(`reset ${code}`),
    onWritable() {},
  } satisfies Http2StreamHandler;
}

const connectTo = (authority: string): http2.OutgoingHttpHeaders => ({
  ':method': 'CONNECT',
  ':authority': authority,
});

async function status(stream: http2.ClientHttp2Stream): Promise<number> {
  stream.on('error', () => {});
  const [headers] = (await within(once(stream, 'response'))) as [http2.IncomingHttpStatusHeader];
  return headers[':status']!;
}

describe('a request', () => {
  test('is handed over with what it says and whom it comes from', async () => {
    const { asked, session } = waitingServer();
    session.request({
      ...connectTo('cart.shop.svc.cluster.local:80'),
      baggage: 'k8s.namespace.name=shop',
      forwarded: 'for="10.0.0.1:2";host=cart.shop.svc.cluster.local',
    });
    await until(() => asked.length === 1);
    const { request } = asked[0]!;
    assert.deepEqual(request.target, { kind: 'hostname', hostname: 'cart.shop.svc.cluster.local', port: 80 });
    assert.equal(request.baggage.namespace, 'shop');
    assert.equal(request.serviceHostname, 'cart.shop.svc.cluster.local');
    assert.equal(request.connection.peer, 'front');
    assert.equal(request.connection.remoteAddress.ip, '127.0.0.1');
  });

  test('that is no CONNECT, or leads nowhere, is answered with 400', async () => {
    const { asked, session } = waitingServer();
    assert.equal(await status(session.request({ ':method': 'GET', ':path': '/' })), 400);
    assert.equal(
      await status(session.request({ ':method': 'POST', ':path': '/', ':authority': '10.0.0.1:80' })),
      400,
    );
    assert.equal(await status(session.request(connectTo('10.0.0.1'))), 400);
    assert.equal(await status(session.request(connectTo('10.0.0.1:0'))), 400);
    assert.equal(asked.length, 0);
  });

  test('may be refused later, once', async () => {
    const { pair, asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    stream.write('early');
    await until(() => asked.length === 1);
    asked[0]!.respond.refuse(401);
    asked[0]!.respond.refuse(503);
    assert.equal(asked[0]!.respond.accept([[':status', '200']]), undefined);
    assert.equal(await status(stream), 401);
    await until(() => pair.serverCounters.streamsClosed === 1);
    for (const connection of pair.server.connections) assert.equal(connection.heldBytes, 0);
  });

  test('may be accepted later; what came before is not lost', async () => {
    const { asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    stream.end('early bird');
    await until(() => asked.length === 1 && asked[0]!.request.connection.heldBytes === 10);
    const tunnel = asked[0]!.respond.accept([[':status', '200']])!;
    assert.equal(tunnel.early.length, 10);
    assert.equal(await status(stream), 200);
    assert.equal(tunnel.ended, true);
    tunnel.stream.consumed(tunnel.early.discard());
    tunnel.stream.endData();
    await until(() => asked[0]!.request.connection.openTunnels === 0);
  });

  test('that is given up is told, and can no longer be accepted', async () => {
    const { pair, asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    stream.on('error', () => {});
    stream.write('some bytes');
    await until(() => asked.length === 1 && asked[0]!.request.connection.heldBytes === 10);
    let cancelled = 0;
    asked[0]!.respond.whenCancelled(() => {
      cancelled++;
    });
    stream.close(Http2ErrorCode.cancel);
    await until(() => cancelled === 1);
    assert.equal(asked[0]!.respond.accept([[':status', '200']]), undefined);
    for (const connection of pair.server.connections) assert.equal(connection.heldBytes, 0);
  });

  test('that nobody answers is answered with 503 in the end', (context: TestContext) => {
    const stream = new MemoryStream(manualReactor());
    let cancelled = 0;
    const connection = new HboneServerConnection(Object.assign(stream, { peerCertificateChain: () => [] }), {
      peer: 'front',
      counters: new Http2Counters(),
      settings: { ...hboneServerSettings, keepAliveIntervalMs: 10 * RESPONSE_TIMEOUT_MS },
      held: new HeldAccount(1000, () => {}),
      onConnect: (_, respond) => {
        respond.whenCancelled(() => {
          cancelled++;
        });
      },
      onTunnelRefused() {},
      onClosed() {},
    });
    connection.start();
    const codec = new HeaderCodec();
    stream.deliver(
      Buffer.concat([
        PREFACE,
        settings(),
        SETTINGS_ACK,
        codec.headers(1, [
          [':method', 'CONNECT'],
          [':authority', 'a:1'],
        ]),
        data(1, 'early'),
      ]),
    );
    stream.takeWritten();
    let nowMs = performance.now();
    context.mock.method(performance, 'now', () => nowMs);
    nowMs += RESPONSE_TIMEOUT_MS - 1000;
    stream.turn();
    assert.equal(cancelled, 0);
    nowMs += 2000;
    stream.turn();
    const [answer, reset] = parseFrames(stream.takeWritten());
    assert.deepEqual(codec.decode(answer!), [[':status', '503']]);
    assert.equal(reset!.type, FrameType.rstStream);
    assert.equal(cancelled, 1);
    assert.equal(connection.heldBytes, 0);
    stream.deliver(rstStream(1, 0));
    assert.equal(cancelled, 1);
  });
});

describe('a tunnel', () => {
  test('carries bytes both ways', async () => {
    const { asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    await until(() => asked.length === 1);
    const chunks: string[] = [];
    const tunnel = asked[0]!.respond.accept([
      [':status', '200'],
      ['baggage', 'service.name=cart'],
    ])!;
    listen(tunnel, chunks);
    const [headers] = (await within(once(stream, 'response'))) as [http2.IncomingHttpHeaders];
    assert.equal(headers.baggage, 'service.name=cart');
    stream.end('question');
    await until(() => chunks.includes('end'));
    assert.deepEqual(chunks, ['question', 'end']);
  });
});

describe('a server that drains', () => {
  test('lets its tunnels finish, says GOAWAY, and then has no connection left', async () => {
    const { pair, asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    await until(() => asked.length === 1);
    listen(asked[0]!.respond.accept([[':status', '200']])!, []);
    assert.equal(await status(stream), 200);
    const goAway = once(session, 'goaway');
    pair.server.startDrain();
    await within(goAway);
    assert.equal(pair.server.connections.size, 1);
    stream.close(Http2ErrorCode.noError);
    await until(() => pair.server.connections.size === 0);
    assert.deepEqual(pair.connectionErrors, [undefined]);
  });

  test('and then closes cuts what is left', async () => {
    const { pair, asked, session } = waitingServer();
    const stream = session.request(connectTo('10.0.0.1:80'));
    stream.on('error', () => {});
    await until(() => asked.length === 1);
    const chunks: string[] = [];
    listen(asked[0]!.respond.accept([[':status', '200']])!, chunks);
    pair.server.startDrain();
    pair.server.close();
    await until(() => pair.server.connections.size === 0);
    assert.deepEqual(chunks, [`reset ${Http2ErrorCode.noError}`]);
    await within(once(session, 'close'));
  });
});
