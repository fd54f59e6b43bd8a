/** Applications on real sockets, two proxies between them: what one end does, the other end sees. */

import assert from 'node:assert/strict';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TunnelRelay } from '../../../src/hbone/tunnel-relay.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { defaultHttp2Settings } from '../../../src/http/http2-settings.ts';
import { QUEUE_CAPACITY } from '../../../src/io/buffered-stream.ts';
import type { Task } from '../../../src/io/reactor.ts';
import { testReactor, until, within } from '../../support/reactor-harness.ts';
import { TunnelPair, type TunnelPairOptions } from '../../support/tunnel-pair.ts';

const servers: net.Server[] = [];
const pairs: TunnelPair[] = [];

after(() => {
  for (const pair of pairs) pair.close();
  for (const server of servers) server.close();
});
const reactor = testReactor();

/** An application behind two proxies. */
async function serve(
  onConnection: (socket: net.Socket) => void,
  options: TunnelPairOptions = {},
): Promise<TunnelPair> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pair = new TunnelPair(reactor, (server.address() as AddressInfo).port, options);
  pairs.push(pair);
  return pair;
}

function connect(pair: TunnelPair): net.Socket {
  const socket = net.connect({ port: pair.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  return socket;
}

/** Everything that comes until the end; rejects on a reset. */
async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('end', resolve);
  socket.once('error', reject);
  await within(promise);
  return Buffer.concat(chunks);
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Writes in pieces of odd sizes, and waits where the socket says so. */
async function writeOddly(socket: net.Socket, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const length = Math.min(bytes.length - at, randomInt(4) === 0 ? randomInt(1, 70_000) : randomInt(1, 300));
    if (!socket.write(bytes.subarray(at, at + length))) await once(socket, 'drain');
    at += length;
  }
}

describe('a tunnel', () => {
  let pair: TunnelPair;
  before(async () => {
    pair = await serve((socket) => socket.pipe(socket));
  });

  test('carries bytes both ways and ends when both sides have ended', async () => {
    const socket = connect(pair);
    socket.write('hello ');
    socket.end('world');
    assert.equal((await readAll(socket)).toString(), 'hello world');
    await until(() => pair.isQuiet);
    assert.deepEqual(pair.outboundEnds.pop(), { kind: 'finished' });
    assert.deepEqual(pair.inboundEnds.pop(), { kind: 'finished' });
  });

  test('is one of a thousand, in odd chunks, and all hashes are right', async () => {
    const open = async (i: number): Promise<void> => {
      const body = randomBytes(i % 50 === 0 ? 400_000 : randomInt(6000));
      const socket = connect(pair);
      const [answer] = await Promise.all([
        readAll(socket),
        writeOddly(socket, body).then(() => socket.end()),
      ]);
      assert.equal(sha256(answer), sha256(body));
    };
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < 1000) await open(next++);
    };
    await Promise.all(Array.from({ length: 150 }, worker));
    await until(() => pair.isQuiet);
    assert.equal(pair.failures.length, 0);
    assert.ok(pair.pool.connections <= 3, `${pair.pool.connections} connections for 150 tunnels at a time`);
    assert.equal(pair.serverCounters.protocolErrors + pair.clientCounters.protocolErrors, 0);
    assert.deepEqual(
      Object.values(pair.serverCounters.floods).filter((count) => count > 0),
      [],
    );
  });

  test('carries 50 MB each way at once', async () => {
    const body = randomBytes(50_000_000);
    const socket = connect(pair);
    const [answer] = await Promise.all([readAll(socket), writeOddly(socket, body).then(() => socket.end())]);
    assert.equal(sha256(answer), sha256(body));
    await until(() => pair.isQuiet);
  });
});

describe('a half-close', () => {
  test('of the client reaches the server, which answers after it', async () => {
    const pair = await serve(async (socket) => {
      const question = await readAll(socket);
      socket.end(`you said ${question}`);
    });
    const socket = connect(pair);
    socket.end('ping');
    assert.equal((await readAll(socket)).toString(), 'you said ping');
    await until(() => pair.isQuiet);
  });

  test('of the server reaches the client, which goes on after it', async () => {
    const { promise: heard, resolve } = Promise.withResolvers<Buffer>();
    const pair = await serve((socket) => {
      socket.end('banner');
      readAll(socket).then(resolve);
    });
    const socket = connect(pair);
    assert.equal((await readAll(socket)).toString(), 'banner');
    assert.equal(pair.relays.length, 2, 'both directions count');
    socket.end('still here');
    assert.equal((await within(heard)).toString(), 'still here');
    await until(() => pair.isQuiet);
  });

  test('of both without a byte is an end', async () => {
    const pair = await serve((socket) => socket.end());
    const socket = connect(pair);
    socket.end();
    assert.equal((await readAll(socket)).length, 0);
    await until(() => pair.isQuiet);
    assert.deepEqual(pair.outboundEnds, [{ kind: 'finished' }]);
  });
});

describe('a reset', () => {
  test('of the client reaches the server as a reset', async () => {
    const { promise: failed, resolve } = Promise.withResolvers<string>();
    const pair = await serve((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      socket.on('end', () => resolve('end'));
      socket.on('data', () => socket.write('x'));
    });
    const socket = connect(pair);
    socket.write('hello');
    await within(once(socket, 'data'));
    socket.resetAndDestroy();
    assert.equal(await within(failed), 'ECONNRESET');
    await until(() => pair.isQuiet);
    assert.equal(pair.outboundEnds[0]!.kind, 'socket-failed');
    const [inbound] = pair.inboundEnds;
    assert.ok(inbound!.kind === 'stream-reset' && inbound.errorCode === Http2ErrorCode.connectError);
  });

  test('of the server reaches the client as a reset', async () => {
    const pair = await serve((socket) => {
      socket.on('data', () => socket.resetAndDestroy());
    });
    const socket = connect(pair);
    socket.write('hello');
    const [error] = (await within(once(socket, 'error'))) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNRESET');
    await until(() => pair.isQuiet);
    assert.equal(pair.inboundEnds[0]!.kind, 'socket-failed');
  });

  test('of the HBONE connection is one for every application on it', async () => {
    const pair = await serve((socket) => socket.write('ready'));
    const sockets = Array.from({ length: 20 }, () => connect(pair));
    await within(Promise.all(sockets.map((socket) => once(socket, 'data'))));
    const errors = sockets.map((socket) => once(socket, 'error'));
    for (const connection of pair.server.connections) connection.close(Http2ErrorCode.internalError);
    for (const [error] of (await within(Promise.all(errors))) as [NodeJS.ErrnoException][]) {
      assert.equal(error.code, 'ECONNRESET');
    }
    await until(() => pair.isQuiet && pair.server.connections.size === 0);
    await until(() => pair.pool.size === 0);
  });

  test('of the HBONE connection ends its tunnels in slices, between which the loop turns', async () => {
    const pair = await serve((socket) => socket.write('ready'));
    const sockets = Array.from({ length: 90 }, () => connect(pair));
    await within(Promise.all(sockets.map((socket) => once(socket, 'data'))));
    const seen = new Set<number>();
    const look: Task = {
      run() {
        seen.add(pair.inboundEnds.length);
        if (pair.inboundEnds.length < sockets.length) reactor.defer(look);
      },
    };
    for (const connection of pair.server.connections) connection.close(Http2ErrorCode.internalError);
    reactor.defer(look);
    await until(() => pair.isQuiet && seen.has(sockets.length));
    assert.ok(seen.size > 2, `after ${[...seen].join(', ')} of them`);
  });

  test('of ours is one on both sides', async () => {
    const pair = await serve((socket) => socket.write('ready'));
    const socket = connect(pair);
    await within(once(socket, 'data'));
    const failed = once(socket, 'error');
    for (const relay of pair.relays.slice(0, 1)) relay.abort();
    await within(failed);
    await until(() => pair.isQuiet);
    const kinds = [...pair.outboundEnds, ...pair.inboundEnds].map((end) => end.kind).sort();
    assert.deepEqual(kinds, ['aborted', 'stream-reset']);
  });
});

test('a peer that ends its direction and then gives up is not waited for', async () => {
  const pair = await serve((socket) => socket.end('banner'));
  const socket = connect(pair);
  assert.equal((await readAll(socket)).toString(), 'banner');
  const [inbound] = pair.relays;
  const start = performance.now();
  inbound!.abort(Http2ErrorCode.noError);
  await until(() => pair.outboundEnds.length > 0);
  // What had come was delivered before; the wait for an application that takes nothing is ten seconds.
  assert.ok(performance.now() - start < 9000);
  assert.equal(pair.outboundEnds[0]!.kind, 'stream-reset');
  socket.destroy();
});

test('a reset after a half-close is noticed although nobody reads or writes', async () => {
  let server: net.Socket | undefined;
  const pair = await serve((socket) => {
    server = socket;
    socket.resume();
    socket.on('end', () => {});
  });
  const socket = connect(pair);
  socket.end('question');
  await until(() => server?.readableEnded === true);
  socket.resetAndDestroy();
  await until(() => pair.isQuiet);
  assert.equal(pair.outboundEnds[0]!.kind, 'socket-failed');
  assert.equal(pair.inboundEnds[0]!.kind, 'stream-reset');
  server!.destroy();
});

describe('a reader that does not read', () => {
  const settings = { ...defaultHttp2Settings, streamWindow: 256 * 1024, connectionWindow: 4 * 1024 * 1024 };

  test('stops its own writer, within the window, and nobody else', async () => {
    let stuck: net.Socket | undefined;
    const pair = await serve(
      (socket) => {
        if (stuck === undefined) stuck = socket.pause();
        else socket.pipe(socket);
      },
      { settings },
    );
    const first = connect(pair);
    await until(() => stuck !== undefined);
    const body = randomBytes(30_000_000);
    let written = false;
    first.write(body, () => {
      written = true;
    });
    const inbound = (): number => Math.max(...pair.relays.map((relay) => relay.held));
    await until(() => inbound() > 0);
    for (let i = 0; i < 20; i++) {
      const other = connect(pair);
      other.end('quick');
      assert.equal((await readAll(other)).toString(), 'quick');
    }
    assert.equal(written, false);
    assert.ok(inbound() <= settings.streamWindow);
    const received = readAll(stuck!);
    first.end();
    stuck!.resume();
    assert.equal(sha256(await received), sha256(body));
    stuck!.end();
    await until(() => pair.isQuiet);
  });

  test('takes what was held for it in portions, between which the loop turns', async () => {
    let stuck: net.Socket | undefined;
    const pair = await serve((socket) => {
      stuck = socket.pause();
    });
    const socket = connect(pair);
    const body = randomBytes(12_000_000);
    socket.write(body);
    const inbound = (): TunnelRelay | undefined => pair.relays.find((relay) => relay.held > 0);
    await until(() => (inbound()?.held ?? 0) > 3 * QUEUE_CAPACITY);
    const relay = inbound()!;
    const portions: number[] = [];
    let before = relay.received;
    const look: Task = {
      run() {
        portions.push(relay.received - before);
        before = relay.received;
        if (relay.received < body.length) reactor.defer(look);
      },
    };
    reactor.defer(look);
    const received = readAll(stuck!);
    socket.end();
    stuck!.resume();
    assert.equal(sha256(await received), sha256(body));
    assert.ok(Math.max(...portions) <= 2 * QUEUE_CAPACITY, `${Math.max(...portions)} bytes`);
    stuck!.end();
    await until(() => pair.isQuiet);
  });

  test('gives everything back when its client gives up', async () => {
    let stuck: net.Socket | undefined;
    const pair = await serve(
      (socket) => {
        stuck = socket.pause();
      },
      { settings },
    );
    const socket = connect(pair);
    socket.write(randomBytes(20_000_000));
    await until(() => pair.relays.some((relay) => relay.held > 0));
    socket.resetAndDestroy();
    await until(() => pair.isQuiet);
    for (const connection of pair.server.connections) assert.equal(connection.heldBytes, 0);
    stuck!.destroy();
  });
});

test('counters say how many bytes went which way', async () => {
  const pair = await serve((socket) => {
    socket.on('data', () => socket.write('12345'));
    socket.on('end', () => socket.end());
  });
  const socket = connect(pair);
  socket.write('123');
  await within(once(socket, 'data'));
  await until(() => pair.relays.length === 2);
  const totals = pair.relays.map((relay) => [relay.sent, relay.received].join()).sort();
  assert.deepEqual(totals, ['3,5', '5,3']);
  socket.destroy();
  await until(() => pair.isQuiet);
});
