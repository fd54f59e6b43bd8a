import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { type AskResolver, RememberedLookup } from '../../../src/xds/grpc/remembered-lookup.ts';

const FOUND: LookupAddress[] = [
  { address: '10.0.0.1', family: 4 },
  { address: 'fd00::1', family: 6 },
];

/** A resolver that answers, refuses, or says nothing. */
function resolver() {
  const state = { mode: 'answers' as 'answers' | 'fails' | 'hangs', found: FOUND };
  const ask: AskResolver = (_, __, callback) => {
    if (state.mode === 'answers') setImmediate(callback, null, state.found);
    if (state.mode === 'fails')
      setImmediate(callback, Object.assign(new Error('EAI_AGAIN'), { code: 'EAI_AGAIN' }), []);
  };
  return { state, ask };
}

function resolve(from: RememberedLookup, all = true): Promise<unknown> {
  return new Promise((resolve, reject) => {
    from.lookup('control.plane', { all }, (error, address) =>
      error === null ? resolve(address) : reject(error),
    );
  });
}

test('a name is looked up anew for every connection', async () => {
  const { state, ask } = resolver();
  const names = new RememberedLookup(ask, 50);
  assert.deepEqual(await resolve(names), FOUND);
  state.found = [{ address: '10.0.0.2', family: 4 }];
  assert.deepEqual(await resolve(names), state.found);
  assert.equal(await resolve(names, false), '10.0.0.2');
});

test('when DNS fails or says nothing, the addresses last known are used', async () => {
  const { state, ask } = resolver();
  const names = new RememberedLookup(ask, 50);
  await resolve(names);
  for (const mode of ['fails', 'hangs'] as const) {
    state.mode = mode;
    assert.deepEqual(await resolve(names), FOUND);
  }
  state.mode = 'answers';
  state.found = [{ address: '10.0.0.3', family: 4 }];
  assert.deepEqual(await resolve(names), state.found);
});

test('a name that was never known fails as DNS says', async () => {
  const { state, ask } = resolver();
  state.mode = 'fails';
  await assert.rejects(resolve(new RememberedLookup(ask, 50)), { code: 'EAI_AGAIN' });
});

test('sockets of Node connect by it', async () => {
  const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  const { state, ask } = resolver();
  state.found = [{ address: '127.0.0.1', family: 4 }];
  const names = new RememberedLookup(ask, 50);
  for (const mode of ['answers', 'hangs'] as const) {
    state.mode = mode;
    const socket = connect({ host: 'control.plane', port, lookup: names.lookup });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.destroy();
  }
  server.close();
});
