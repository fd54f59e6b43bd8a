/** The proxy's end of ZDS over a real Unix socket, with descriptors that can be counted. */

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import fc from 'fast-check';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { PodRegistry } from '../../../src/ztunnel/control/pod-registry.ts';
import { ZdsClient } from '../../../src/ztunnel/control/zds-client.ts';
import type { ToReactor } from '../../../src/ztunnel/proxy/messages.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { testReactor, until } from '../../support/reactor-harness.ts';
import { namespacePath, RecordingEvents } from './pod-fixture.ts';
import { ZdsAgent } from './zds-agent.ts';

setLogLevels('off');
const reactor = testReactor();
const folder = mkdtempSync(join(tmpdir(), 'ambit-zds-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

let lastPath = 0;

/** One thread that serves every pod at once, unless a test holds its answers back. */
class ObedientThread {
  readonly size = 1;
  readonly held: (() => void)[] = [];
  holds = false;
  error: string | undefined;
  registry: PodRegistry | undefined;

  broadcast(message: ToReactor): void {
    if (message.kind === 'pod-remove') this.registry?.onThreadStopped(0, message.uid);
    if (message.kind !== 'pod-add') return;
    const { pod, attempt } = message;
    const answer = () => this.registry?.onThreadStarted(0, pod.uid, attempt, this.error);
    if (this.holds) this.held.push(answer);
    else queueMicrotask(answer);
  }
}

function bench() {
  const path = join(folder, `${lastPath++}.sock`);
  const thread = new ObedientThread();
  const pods = new RecordingEvents();
  const registry = new PodRegistry(thread, pods);
  thread.registry = registry;
  const seen: string[] = [];
  const client = new ZdsClient(reactor, path, registry, {
    onSnapshot: () => seen.push('snapshot'),
  });
  cleanups.push(
    () => client.stop(),
    () => registry.retainOnly(new Set()),
  );
  return { path, thread, pods, registry, client, seen, agent: () => agentAt(path) };
}

function agentAt(path: string): ZdsAgent {
  const agent = new ZdsAgent(reactor, path);
  cleanups.push(() => agent.close());
  return agent;
}

/** A bench whose client is connected. */
async function connected() {
  const one = bench();
  const agent = one.agent();
  one.client.start();
  return { ...one, agent, connection: await agent.connection() };
}

const SNAPSHOT = { kind: 'snapshotSent', value: {} } as const;
const NAMESPACE_LESS = [
  { kind: 'del', value: { uid: 'u1' } },
  { kind: 'keep', value: { uid: 'u1' } },
  SNAPSHOT,
] as const;

test('the proxy greets with version 1', async () => {
  const { connection } = await connected();
  assert.equal(connection.hello, 1);
});

test('a pod is acknowledged once it is served, and has what the agent said of it', async () => {
  const { connection, registry, thread } = await connected();
  thread.holds = true;
  connection.sendAdd('u1');
  await until(() => thread.held.length === 1);
  assert.deepEqual(connection.answers, []);
  thread.held[0]!();
  assert.equal(await connection.nextAnswer(0), '');
  const info = {
    uid: 'u1',
    name: 'pod-u1',
    namespace: 'shop',
    serviceAccount: 'orders',
    searchDomains: [],
  };
  assert.deepEqual([...registry.summaries()], [['u1', { info, state: 'Up' }]]);
});

test('a pod that cannot be served is refused with the reason, and the connection goes on', async () => {
  const { connection, thread, registry } = await connected();
  thread.error = 'port 15001 is taken';
  assert.equal(await connection.add('u1'), 'port 15001 is taken');
  thread.error = undefined;
  assert.equal(await connection.add('u2'), '');
  assert.deepEqual([registry.active, registry.pending], [1, 1]);
});

test('requests are carried out one after the other, however fast they come', async () => {
  const { connection, thread, pods } = await connected();
  thread.holds = true;
  connection.sendAdd('u1');
  connection.send({ kind: 'del', value: { uid: 'u1' } });
  connection.sendAdd('u2');
  await until(() => thread.held.length === 1);
  assert.deepEqual(pods.log, ['started u1']);
  thread.held[0]!();
  await until(() => thread.held.length === 2);
  assert.deepEqual(pods.log, ['started u1', 'stopped u1', 'started u2']);
  thread.held[1]!();
  await until(() => connection.answers.length === 3);
  assert.deepEqual(connection.answers, ['', '', '']);
});

test('a snapshot drops the pods that it did not mention, by an add or by a keep', async () => {
  const { agent, connection, registry, seen, path, client } = await connected();
  for (const uid of ['u1', 'u2', 'u3']) await connection.add(uid);
  assert.equal(await connection.ask(SNAPSHOT), '');
  assert.deepEqual(seen, ['snapshot']);
  agent.close();
  await until(() => client.disconnections > 0);
  const next = agentAt(path);
  const second = await next.connection();
  assert.equal(await second.ask({ kind: 'keep', value: { uid: 'u1' } }), '');
  assert.equal(await second.add('u3'), '');
  assert.equal(registry.active, 3);
  assert.equal(await second.ask(SNAPSHOT), '');
  assert.deepEqual([...registry.summaries().keys()], ['u1', 'u3']);
  client.stop();
});

test('a pod that is deleted is gone', async () => {
  const { connection, registry } = await connected();
  await connection.add('u1');
  assert.equal(await connection.ask({ kind: 'del', value: { uid: 'u1' } }), '');
  assert.equal(registry.summaries().size, 0);
});

test('a descriptor with a message that has none is refused, and nothing is done', async () => {
  for (const payload of NAMESPACE_LESS) {
    const { connection, registry, seen } = await connected();
    await connection.add('u1');
    const fd = openSync(namespacePath('x'), 'r');
    assert.match(await connection.ask(payload, [fd]), /descriptor/, payload.kind);
    closeSync(fd);
    assert.equal(registry.active, 1);
    assert.deepEqual(seen, []);
  }
});

test('a pod without its descriptor, with two of them, or without its name is refused', async () => {
  const { connection, registry } = await connected();
  assert.match(await connection.add('u1', []), /0 descriptors/);
  assert.match(await connection.add('u1', ['a', 'b']), /2 descriptors/);
  assert.match(await connection.add('u1', ['a'], false), /without its name/);
  assert.equal(registry.summaries().size, 0);
});

test('a second snapshot, or a pod that is kept after the first, is refused', async () => {
  const { connection, registry, seen } = await connected();
  await connection.add('u1');
  assert.equal(await connection.ask(SNAPSHOT), '');
  assert.match(await connection.ask(SNAPSHOT), /second snapshot/);
  assert.match(await connection.ask({ kind: 'keep', value: { uid: 'u1' } }), /after the snapshot/);
  assert.equal(registry.active, 1);
  assert.deepEqual(seen, ['snapshot']);
});

test('bytes that are no message are refused, whatever they are, and the connection goes on', async () => {
  const { connection, registry } = await connected();
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(bytes, async (message) => {
      const before = connection.answers.length;
      connection.sendRaw(message);
      await connection.nextAnswer(before);
    }),
    { numRuns: 200 },
  );
  assert.equal(await connection.add('u1'), '');
  assert.equal(registry.active, 1);
});

test('a message of a kind that is not known is refused', async () => {
  const { connection } = await connected();
  // Field 9, empty.
  connection.sendRaw(Uint8Array.of(0x4a, 0x00));
  assert.match(await connection.nextAnswer(0), /unknown kind/);
});

test('the proxy comes back after the agent went away, and goes on serving meanwhile', async () => {
  const { agent, connection, registry, client, path } = await connected();
  await connection.add('u1');
  await connection.ask(SNAPSHOT);
  assert.equal(client.connected, true);
  agent.close();
  await until(() => client.disconnections > 0);
  assert.equal(registry.active, 1);
  const second = await agentAt(path).connection();
  assert.equal(second.hello, 1);
  assert.equal(await second.add('u1'), '');
  assert.equal(await second.ask(SNAPSHOT), '');
  assert.deepEqual([registry.active, registry.startedTotal], [1, 1]);
});

test('the proxy waits for an agent that is not there yet', async () => {
  const { client, agent, seen } = bench();
  client.start();
  await until(() => client.disconnections >= 2);
  assert.deepEqual([client.connected, seen], [false, []]);
  assert.equal((await agent().connection()).hello, 1);
});

test('a proxy that has left the agent does not come back, and keeps its pods', async () => {
  const { client, connection, registry, seen, agent } = await connected();
  await connection.add('u1');
  client.stop();
  await until(() => connection.isClosed);
  assert.equal(registry.active, 1);
  assert.equal(agent.connections.length, 1);
  assert.deepEqual(seen, []);
});

test('no descriptor is left behind, by refusals, replacements, or what still waits when the agent goes away', async () => {
  const before = descriptorCount();
  const { agent, connection, client, registry, thread } = await connected();
  const fds = ['c', 'd', 'e'].map((name) => openSync(namespacePath(name), 'r'));
  await connection.add('u1', ['a', 'b']);
  await connection.add('u1', ['a'], false);
  await connection.ask(NAMESPACE_LESS[1], fds.slice(0, 1));
  connection.sendRaw(Uint8Array.of(0xff, 0xff), fds.slice(1));
  await connection.nextAnswer(3);
  for (const fd of fds) closeSync(fd);
  await connection.add('u1', ['a']);
  await connection.add('u1', ['a']);
  await connection.add('u1', ['b']);
  thread.holds = true;
  for (const uid of ['u2', 'u3', 'u4']) connection.sendAdd(uid);
  await until(() => thread.held.length === 1);
  agent.close();
  await until(() => client.disconnections > 0);
  client.stop();
  registry.retainOnly(new Set());
  await until(() => descriptorCount() <= before, 'every descriptor closed');
});
