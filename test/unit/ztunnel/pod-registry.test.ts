/** The registry of served pods against threads that answer as a test says. */

import assert from 'node:assert/strict';
import { afterEach, type TestContext, test } from 'node:test';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { POD_RETRY_MS, PodRegistry } from '../../../src/ztunnel/control/pod-registry.ts';
import { isOpen, namespaceNamed, podInfo, RecordingEvents, RecordingThreads } from './pod-fixture.ts';

setLogLevels('pods=off');

interface Bench {
  readonly threads: RecordingThreads;
  readonly events: RecordingEvents;
  readonly registry: PodRegistry;
}

const open: PodRegistry[] = [];

/** Removing what is left cancels the timers of pods that wait for a retry. */
afterEach(() => {
  for (const registry of open.splice(0)) registry.retainOnly(new Set());
});

function bench(threadCount = 2): Bench {
  const threads = new RecordingThreads(threadCount);
  const events = new RecordingEvents();
  const registry = new PodRegistry(threads, events);
  open.push(registry);
  return { threads, events, registry };
}

/** Every thread answers the attempt. */
function answer({ registry, threads }: Bench, uid: string, attempt: number, error?: string): void {
  for (let thread = 0; thread < threads.size; thread++) registry.onThreadStarted(thread, uid, attempt, error);
}

function letGo({ registry, threads }: Bench, uid: string): void {
  for (let thread = 0; thread < threads.size; thread++) registry.onThreadStopped(thread, uid);
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const nothing = Symbol('nothing');
  return (await Promise.race([promise, Promise.resolve(nothing)])) !== nothing;
}

function mockTimers(t: TestContext): void {
  t.mock.timers.enable({ apis: ['setTimeout'] });
}

test('a pod is served once every thread serves it, and not before', async () => {
  const one = bench();
  const namespace = namespaceNamed('a');
  const added = one.registry.add(podInfo('u1'), namespace);
  assert.deepEqual(one.threads.messages, [
    { kind: 'pod-add', pod: podInfo('u1'), namespaceFd: namespace.fd, attempt: 1 },
  ]);
  one.registry.onThreadStarted(0, 'u1', 1, undefined);
  assert.equal(await isSettled(added), false);
  assert.deepEqual([one.registry.active, one.registry.pending], [0, 1]);
  one.registry.onThreadStarted(1, 'u1', 1, undefined);
  assert.equal(await added, undefined);
  assert.deepEqual([one.registry.active, one.registry.pending], [1, 0]);
  assert.deepEqual(one.events.log, ['started u1']);
});

test('a thread that answers twice does not stand for another one', async () => {
  const one = bench();
  const added = one.registry.add(podInfo('u1'), namespaceNamed('a'));
  one.registry.onThreadStarted(0, 'u1', 1, undefined);
  one.registry.onThreadStarted(0, 'u1', 1, undefined);
  assert.equal(await isSettled(added), false);
});

test('a pod that one thread cannot serve is pending with the reason of that thread', async (t) => {
  mockTimers(t);
  const one = bench();
  const added = one.registry.add(podInfo('u1'), namespaceNamed('a'));
  one.registry.onThreadStarted(0, 'u1', 1, 'port 15001 is taken');
  assert.equal(await isSettled(added), false);
  one.registry.onThreadStarted(1, 'u1', 1, undefined);
  assert.equal(await added, 'port 15001 is taken');
  assert.deepEqual([one.registry.active, one.registry.pending], [0, 1]);
  const summary = one.registry.summaries().get('u1');
  assert.deepEqual(summary, { info: podInfo('u1'), state: 'Pending', reason: 'port 15001 is taken' });
});

test('a pending pod is tried again after the interval, until it is served', async (t) => {
  mockTimers(t);
  const one = bench();
  const added = one.registry.add(podInfo('u1'), namespaceNamed('a'));
  answer(one, 'u1', 1, 'no');
  assert.equal(await added, 'no');
  t.mock.timers.tick(POD_RETRY_MS - 1);
  assert.deepEqual(one.threads.told, ['pod-add u1 #1']);
  t.mock.timers.tick(1);
  assert.deepEqual(one.threads.told, ['pod-add u1 #1', 'pod-add u1 #2']);
  answer(one, 'u1', 2, 'still not');
  assert.equal(one.registry.summaries().get('u1')?.reason, 'still not');
  t.mock.timers.tick(POD_RETRY_MS);
  answer(one, 'u1', 3);
  assert.equal(one.registry.active, 1);
  t.mock.timers.tick(POD_RETRY_MS * 10);
  assert.equal(one.threads.told.length, 3);
});

test('an answer to an earlier attempt says nothing about the present one', async (t) => {
  mockTimers(t);
  const one = bench();
  const added = one.registry.add(podInfo('u1'), namespaceNamed('a'));
  answer(one, 'u1', 1, 'no');
  await added;
  t.mock.timers.tick(POD_RETRY_MS);
  answer(one, 'u1', 1);
  assert.equal(one.registry.active, 0);
  answer(one, 'u1', 2);
  assert.equal(one.registry.active, 1);
});

test('the same pod in the same namespace again changes nothing and closes the second handle', async () => {
  const one = bench();
  const first = namespaceNamed('a');
  const second = namespaceNamed('a');
  const added = one.registry.add(podInfo('u1'), first);
  const again = one.registry.add(podInfo('u1'), second);
  assert.ok(isOpen(first) && !isOpen(second));
  assert.equal(await isSettled(again), false);
  answer(one, 'u1', 1);
  assert.deepEqual(await Promise.all([added, again]), [undefined, undefined]);
  assert.equal(await one.registry.add(podInfo('u1'), namespaceNamed('a')), undefined);
  assert.deepEqual(one.threads.told, ['pod-add u1 #1']);
  assert.equal(one.registry.startedTotal, 1);
});

test('a pending pod that is announced again answers at once with its reason', async (t) => {
  mockTimers(t);
  const one = bench();
  void one.registry.add(podInfo('u1'), namespaceNamed('a'));
  answer(one, 'u1', 1, 'no');
  assert.equal(await one.registry.add(podInfo('u1'), namespaceNamed('a')), 'no');
  assert.deepEqual(one.threads.told, ['pod-add u1 #1']);
});

test('the same pod in another namespace replaces the old one at once', async () => {
  const one = bench();
  const old = namespaceNamed('a');
  void one.registry.add(podInfo('u1'), old);
  answer(one, 'u1', 1);
  const replacement = namespaceNamed('b');
  const added = one.registry.add(podInfo('u1'), replacement);
  assert.deepEqual(one.threads.told, ['pod-add u1 #1', 'pod-remove u1', 'pod-add u1 #2']);
  assert.deepEqual(one.events.log, ['started u1', 'stopped u1', 'started u1']);
  letGo(one, 'u1');
  assert.ok(!isOpen(old) && isOpen(replacement));
  answer(one, 'u1', 2);
  assert.equal(await added, undefined);
  assert.deepEqual([one.registry.startedTotal, one.registry.stoppedTotal], [2, 1]);
});

test('a pod that is removed while it starts answers that it was removed', async () => {
  const one = bench();
  const namespace = namespaceNamed('a');
  const added = one.registry.add(podInfo('u1'), namespace);
  one.registry.onThreadStarted(0, 'u1', 1, undefined);
  one.registry.remove('u1');
  assert.equal(await added, 'the pod was removed');
  one.registry.onThreadStarted(1, 'u1', 1, undefined);
  assert.deepEqual([one.registry.active, one.registry.pending], [0, 0]);
  letGo(one, 'u1');
  assert.equal(isOpen(namespace), false);
});

test('a pending pod that is removed is not tried again', async (t) => {
  mockTimers(t);
  const one = bench();
  void one.registry.add(podInfo('u1'), namespaceNamed('a'));
  answer(one, 'u1', 1, 'no');
  one.registry.remove('u1');
  t.mock.timers.tick(POD_RETRY_MS * 2);
  assert.deepEqual(one.threads.told, ['pod-add u1 #1', 'pod-remove u1']);
});

test('a namespace is closed only after every thread has let go of it', () => {
  const one = bench(3);
  const namespace = namespaceNamed('a');
  void one.registry.add(podInfo('u1'), namespace);
  answer(one, 'u1', 1);
  one.registry.onThreadStopped(0, 'u1');
  one.registry.remove('u1');
  one.registry.onThreadStopped(0, 'u1');
  one.registry.onThreadStopped(0, 'u1');
  one.registry.onThreadStopped(2, 'u1');
  assert.equal(isOpen(namespace), true);
  one.registry.onThreadStopped(1, 'u1');
  assert.equal(isOpen(namespace), false);
  one.registry.onThreadStopped(1, 'u1');
});

test('a pod that goes and comes back twice has its namespaces closed one after the other', () => {
  const one = bench();
  const handles = ['a', 'b', 'c'].map((name) => {
    const namespace = namespaceNamed(name);
    void one.registry.add(podInfo('u1'), namespace);
    return namespace;
  });
  assert.deepEqual(handles.map(isOpen), [true, true, true]);
  one.registry.onThreadStopped(0, 'u1');
  one.registry.onThreadStopped(0, 'u1');
  one.registry.onThreadStopped(1, 'u1');
  assert.deepEqual(handles.map(isOpen), [false, true, true]);
  one.registry.onThreadStopped(1, 'u1');
  assert.deepEqual(handles.map(isOpen), [false, false, true]);
});

test('after a snapshot only the pods that it mentioned are left', () => {
  const one = bench();
  for (const uid of ['u1', 'u2', 'u3']) void one.registry.add(podInfo(uid), namespaceNamed(uid));
  one.registry.retainOnly(new Set(['u2', 'u9']));
  assert.deepEqual([...one.registry.summaries().keys()], ['u2']);
  assert.deepEqual(one.threads.told.slice(3), ['pod-remove u1', 'pod-remove u3']);
  assert.equal(one.registry.stoppedTotal, 2);
});

test('removing a pod that nobody knows tells nobody', () => {
  const one = bench();
  one.registry.remove('u1');
  one.registry.onThreadStopped(0, 'u1');
  one.registry.onThreadStarted(0, 'u1', 1, undefined);
  assert.deepEqual(one.threads.told, []);
  assert.deepEqual(one.events.log, []);
});

test('a pod is shown as pending without a reason while it starts, and as up afterwards', () => {
  const one = bench();
  void one.registry.add(podInfo('u1'), namespaceNamed('a'));
  assert.deepEqual(one.registry.summaries().get('u1'), { info: podInfo('u1'), state: 'Pending' });
  answer(one, 'u1', 1);
  assert.deepEqual(one.registry.summaries().get('u1'), { info: podInfo('u1'), state: 'Up' });
});

test('a pod that came back in another namespace is not confused by late answers of its former life', async () => {
  const one = bench();
  const first = one.registry.add(podInfo('u1'), namespaceNamed('a'));
  const second = one.registry.add(podInfo('u1'), namespaceNamed('b'));
  assert.equal(await first, 'the pod was removed');
  // The threads answer in the order in which they were told: to the first start, then to the second.
  answer(one, 'u1', 1, 'the first start failed');
  letGo(one, 'u1');
  answer(one, 'u1', 2);
  assert.equal(await second, undefined);
});

test('a snapshot is served when every pod is: one that fails at first is waited for, one that is removed is not', async (t: TestContext) => {
  mockTimers(t);
  const one = bench();
  assert.equal(await one.registry.whenServed(), undefined);
  for (const uid of ['u1', 'u2', 'u3']) void one.registry.add(podInfo(uid), namespaceNamed(uid));
  let isServed = false;
  const served = one.registry.whenServed().then(() => {
    isServed = true;
  });
  answer(one, 'u1', 1);
  answer(one, 'u2', 2, 'no room');
  one.registry.remove('u3');
  await isSettled(served);
  assert.equal(isServed, false);
  t.mock.timers.tick(POD_RETRY_MS);
  answer(one, 'u2', 4);
  await served;
  assert.equal(one.registry.pending, 0);
});
