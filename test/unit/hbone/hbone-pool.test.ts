/** Which tunnels share a connection, when connections come and go, and what happens when they die. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, describe, type TestContext, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import type { ConnectHandler } from '../../../src/hbone/hbone-client.ts';
import { poolKey } from '../../../src/hbone/hbone-pool.ts';
import { DEFAULT_POOL_LIMITS } from '../../../src/hbone/hbone-settings.ts';
import type { Tunnel } from '../../../src/hbone/tunnel.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameType } from '../../../src/http/http2-frame.ts';
import { defaultHttp2Settings, SettingId } from '../../../src/http/http2-settings.ts';
import { idleHandler } from '../../../src/http/http2-stream.ts';
import {
  goAway,
  HeaderCodec,
  PREFACE,
  parseFrames,
  rstStream,
  SETTINGS_ACK,
  settings,
} from '../../support/http2-frames.ts';
import { manualReactor } from '../../support/http2-peer.ts';
import { testReactor, until } from '../../support/reactor-harness.ts';
import { TunnelPair, type TunnelPairOptions } from '../../support/tunnel-pair.ts';

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});
const reactor = testReactor();

const headers = [
  [':method', 'CONNECT'],
  [':authority', '127.0.0.1:9'],
] as const;

class Outcome implements ConnectHandler {
  tunnel: Tunnel | undefined;
  error: AmbitError | undefined;
  status: number | undefined;

  get done(): boolean {
    return this.tunnel !== undefined || this.error !== undefined;
  }

  onTunnel(tunnel: Tunnel): void {
    assert.equal(this.done, false);
    this.tunnel = tunnel;
    tunnel.stream.handler = idleHandler;
  }

  onFailed(error: AmbitError, { status }: { readonly status?: number }): void {
    assert.equal(this.done, false);
    this.error = error;
    this.status = status;
  }
}

/** Two proxies of which the inbound one accepts every tunnel and keeps it. */
function acceptingPair(options: TunnelPairOptions = {}, on = reactor): TunnelPair {
  const pair = new TunnelPair(on, 9, {
    onConnect: (_, respond) => {
      const tunnel = respond.accept([[':status', '200']]);
      if (tunnel !== undefined) tunnel.stream.handler = idleHandler;
    },
    ...options,
  });
  cleanups.push(() => pair.close());
  return pair;
}

function request(pair: TunnelPair, changes: object = {}): Outcome {
  const outcome = new Outcome();
  pair.pool.connect(poolKey({ ...pair.key, ...changes }), headers, outcome);
  return outcome;
}

async function opened(pair: TunnelPair, count: number, changes: object = {}): Promise<Outcome[]> {
  const outcomes = Array.from({ length: count }, () => request(pair, changes));
  await until(() => outcomes.every((one) => one.done));
  for (const one of outcomes) assert.equal(one.error, undefined);
  return outcomes;
}

const closeAll = (outcomes: readonly Outcome[]): void => {
  for (const one of outcomes) one.tunnel!.stream.reset(Http2ErrorCode.cancel);
};

describe('connections', () => {
  test('are shared by tunnels of one key, up to the limit, and made one after another', async () => {
    const pair = acceptingPair();
    const outcomes = await opened(pair, DEFAULT_POOL_LIMITS.maxTunnels + 50);
    assert.equal(pair.dials, 2);
    assert.equal(pair.pool.connections, 2);
    closeAll(outcomes);
  });

  test('are not shared by other sources, destinations or identities', async () => {
    const pair = acceptingPair();
    await opened(pair, 2);
    await opened(pair, 2, { sourceIp: '127.0.0.2' });
    await opened(pair, 2, { sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/other' });
    await opened(pair, 2, { expectedIdentities: [] });
    assert.equal(pair.dials, 4);
    assert.equal(pair.pool.size, 4);
    await opened(pair, 1, { expectedIdentities: [...pair.key.expectedIdentities] });
    assert.equal(pair.dials, 4);
  });

  test('that were full are used again when tunnels have ended', async () => {
    const pair = acceptingPair();
    const first = await opened(pair, DEFAULT_POOL_LIMITS.maxTunnels);
    closeAll(first.slice(0, 30));
    await until(() => pair.serverCounters.streams - pair.serverCounters.streamsClosed === 70);
    await opened(pair, 30);
    assert.equal(pair.dials, 1);
  });

  test('respect a peer that allows fewer streams', async () => {
    const pair = acceptingPair({ settings: { ...defaultHttp2Settings, maxConcurrentStreams: 3 } });
    await opened(pair, 3);
    await opened(pair, 3);
    assert.equal(pair.dials, 2);
    await opened(pair, 9);
    assert.ok(pair.dials <= 6, `${pair.dials} dials`);
  });

  test('are released when nobody has used them for five minutes, not before', (context: TestContext) => {
    const manual = manualReactor();
    const pair = acceptingPair({}, manual);
    const turnUntil = (condition: () => boolean): void => {
      for (let turns = 0; !condition(); turns++) {
        assert.ok(turns < 10_000, 'the condition did not come about');
        manual.turn(1);
      }
    };
    const outcome = request(pair);
    turnUntil(() => outcome.done);
    outcome.tunnel!.stream.reset(Http2ErrorCode.cancel);
    turnUntil(() => pair.isQuiet);
    // Nothing else runs meanwhile, so the clock can be turned.
    let nowMs = performance.now();
    context.mock.method(performance, 'now', () => nowMs);
    const pass = (ms: number): void => {
      for (const end = nowMs + ms; nowMs < end; nowMs += 5000) {
        for (let i = 0; i < 5; i++) manual.turn(0);
      }
    };
    pass(DEFAULT_POOL_LIMITS.idleReleaseMs - 10_000);
    assert.equal(pair.pool.connections, 1);
    pass(20_000);
    assert.equal(pair.pool.connections, 0);
    assert.equal(pair.pool.size, 0);
    context.mock.restoreAll();
    turnUntil(() => pair.server.connections.size === 0);
    assert.deepEqual(pair.connectionErrors, [undefined]);
    pair.close();
  });

  test('that drain finish what they have and take nothing new', async () => {
    const pair = acceptingPair();
    const [old] = await opened(pair, 1);
    for (const connection of pair.server.connections) connection.startDrain();
    await until(() => pair.serverCounters.pings > 0);
    const [fresh] = await opened(pair, 1);
    assert.equal(pair.dials, 2);
    assert.equal(pair.pool.connections, 2);
    assert.equal(old!.tunnel!.stream.closed, false);
    old!.tunnel!.stream.reset(Http2ErrorCode.cancel);
    await until(() => pair.pool.connections === 1);
    assert.equal(fresh!.tunnel!.stream.closed, false);
  });

  test('of a pool that retires are replaced, and end with their tunnels', async () => {
    const pair = acceptingPair();
    const [old] = await opened(pair, 1);
    pair.pool.retire();
    await opened(pair, 1);
    assert.equal(pair.dials, 2);
    old!.tunnel!.stream.reset(Http2ErrorCode.cancel);
    await until(() => pair.pool.connections === 1);
  });

  test('of a pool that closes are closed, and nothing is opened any more', async () => {
    const pair = acceptingPair();
    await opened(pair, 5);
    const waiting = request(pair, { sourceIp: '127.0.0.9' });
    pair.pool.close();
    assert.equal(waiting.error?.code, 'AMBIT_HBONE_POOL_CLOSED');
    await until(() => pair.pool.size === 0 && pair.server.connections.size === 0);
    assert.equal(request(pair).error?.code, 'AMBIT_HBONE_POOL_CLOSED');
  });
});

describe('failures', () => {
  test('to connect are told to everybody who waits', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    const pair = acceptingPair();
    const destination = { ...pair.key.destination, port };
    const outcomes = Array.from({ length: 10 }, () => request(pair, { destination }));
    await until(() => outcomes.every((one) => one.done));
    for (const one of outcomes) assert.equal(one.error?.code, 'AMBIT_CONNECT_REFUSED');
    assert.equal(pair.dials, 1);
    assert.equal(pair.pool.size, 0);
  });

  test('to verify the peer close the connection before anything was sent', async () => {
    const error = new AmbitError('AMBIT_TEST', { side: 'upstream', hint: '' }, 'somebody else');
    const pair = acceptingPair({ verifyUpstream: () => error });
    const outcome = request(pair);
    await until(() => outcome.done);
    assert.equal(outcome.error, error);
    assert.equal(pair.clientCounters.connections, 0);
    assert.equal(pair.pool.size, 0);
  });

  test('of the server to trust us are told, and not tried again', async () => {
    const refusal = new AmbitError('AMBIT_TEST', { side: 'downstream', hint: '' }, 'you are nobody');
    const pair = acceptingPair({ refuseDownstream: refusal });
    const outcome = request(pair);
    await until(() => outcome.done);
    assert.equal(pair.dials, 1);
    assert.match(outcome.error!.code, /AMBIT_HBONE_CONNECTION_LOST|AMBIT_UPSTREAM_RESET/);
    await until(() => pair.connectionErrors.length === 1);
    assert.equal(pair.connectionErrors[0], refusal);
  });

  test('are answers like any other when the peer refuses a tunnel', async () => {
    const pair = acceptingPair({ onConnect: (_, respond) => respond.refuse(401) });
    const [outcome] = [request(pair)];
    await until(() => outcome.done);
    assert.equal(outcome.status, 401);
    assert.equal(outcome.error?.code, 'AMBIT_HBONE_REFUSED');
    assert.match(outcome.error!.message, /http status: 401/);
    await until(() => pair.isQuiet);
    assert.equal(pair.pool.connections, 1, 'the connection is fine');
  });

  test('are not told to a request that was cancelled', async () => {
    const pair = acceptingPair({ onConnect: () => {} });
    const outcome = new Outcome();
    const wish = pair.pool.connect(pair.key, headers, outcome);
    await until(() => pair.serverCounters.streams === 1);
    wish.cancel();
    await until(() => pair.isQuiet);
    assert.equal(outcome.done, false);
  });
});

describe('a request on a dead connection', () => {
  /** A server by hand: `onRequest` answers the HEADERS of the n-th connection. */
  async function handMade(
    answer: (connection: number, streamId: number, codec: HeaderCodec, socket: net.Socket) => void,
    entries: readonly (readonly [number, number])[] = [],
  ): Promise<{ pair: TunnelPair; destination: object }> {
    let connections = 0;
    const server = net.createServer((socket) => {
      cleanups.push(() => socket.destroy());
      const number = ++connections;
      const codec = new HeaderCodec();
      let input = Buffer.alloc(0);
      let handled = 0;
      socket.on('error', () => {});
      socket.write(Buffer.concat([settings(...entries), SETTINGS_ACK]));
      socket.on('data', (chunk: Buffer) => {
        input = Buffer.concat([input, chunk]);
        const frames = parseFrames(input);
        for (const one of frames.slice(handled)) {
          if (one.type === FrameType.headers) answer(number, one.streamId, codec, socket);
        }
        handled = frames.length;
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const pair = acceptingPair();
    cleanups.push(() => server.close());
    return { pair, destination: { ...pair.key.destination, port: (server.address() as AddressInfo).port } };
  }

  const accept = (streamId: number, codec: HeaderCodec): Buffer =>
    codec.headers(streamId, [[':status', '200']]);
  const deaths: readonly (readonly [how: string, die: (socket: net.Socket, streamId: number) => void])[] = [
    ['that closes', (socket) => socket.destroy()],
    ['that is reset', (socket) => socket.resetAndDestroy()],
    ['that goes away without it', (socket, id) => socket.write(goAway(id - 2, Http2ErrorCode.noError))],
    ['that refuses the stream', (socket, id) => socket.write(rstStream(id, Http2ErrorCode.refusedStream))],
  ];
  for (const [how, die] of deaths) {
    test(`${how} is sent once more, on a new one`, async () => {
      const { pair, destination } = await handMade((connection, streamId, codec, socket) => {
        if (connection === 1 && streamId > 1) die(socket, streamId);
        else socket.write(accept(streamId, codec));
      });
      await opened(pair, 1, { destination });
      const [second] = await opened(pair, 1, { destination });
      assert.equal(second!.error, undefined);
      assert.equal(pair.dials, 2);
    });
  }

  test('is not sent a third time', async () => {
    const { pair, destination } = await handMade((connection, streamId, codec, socket) => {
      if (connection === 1 && streamId === 1) socket.write(accept(streamId, codec));
      else socket.destroy();
    });
    await opened(pair, 1, { destination });
    const second = request(pair, { destination });
    await until(() => second.done);
    assert.equal(second.error?.code, 'AMBIT_HBONE_CONNECTION_LOST');
    assert.equal(pair.dials, 2);
  });

  test('is not sent again after another error', async () => {
    const { pair, destination } = await handMade((_, streamId, __, socket) => {
      socket.write(rstStream(streamId, Http2ErrorCode.internalError));
    });
    const outcome = request(pair, { destination });
    await until(() => outcome.done);
    assert.equal(outcome.error?.code, 'AMBIT_HBONE_CONNECTION_LOST');
    assert.equal(pair.dials, 1);
  });

  test('meets a limit of one stream with a new connection each, once the limit is known', async () => {
    const { pair, destination } = await handMade(
      (_, streamId, codec, socket) => {
        socket.write(
          streamId === 1 ? accept(streamId, codec) : rstStream(streamId, Http2ErrorCode.refusedStream),
        );
      },
      [[SettingId.maxConcurrentStreams, 1]],
    );
    await opened(pair, 1, { destination });
    await opened(pair, 5, { destination });
    assert.equal(pair.dials, 6);
  });

  test('is given up when the server says nonsense', async () => {
    const { pair, destination } = await handMade((_, __, ___, socket) => {
      socket.write(PREFACE);
    });
    const outcome = request(pair, { destination });
    await until(() => outcome.done);
    assert.ok(outcome.error !== undefined);
  });
});
