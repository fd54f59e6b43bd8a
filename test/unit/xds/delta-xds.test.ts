import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { CallCredentials } from '../../../src/xds/call-credentials.ts';
import {
  DELTA_ADS_PATH,
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../../src/xds/discovery-messages.ts';
import type { GrpcClientCall } from '../../../src/xds/grpc/client-call.ts';
import { grpcErrors } from '../../../src/xds/grpc/errors.ts';
import { GrpcChannel } from '../../../src/xds/grpc/grpc-channel.ts';
import { ADDRESS_TYPE_URL, AUTHORIZATION_TYPE_URL } from '../../../src/xds/mesh-resources.ts';
import type { InitOf } from '../../../src/xds/message-schema.ts';
import { eventually } from '../../support/eventually.ts';
import { makeAuthority } from './certificates.ts';
import {
  authority,
  ControlPlane,
  NodeProxy,
  startControlPlane,
  TOKEN,
  temporaryFile,
} from './xds-fixture.ts';

/** A client without a mind of its own, for what {@link NodeProxy} would never do. */
class RawClient {
  readonly call: GrpcClientCall;
  readonly #messages: AsyncGenerator<Uint8Array>;

  constructor(call: GrpcClientCall) {
    this.call = call;
    this.#messages = call.messages();
  }

  static async connect(t: TestContext, port: number, token = TOKEN): Promise<RawClient> {
    const roots = () => ({ kind: 'pem', pem: authority.rootPem }) as const;
    const channel = new GrpcChannel({ target: { host: '127.0.0.1', port }, roots });
    t.after(() => channel.close());
    const metadata = new Map([['authorization', `Bearer ${token}`]]);
    return new RawClient(await channel.open(DELTA_ADS_PATH, { metadata }));
  }

  send(request: InitOf<typeof DeltaDiscoveryRequest>): Promise<void> {
    return this.call.write(DeltaDiscoveryRequest.encode({ typeUrl: ADDRESS_TYPE_URL, ...request }));
  }

  async receive(): Promise<DeltaDiscoveryResponse> {
    const { value, done } = await this.#messages.next();
    assert.ok(!done, 'the stream ended');
    return DeltaDiscoveryResponse.decode(value);
  }
}

test('a node proxy gets everything, says who it is, and is ready when both types came', async (t) => {
  const plane = await startControlPlane(t);
  plane.put('w1', 'one');
  const proxy = new NodeProxy(t, plane.port, {
    credentials: new CallCredentials({
      tokenPath: temporaryFile(t, 'token', `${TOKEN}\n`),
      clusterId: 'c1',
      headers: { 'X-Tenant': 'blue', 'bad name': 'x' },
    }),
  });
  await eventually('ready', () => proxy.client.ready);
  assert.ok(proxy.has({ w1: 'one' }));
  assert.equal(proxy.readyCalls, 1);
  const [status] = plane.delta.clients();
  assert.equal(status?.nodeId, 'ztunnel~10.0.0.7~ztunnel-x.istio-system~istio-system.svc.cluster.local');
  assert.deepEqual(Object.fromEntries(plane.metadata[0]!), {
    authorization: `Bearer ${TOKEN}`,
    clusterid: 'c1',
    'x-tenant': 'blue',
  });
  plane.put('w2', 'two');
  await eventually('the new resource', () => proxy.has({ w1: 'one', w2: 'two' }));
  plane.drop('w1');
  await eventually('the removal', () => proxy.has({ w2: 'two' }));
  const { messages, messageBytes } = proxy.client.counters;
  assert.equal(messages.get(AUTHORIZATION_TYPE_URL), 1);
  assert.ok(messageBytes.get(ADDRESS_TYPE_URL)! > 0);
});

test('a control plane that is not complete yet takes nothing away', async (t) => {
  const plane = new ControlPlane();
  await plane.listen();
  t.after(() => plane.close());
  plane.put('w1', 'one');
  const proxy = new NodeProxy(t, plane.port);
  await eventually('subscribed', () => plane.delta.clientCount(ADDRESS_TYPE_URL) === 1);
  assert.equal(proxy.updates.length, 0);
  plane.cache.markComplete();
  await eventually('the state', () => proxy.has({ w1: 'one' }));
});

test('of three resources the bad one is refused by name and the others are applied', async (t) => {
  const plane = await startControlPlane(t);
  const proxy = new NodeProxy(t, plane.port);
  await eventually('ready', () => proxy.client.ready);
  plane.cache.update(
    ADDRESS_TYPE_URL,
    ['good', 'bad idea', 'fine'].map((text) => ({ name: `ns/${text}`, bytes: Buffer.from(text) })),
  );
  await eventually('the NACK', () => plane.rejections.length === 1);
  assert.ok(proxy.has({ 'ns/fine': 'fine', 'ns/good': 'good' }));
  const [rejection] = plane.rejections;
  assert.equal(rejection?.caller, 'node proxy');
  assert.deepEqual(rejection?.resources, [{ name: 'ns/bad idea', reason: 'cannot use bad idea' }]);
  const rejected = () =>
    plane.delta.clients()[0]!.subscriptions.find((one) => one.typeUrl === ADDRESS_TYPE_URL)!.rejected;
  assert.equal(rejected().length, 1);
  plane.put('ns/bad idea', 'better idea');
  await eventually('the correction', () => proxy.resources.get('ns/bad idea') === 'better idea');
  await eventually('nothing is refused any more', () => rejected().length === 0);
  assert.equal(plane.delta.counters.get(ADDRESS_TYPE_URL)?.nacks, 1);
});

test('a refused update leaves the earlier state in force, and is sent again after a reconnect', async (t) => {
  const plane = await startControlPlane(t);
  plane.put('w', 'good');
  const proxy = new NodeProxy(t, plane.port);
  await eventually('the state', () => proxy.has({ w: 'good' }));
  plane.put('w', 'bad');
  await eventually('the NACK', () => plane.rejections.length === 1);
  await plane.close();
  const next = new ControlPlane();
  next.put('w', 'bad');
  next.cache.markComplete();
  await next.listen(plane.port);
  t.after(() => next.close());
  await eventually('the NACK again', () => next.rejections.length === 1);
  assert.ok(proxy.has({ w: 'good' }));
  next.drop('w');
  await eventually('the removal', () => proxy.has({}));
});

test('a consumer that throws refuses the update and nothing else', async (t) => {
  const plane = await startControlPlane(t);
  let failing = true;
  const seen: string[] = [];
  const proxy = new NodeProxy(t, plane.port, {
    consume: async ({ resources }) => {
      if (failing && resources.length > 0) throw new Error('no room');
      seen.push(...resources.map((one) => one.name));
      return [];
    },
  });
  await eventually('ready', () => proxy.client.ready);
  plane.put('w', 'one');
  await eventually('the NACK', () => plane.rejections.length === 1);
  assert.deepEqual(plane.rejections[0]?.resources, [{ name: 'w', reason: 'no room' }]);
  failing = false;
  plane.put('w', 'two');
  await eventually('the next update', () => seen.includes('w'));
});

test('while the control plane is away nothing is lost, and afterwards only differences are sent', async (t) => {
  const plane = await startControlPlane(t);
  for (let i = 0; i < 50; i++) plane.put(`w${i}`, `text ${i}`);
  const proxy = new NodeProxy(t, plane.port);
  await eventually('the state', () => proxy.resources.size === 50);
  await plane.close();
  await eventually('it is noticed', () => !proxy.client.connected);
  assert.equal(proxy.resources.size, 50);
  assert.ok(proxy.client.ready);
  const before = proxy.updates.length;
  const next = new ControlPlane();
  for (let i = 1; i < 50; i++) next.put(`w${i}`, `text ${i}`);
  next.put('w7', 'other text');
  next.put('new', 'new');
  next.cache.markComplete();
  await next.listen(plane.port);
  t.after(() => next.close());
  await eventually('the difference', () => proxy.resources.get('w7') === 'other text');
  const updates = proxy.updates.slice(before).filter((update) => update.typeUrl === ADDRESS_TYPE_URL);
  assert.deepEqual(updates[0]!.resources.map((one) => one.name).sort(), ['new', 'w7']);
  assert.deepEqual(updates[0]!.removed, ['w0']);
  assert.equal(proxy.resources.size, 50);
  const { connectionTerminations } = proxy.client.counters;
  assert.ok(connectionTerminations.Reconnect >= 1);
});

test('versions that would not fit into a request are left out, and what is gone is found out all the same', async (t) => {
  const plane = await startControlPlane(t);
  for (let i = 0; i < 40; i++) plane.put(`workload-${i}`, `text ${i}`);
  const proxy = new NodeProxy(t, plane.port, { maxVersionBytes: 500 });
  await eventually('the state', () => proxy.resources.size === 40);
  await plane.close();
  const next = new ControlPlane();
  for (let i = 0; i < 40; i++) if (i !== 3 && i !== 39) next.put(`workload-${i}`, `text ${i}`);
  next.cache.markComplete();
  await next.listen(plane.port);
  t.after(() => next.close());
  await eventually('both are removed', () => proxy.resources.size === 38);
  assert.ok(!proxy.resources.has('workload-3') && !proxy.resources.has('workload-39'));
  const resent = next.delta.counters.get(ADDRESS_TYPE_URL)!.pushedResources;
  assert.ok(resent > 0 && resent < 38, `${resent} were sent again`);
});

test('a root certificate that is replaced is used for the next connection, which follows at once', async (t) => {
  const plane = await startControlPlane(t);
  plane.put('w', 'one');
  const path = temporaryFile(t, 'root.pem', makeAuthority('another root').rootPem);
  const proxy = new NodeProxy(t, plane.port, { roots: { kind: 'file', path } });
  await eventually('it is refused', () => proxy.client.lastError !== undefined);
  assert.ok(!proxy.client.ready);
  writeFileSync(path, authority.rootPem);
  await eventually('the state', () => proxy.has({ w: 'one' }), 30_000);
  writeFileSync(path, `${authority.rootPem}\n${makeAuthority('yet another').rootPem}`);
  const { connectionTerminations } = proxy.client.counters;
  const before = connectionTerminations.Reconnect;
  await eventually('a new stream', () => connectionTerminations.Reconnect > before, 30_000);
  await eventually('connected', () => proxy.client.connected);
});

test('a token that is not there, or is not known, is reported and tried again', async (t) => {
  const plane = await startControlPlane(t);
  const path = temporaryFile(t, 'token', 'wrong');
  const proxy = new NodeProxy(t, plane.port, {
    credentials: new CallCredentials({ tokenPath: path, clusterId: 'c1' }),
  });
  await eventually('it is refused', () => proxy.client.lastError?.includes('UNAUTHENTICATED'));
  writeFileSync(path, TOKEN);
  await eventually('ready', () => proxy.client.ready);
  const missing = new NodeProxy(t, plane.port, {
    credentials: new CallCredentials({ tokenPath: '/nonexistent/token', clusterId: 'c1' }),
  });
  await eventually('it says so', () => missing.client.lastError?.includes('/nonexistent/token'));
});

test('stopping ends the stream at both ends', async (t) => {
  const plane = await startControlPlane(t);
  const proxy = new NodeProxy(t, plane.port);
  await eventually('ready', () => proxy.client.ready);
  await proxy.client.stop();
  await eventually('the server knows', () => plane.delta.clientCount() === 0);
});

test('a client that does not read is sent the latest state later, and costs no memory meanwhile', async (t) => {
  const plane = await startControlPlane(t);
  const slow = await RawClient.connect(t, plane.port);
  await slow.send({});
  await slow.receive();
  const text = 'x'.repeat(64 * 1024);
  for (let i = 0; i < 100; i++) plane.put(`w${i}`, `0 ${text}`);
  const quick = new NodeProxy(t, plane.port);
  await eventually('the quick one has it', () => quick.resources.size === 100);
  const pushes = (): number => plane.delta.counters.get(ADDRESS_TYPE_URL)!.pushes;
  const before = pushes();
  let quickPushes = 0;
  for (let round = 1; round <= 20; round++) {
    plane.put('w0', `${round} ${text}`);
    await eventually('the quick one has it', () => quick.resources.get('w0')?.startsWith(`${round} `));
    quickPushes++;
  }
  assert.ok(pushes() - before <= quickPushes + 3, 'pushes were made for the client that does not read');
  const names = new Set<string>();
  let latest = '';
  while (!latest.startsWith('20 ')) {
    const response = await slow.receive();
    for (const { name, resource } of response.resources) {
      names.add(name);
      if (name === 'w0') latest = Buffer.from(resource!.value.subarray(0, 10)).toString();
    }
  }
  assert.equal(names.size, 100);
});

test('a burst of changes is one push with the latest states', async (t) => {
  const plane = await startControlPlane(t);
  const proxy = new NodeProxy(t, plane.port);
  await eventually('ready', () => proxy.client.ready);
  const before = proxy.updates.length;
  for (let i = 0; i < 500; i++) plane.put(`w${i % 10}`, `state ${i}`);
  await eventually('the last state', () => proxy.resources.get('w9') === 'state 499');
  assert.equal(proxy.updates.length, before + 1);
  assert.equal(proxy.resources.size, 10);
});

test('resources are served by name and by address, and names can be given up', async (t) => {
  const plane = await startControlPlane(t);
  const bytes = Buffer.from('pod');
  plane.cache.update(ADDRESS_TYPE_URL, [
    { name: 'cluster//Pod/ns/a', bytes, aliases: ['net/10.0.0.1'] },
    { name: 'cluster//Pod/ns/b', bytes, aliases: ['net/10.0.0.2'] },
  ]);
  const client = await RawClient.connect(t, plane.port);
  await client.send({ resourceNamesSubscribe: ['*'], resourceNamesUnsubscribe: ['*'] });
  assert.equal((await client.receive()).resources.length, 0);
  await client.send({ resourceNamesSubscribe: ['net/10.0.0.2', 'net/10.0.0.3'] });
  const found = await client.receive();
  assert.deepEqual(
    found.resources.map((one) => [one.name, one.aliases]),
    [['cluster//Pod/ns/b', ['net/10.0.0.2']]],
  );
  assert.deepEqual(found.removedResources, ['net/10.0.0.3']);
  plane.drop('cluster//Pod/ns/a');
  plane.drop('cluster//Pod/ns/b');
  const gone = await client.receive();
  assert.deepEqual([gone.resources.length, gone.removedResources], [0, ['cluster//Pod/ns/b']]);
});

test('an ACK is not answered, whatever nonce it has', async (t) => {
  const plane = await startControlPlane(t);
  const client = await RawClient.connect(t, plane.port);
  await client.send({});
  const first = await client.receive();
  await client.send({ responseNonce: first.nonce });
  await client.send({ responseNonce: 'of another stream', errorDetail: { message: 'w: no' } });
  await client.send({ typeUrl: 'type.googleapis.com/unknown.Type' });
  plane.put('w', 'one');
  const second = await client.receive();
  assert.equal(second.resources[0]?.name, 'w');
  assert.notEqual(second.nonce, first.nonce);
  await client.send({ responseNonce: second.nonce, errorDetail: { message: 'w: not like this; 2 others' } });
  await eventually('the NACK', () => plane.rejections.length === 1);
  assert.deepEqual(plane.rejections[0]?.resources, [{ name: 'w', reason: 'not like this' }]);
});

test('a state is one response to a client that does not know of parts', async (t) => {
  const plane = await startControlPlane(t);
  const text = 'x'.repeat(100_000);
  for (let i = 0; i < 80; i++) plane.put(`w${i}`, text);
  const client = await RawClient.connect(t, plane.port);
  await client.send({});
  assert.equal((await client.receive()).resources.length, 80);
  const proxy = new NodeProxy(t, plane.port);
  await eventually('ready', () => proxy.client.ready);
  assert.equal(proxy.resources.size, 80);
  const parts = proxy.updates.filter((update) => update.typeUrl === ADDRESS_TYPE_URL);
  assert.ok(parts.length > 1, 'the state came in one response');
});

test('requests that are no requests end the stream, not the server', async (t) => {
  const plane = await startControlPlane(t);
  const noise = await RawClient.connect(t, plane.port);
  await noise.call.write(Uint8Array.of(0xff, 0xff, 0xff));
  await assert.rejects(noise.receive(), { code: 'AMBIT_GRPC_INVALID_ARGUMENT' });
  const untyped = await RawClient.connect(t, plane.port);
  await untyped.send({ typeUrl: '' });
  await assert.rejects(untyped.receive(), { code: 'AMBIT_GRPC_INVALID_ARGUMENT' });
  const greedy = await RawClient.connect(t, plane.port);
  await greedy.send({ resourceNamesSubscribe: Array.from({ length: 100_001 }, (_, i) => `n${i}`) });
  await assert.rejects(greedy.receive(), { code: 'AMBIT_GRPC_INVALID_ARGUMENT' });
  const stranger = await RawClient.connect(t, plane.port, 'another token');
  await assert.rejects(stranger.receive(), { code: 'AMBIT_GRPC_UNAUTHENTICATED' });
  assert.equal(plane.delta.clientCount(), 0);
});

test('a response that is no response ends the stream, and the client tries again', async (t) => {
  const plane = new ControlPlane();
  let streams = 0;
  plane.grpc.addStream(DELTA_ADS_PATH, async (_requests, responses) => {
    streams++;
    await responses.write(Uint8Array.of(0xff, 0xff, 0xff));
    throw grpcErrors.AMBIT_GRPC_INTERNAL('should have been left by now');
  });
  await plane.listen();
  t.after(() => plane.close());
  const proxy = new NodeProxy(t, plane.port);
  await eventually('several attempts', () => streams > 2);
  assert.ok(!proxy.client.ready);
  assert.ok(proxy.client.counters.connectionTerminations.Error >= 2);
});
