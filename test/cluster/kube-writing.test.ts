/** What is written to a real Kubernetes API server: leases, Events, applied objects; and tokens that are replaced. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EventRecorder } from '../../src/kube/event-recorder.ts';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { LeaseElection } from '../../src/kube/lease-election.ts';
import { ServiceAccountCredentials } from '../../src/kube/service-account.ts';
import { BareApiServer } from '../support/cluster/bare-api-server.ts';
import { createPod, makeNamespace } from '../support/cluster/kube-objects.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';
import { HostileNetwork } from '../support/hostile-network.ts';

/** Long enough that an API server on a busy machine answers within two thirds of it. */
const LEASE_MS = 6000;

let api: BareApiServer;
let admin: KubeClient;

before(async () => {
  api = await BareApiServer.start();
  admin = await KubeClient.connect({ kubeconfig: api.kubeconfig() });
  await makeNamespace(admin, 'shop');
});

after(async () => {
  await admin?.close();
  await api?.[Symbol.asyncDispose]();
});

interface Candidate extends AsyncDisposable {
  readonly election: LeaseElection;
  readonly network: HostileNetwork;
  /** Times it has become the leader. */
  readonly terms: AbortSignal[];
}

async function candidate(lease: string, identity: string): Promise<Candidate> {
  const network = await HostileNetwork.before(api.port);
  const client = await KubeClient.connect({ kubeconfig: api.kubeconfig(undefined, network.port) });
  const terms: AbortSignal[] = [];
  const election = new LeaseElection({
    client,
    namespace: 'shop',
    name: lease,
    identity,
    leaseMs: LEASE_MS,
    onLead: (signal) => terms.push(signal),
  });
  election.start();
  return {
    election,
    network,
    terms,
    async [Symbol.asyncDispose]() {
      network.mend();
      await election.stop();
      await client.close();
      await network[Symbol.asyncDispose]();
    },
  };
}

interface Lease {
  readonly spec: { readonly holderIdentity: string; readonly leaseTransitions: number };
}

function readLease(name: string): Promise<Lease> {
  return admin.request({ path: `/apis/coordination.k8s.io/v1/namespaces/shop/leases/${name}` });
}

test('one of three leads; when it stops, another one leads without waiting for the lease to run out', async () => {
  const candidates = await Promise.all(['a', 'b', 'c'].map((identity) => candidate('orderly', identity)));
  const leaderOf = () => candidates.find(({ election }) => election.isLeader);
  const first = await eventually('a leader', leaderOf, 30_000);
  await eventually(
    'all know it',
    () => new Set(candidates.map(({ election }) => election.holder)).size === 1,
    30_000,
  );
  await first[Symbol.asyncDispose]();
  const stoppedAt = performance.now();
  assert.equal(first.election.isLeader, false);
  assert.equal(first.terms[0]?.aborted, true);
  await eventually('the next leader', leaderOf, 30_000);
  assert.ok(performance.now() - stoppedAt < LEASE_MS, 'sooner than the lease would have run out');
  assert.equal((await readLease('orderly')).spec.leaseTransitions >= 1, true);
  for (const one of candidates) if (one !== first) await one[Symbol.asyncDispose]();
  assert.equal((await readLease('orderly')).spec.holderIdentity, '');
});

test('a leader that is cut off gives up before another one leads, and never are there two', async () => {
  await using one = await candidate('cut', 'one');
  await eventually('leads', () => one.election.isLeader, 30_000);
  await using two = await candidate('cut', 'two');
  let both = 0;
  const watch = setInterval(() => {
    if (one.election.isLeader && two.election.isLeader) both++;
  }, 1);
  for (const [leader, follower] of [
    [one, two],
    [two, one],
  ] as const) {
    leader.network.swallow();
    await eventually('gave up', () => !leader.election.isLeader, 30_000);
    assert.equal(leader.terms.at(-1)?.aborted, true);
    assert.equal(follower.election.isLeader, false);
    await eventually('taken over', () => follower.election.isLeader, 60_000);
    leader.network.mend();
    await eventually('it knows', () => leader.election.holder === follower.election.holder, 60_000);
  }
  clearInterval(watch);
  assert.equal(both, 0);
});

test('a leader survives an API server that is away for less than its lease', async () => {
  await using one = await candidate('short', 'one');
  await eventually('leads', () => one.election.isLeader, 30_000);
  one.network.cut();
  await delay(LEASE_MS / 6);
  one.network.mend();
  await delay(LEASE_MS / 2);
  assert.equal(one.election.isLeader, true);
  assert.equal(one.terms.length, 1);
});

test('a process that was asleep does not believe to be the leader when it wakes up', async (t) => {
  await using one = await candidate('sleep', 'one');
  await eventually('leads', () => one.election.isLeader, 30_000);
  const real = performance.now.bind(performance);
  // The event loop has not run since: no timer, no answer, only the clock went on.
  t.mock.method(performance, 'now', () => real() + LEASE_MS);
  assert.equal(one.election.isLeader, false);
  t.mock.restoreAll();
});

interface StoredEvent {
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly name: string };
  readonly series?: { readonly count: number };
}

async function eventsOf(name: string): Promise<readonly StoredEvent[]> {
  const path = '/apis/events.k8s.io/v1/namespaces/shop/events';
  const { items } = await admin.request<{ readonly items: readonly StoredEvent[] }>({ path });
  return items.filter(({ regarding }) => regarding.name === name);
}

test('an Event that is repeated is one with a count, and one object cannot flood', async () => {
  await createPod(admin, 'shop', 'noisy');
  const recorder = new EventRecorder({ client: admin, controller: 'ambit.io/test', instance: 'here' });
  const regarding = { kind: 'Pod', namespace: 'shop', name: 'noisy', uid: 'some-uid' } as const;
  const event = { regarding, type: 'Warning', reason: 'Refused', action: 'Enrol', note: 'because' } as const;
  for (let i = 0; i < 5; i++) {
    recorder.record(event);
    await eventually('written', () => recorder.counters.created + recorder.counters.repeated === i + 1);
  }
  const [stored, ...others] = await eventsOf('noisy');
  assert.deepEqual(others, []);
  assert.equal(stored?.series?.count, 5);
  for (let i = 0; i < 100; i++) recorder.record({ ...event, note: `${'x'.repeat(5000)}${i}` });
  await eventually('done', () => recorder.counters.created === 21 && recorder.counters.dropped === 80);
  assert.equal(recorder.counters.failed, 0, 'long notes are cut');
});

test('an Event about a namespace that is gone is counted, and hurts nobody', async () => {
  const recorder = new EventRecorder({ client: admin, controller: 'ambit.io/test', instance: 'here' });
  const regarding = { kind: 'Pod', namespace: 'nowhere', name: 'x', uid: 'u' } as const;
  recorder.record({ regarding, type: 'Normal', reason: 'Gone', action: 'Look', note: 'n' });
  await eventually('counted', () => recorder.counters.failed === 1);
});

interface Settings {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data: Readonly<Record<string, string>>;
}

function settings(data: Readonly<Record<string, string>>): Settings {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings', namespace: 'shop' }, data };
}

test('apply keeps fields of other managers, and says whose a field is that it may not have', async () => {
  await admin.apply(settings({ a: '1' }), { fieldManager: 'one' });
  const merged = await admin.apply(settings({ b: '1' }), { fieldManager: 'two' });
  assert.deepEqual(merged.data, { a: '1', b: '1' });
  await assert.rejects(admin.apply(settings({ a: '2' }), { fieldManager: 'two' }), {
    code: 'AMBIT_KUBE_APPLY_CONFLICT',
    status: 409,
    message: /\.data\.a \(conflict with "one"/,
  });
  const tried = await admin.apply(settings({ a: '2' }), { fieldManager: 'two', force: true, dryRun: true });
  assert.equal(tried.data.a, '2');
  const path = await admin.pathOf('v1', 'ConfigMap', 'shop', 'settings');
  assert.equal((await admin.request<Settings>({ path })).data.a, '1', 'nothing was stored');
  await admin.apply(settings({ a: '2' }), { fieldManager: 'two', force: true });
  const stored = await admin.request<Settings>({ path });
  assert.deepEqual(stored.data, { a: '2' }, 'what a manager no longer applies goes');
});

test('a service account whose token was replaced goes on with the new one after one refusal', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'account-'));
  t.after(() => rmSync(folder, { recursive: true }));
  await eventuallyAnswers('the account', () =>
    admin.request({
      method: 'POST',
      path: '/api/v1/namespaces/shop/serviceaccounts',
      body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } },
    }),
  );
  const { status } = await admin.request<{ readonly status: { readonly token: string } }>({
    method: 'POST',
    path: '/api/v1/namespaces/shop/serviceaccounts/robot/token',
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  writeFileSync(join(folder, 'ca.crt'), api.caPem);
  writeFileSync(join(folder, 'namespace'), 'shop');
  writeFileSync(join(folder, 'token'), `${status.token.slice(0, -4)}AAAA`);
  const credentials = new ServiceAccountCredentials({
    server: new URL(`https://localhost:${api.port}`),
    folder,
  });
  await using client = await KubeClient.with(credentials);
  await assert.rejects(client.request({ path: '/version' }), { status: 401 });
  await credentials.headers();
  writeFileSync(join(folder, 'token'), status.token);
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  const answer = await client.request<{
    readonly status: { readonly userInfo: { readonly username: string } };
  }>({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    body: review,
  });
  assert.equal(answer.status.userInfo.username, 'system:serviceaccount:shop:robot');
});
