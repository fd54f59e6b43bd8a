import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HANDOVER_LINGER_MS, PodHandover } from '../../../src/ztunnel/proxy/pod-handover.ts';
import { ManualReactor } from './manual-reactor.ts';

/** A pod with so many listeners, two of them our own, and what became of them. */
class Subject {
  readonly log: string[] = [];
  readonly ownListeners = 2;
  listeners = 2;

  countListeners(): number {
    if (this.listeners < 0) throw new Error('no sock_diag here');
    return this.listeners;
  }

  steer(index: number): void {
    this.log.push(`steer ${index}`);
  }

  onSteered(): void {
    this.log.push('steered');
  }

  ignoreNew(): void {
    this.log.push('ignore');
  }

  onReleased(): void {
    this.log.push('released');
  }
}

function bench() {
  const reactor = new ManualReactor();
  const subject = new Subject();
  /** In small steps, as the clock goes. */
  const wait = (ms: number) => {
    for (let passed = 0; passed < ms; passed += 50) reactor.advance(50);
  };
  return { reactor, subject, wait };
}

test('a pod that nobody else serves is served on, until somebody does', () => {
  const { reactor, subject, wait } = bench();
  const handover = new PodHandover(reactor, subject);
  wait(10_000);
  assert.deepEqual(subject.log, []);
  assert.equal(handover.isUnderWay, false);
  subject.listeners = 4;
  wait(500);
  assert.deepEqual(subject.log.slice(0, 2), ['steer 2', 'steered']);
  assert.equal(handover.isUnderWay, true);
});

test('listeners stay for handshakes that are under way, and are then closed', () => {
  const { reactor, subject, wait } = bench();
  subject.listeners = 4;
  const handover = new PodHandover(reactor, subject);
  wait(HANDOVER_LINGER_MS - 100);
  assert.equal(subject.log.includes('released'), false);
  wait(500);
  assert.equal(subject.log.at(-1), 'released');
  assert.deepEqual([handover.isUnderWay, handover.isReleased], [false, true]);
  assert.equal(reactor.pendingTimers, 0);
});

test('before they are closed they stop answering, and are led past until the end', () => {
  const { reactor, subject, wait } = bench();
  subject.listeners = 4;
  new PodHandover(reactor, subject);
  wait(HANDOVER_LINGER_MS + 300);
  const { log } = subject;
  assert.ok(log.indexOf('steered') < log.indexOf('ignore'));
  assert.deepEqual(log.slice(log.indexOf('ignore')), ['ignore', 'steer 2', 'ignore', 'steer 2', 'released']);
});

test('connections are led to a listener that is the next proxy’s now and no listener at all afterwards', () => {
  for (const [others, index] of [
    [1, 2],
    [2, 2],
    [3, 3],
    [8, 8],
  ] as const) {
    const { reactor, subject } = bench();
    subject.listeners = 2 + others;
    new PodHandover(reactor, subject);
    assert.deepEqual(subject.log, [`steer ${index}`, 'steered']);
  }
});

test('a next proxy whose listeners come one by one is led to all the same', () => {
  const { reactor, subject, wait } = bench();
  subject.listeners = 3;
  new PodHandover(reactor, subject);
  subject.listeners = 6;
  wait(300);
  assert.deepEqual(subject.log, ['steer 2', 'steered', 'steer 4']);
});

test('when it cannot be told who else is there, the pod is served on', () => {
  const { reactor, subject, wait } = bench();
  subject.listeners = -1;
  const handover = new PodHandover(reactor, subject);
  wait(1000);
  assert.deepEqual(subject.log, []);
  handover.release();
  handover.release();
  assert.deepEqual(subject.log, ['released']);
});
