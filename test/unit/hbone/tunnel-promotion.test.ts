/** That short connections leave nothing in V8's old generation, from where only a full collection takes it. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Reactor } from '../../../src/io/reactor.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TcpSocket, type TcpSocketHandler } from '../../../src/io/tcp-socket.ts';
import { NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';
import { TunnelPair } from '../../support/tunnel-pair.ts';

/** Open at a time. */
const CALLERS = 32;
/** Until everything is compiled. */
const WARM_UP = 3000;
const MEASURED = 4000;
/** A connection is gone long before the second collection after it began, at which V8 promotes what is left. */
const CALLS_PER_COLLECTION = 4 * CALLERS;
/** 80 stay; a Map or a Set that holds on to what was in it keeps 570 and more. */
const MAX_BYTES_PER_CALL = 200;

setFlagsFromString('--expose-gc');
const collect: (options: { readonly type: 'minor' | 'major' }) => void = runInNewContext('gc');
const reactor = testReactor();

/** Connects, waits for the end, closes, and begins again. */
class Caller implements TcpSocketHandler {
  #left = 0;
  #socket: TcpSocket | undefined;
  readonly #reactor: Reactor;
  readonly #port: number;
  readonly #buffer = new NativeBuffer(16);

  constructor(reactor: Reactor, port: number) {
    this.#reactor = reactor;
    this.#port = port;
  }

  get isDone(): boolean {
    return this.#left === 0;
  }

  call(times: number): void {
    this.#left = times;
    this.#connect();
  }

  onReadable(): void {
    if (this.#socket?.receiveInto(this.#buffer, 0, this.#buffer.size) === 0) this.#socket.close();
  }

  onWritable(): void {}

  onClosed(): void {
    this.#left--;
    if (this.#left > 0) this.#connect();
  }

  #connect(): void {
    this.#socket = TcpSocket.connect(this.#reactor, address(`127.0.0.1:${this.#port}`), {}, this);
  }
}

/** Tunnels to an application that ends each connection at once. */
function shortTunnels(): { readonly pair: TunnelPair; readonly callers: readonly Caller[] } {
  const application = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => socket.close());
  const pair = new TunnelPair(reactor, application.localAddress.port);
  after(() => {
    pair.close();
    application.close();
  });
  return { pair, callers: Array.from({ length: CALLERS }, () => new Caller(reactor, pair.port)) };
}

function promotedBytes(): number {
  return getHeapSpaceStatistics().find(({ space_name }) => space_name === 'old_space')!.space_used_size;
}

test('a tunnel that has ended is not held by the old generation', async () => {
  const { pair, callers } = shortTunnels();
  const call = async (calls: number) => {
    for (let left = calls; left > 0; left -= CALLS_PER_COLLECTION) {
      for (const caller of callers) caller.call(CALLS_PER_COLLECTION / CALLERS);
      await until(() => callers.every(({ isDone }) => isDone) && pair.isQuiet, 'the end of all calls');
      // What a test wants to know of them is all that is kept.
      pair.inboundEnds.length = 0;
      pair.outboundEnds.length = 0;
      collect({ type: 'minor' });
    }
  };
  await call(WARM_UP);
  collect({ type: 'major' });
  await call(CALLS_PER_COLLECTION);
  const before = promotedBytes();
  await call(MEASURED);
  const perCall = (promotedBytes() - before) / MEASURED;
  assert.deepEqual(pair.failures, []);
  assert.ok(perCall < MAX_BYTES_PER_CALL, `${perCall} bytes of a connection stay`);
});
