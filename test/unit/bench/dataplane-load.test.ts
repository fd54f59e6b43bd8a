/** The load generator and the sink of the data plane's bench, with nothing in between. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LoadClient, startSink } from '../../bench/dataplane/load/load-client.ts';
import { freePort } from '../../support/free-port.ts';

const DURATION_MS = 200;

describe('the load generator', () => {
  const closing = new DisposableStack();
  let client: LoadClient;
  let target: string;

  before(async () => {
    const port = await freePort();
    closing.use(await startSink([], port));
    client = closing.use(await LoadClient.start([]));
    target = `127.0.0.1:${port}`;
  });
  after(() => closing.dispose());

  function timed(connections: number) {
    return { target, connections, warmupMs: 20, durationMs: DURATION_MS, pids: [process.pid] };
  }

  for (const direction of ['up', 'down'] as const) {
    test(`moves bytes ${direction} over several streams and tells how many`, async () => {
      const { amount, seconds } = await client.run({ kind: 'bulk', direction, ...timed(3) });
      assert.ok(amount > 1_000_000, `${amount} bytes`);
      assert.ok(seconds >= DURATION_MS / 1000);
    });
  }

  test('asks again and again on each connection and tells how long answers took', async () => {
    const { amount, latencies } = await client.run({ kind: 'requests', ...timed(5) });
    assert.ok(amount > 5);
    assert.ok(latencies.p50 > 0 && latencies.p50 <= latencies.p99 && latencies.p99 <= latencies.p999);
  });

  test('keeps to a pace', async () => {
    const perSecond = 100;
    const { amount } = await client.run({ kind: 'paced', perSecond, ...timed(4) });
    // Without it they would be tens of thousands.
    assert.ok(amount > 0 && amount <= 10 * perSecond, `${amount} requests`);
  });

  test('opens a connection for each request', async () => {
    const { amount } = await client.run({ kind: 'fresh', ...timed(2) });
    assert.ok(amount > 2);
  });

  test('keeps connections open until its next order', async () => {
    assert.equal((await client.run({ kind: 'idle', target, connections: 200 })).amount, 200);
    assert.equal((await client.run({ kind: 'idle', target, connections: 0 })).amount, 0);
  });

  test('counts the processor time of the processes it is told of', async () => {
    const busy = setInterval(() => {
      const endMs = performance.now() + 20;
      while (performance.now() < endMs);
    });
    const { cpuSeconds } = await client.run({ kind: 'requests', ...timed(1) });
    clearInterval(busy);
    assert.ok(cpuSeconds > 0);
  });

  test('says what it could not do, and goes on', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    await assert.rejects(client.run({ kind: 'idle', target: nobody, connections: 1 }), /request|connect/);
    await assert.rejects(client.run({ kind: 'idle', target: 'somewhere', connections: 1 }), /IP:PORT/);
    assert.equal((await client.run({ kind: 'idle', target, connections: 1 })).amount, 1);
  });
});
