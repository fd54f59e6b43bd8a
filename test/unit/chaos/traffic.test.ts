/** What the load tells of servers that do not behave. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Traffic } from '../../chaos/traffic.ts';
import { eventually } from '../../support/eventually.ts';

const PATIENCE_MS = 500;

/** What a server does with a chunk. */
type Answer = (socket: Socket, chunk: Buffer) => void;

const echo: Answer = (socket, chunk) => socket.write(chunk);

async function loadOn(t: TestContext, first: Answer) {
  let answer = first;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => answer(socket, chunk));
    socket.on('end', () => socket.end());
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const plan = {
    host: '127.0.0.1',
    port,
    streams: 2,
    replaceAfterMs: 20,
    chunksPerTick: 1,
    callIntervalMs: 20,
  };
  const traffic = new Traffic('here', [], plan, PATIENCE_MS);
  t.after(() => {
    traffic.stop();
    server.close();
  });
  return {
    traffic,
    instead(next: Answer) {
      answer = next;
    },
  };
}

async function firstEnding(t: TestContext, answer: Answer) {
  const { traffic } = await loadOn(t, answer);
  await eventually('a stream that has ended', () => traffic.ended.length > 0);
  return traffic.ended[0]!.how;
}

test('streams and calls that are answered are well, and not any more when answers stay away', async (t) => {
  const { traffic, instead } = await loadOn(t, echo);
  traffic.order('go');
  await traffic.progressed();
  await traffic.recovered(0);
  instead((socket) => socket.resetAndDestroy());
  await eventually('a call that fails', () => traffic.ended.at(-1)?.how === 'reset');
  await assert.rejects(traffic.recovered(Date.now()), /calls from here succeed again/);
  instead(() => {});
  await assert.rejects(traffic.progressed(), /every stream from here gets on/);
});

test('a clean end before the data is truncated, a reset is a reset, and bytes of another place are corrupt', async (t) => {
  assert.equal(await firstEnding(t, (socket) => socket.end()), 'truncated');
  assert.equal(await firstEnding(t, (socket) => socket.resetAndDestroy()), 'reset');
  const swapped: Answer = (socket, chunk) =>
    socket.write(chunk.map((byte, i) => (i === 0 ? byte ^ 1 : byte)));
  assert.equal(await firstEnding(t, swapped), 'corrupt');
});
