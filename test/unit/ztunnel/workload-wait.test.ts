import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Workload } from '../../../src/mesh/workload.ts';
import { WORKLOAD_WAIT_MS } from '../../../src/ztunnel/proxy/limits.ts';
import { WorkloadWait } from '../../../src/ztunnel/proxy/workload-wait.ts';
import { workload } from '../mesh/builders.ts';
import { ManualReactor } from './manual-reactor.ts';

const WEB = workload({ name: 'web' });
const ORDERS = workload({ name: 'orders' });

function bench() {
  const reactor = new ManualReactor();
  const known = new Map<string, Workload>();
  const wait = new WorkloadWait(reactor, (uid) => known.get(uid));
  const answers: (string | undefined)[] = [];
  const ask = (uid: string) => wait.whenKnown(uid, (found) => answers.push(found?.name));
  const learn = (one: Workload) => {
    known.set(one.uid, one);
    wait.recheck();
  };
  return { reactor, wait, answers, ask, learn };
}

test('a workload that is known is handed over at once', () => {
  const { ask, learn, answers, reactor } = bench();
  learn(WEB);
  ask(WEB.uid);
  assert.deepEqual(answers, ['web']);
  assert.equal(reactor.pendingTimers, 0);
});

test('connections wait for their workload, and each is answered once', () => {
  const { ask, learn, answers, reactor } = bench();
  ask(WEB.uid);
  ask(ORDERS.uid);
  ask(WEB.uid);
  assert.deepEqual(answers, []);
  learn(WEB);
  assert.deepEqual(answers, ['web', 'web']);
  learn(ORDERS);
  reactor.advance(WORKLOAD_WAIT_MS * 2);
  assert.deepEqual(answers, ['web', 'web', 'orders']);
  assert.equal(reactor.pendingTimers, 0);
});

test('a workload that does not come in time is given up, and its coming later changes nothing', () => {
  const { ask, learn, answers, reactor } = bench();
  ask(WEB.uid);
  reactor.advance(WORKLOAD_WAIT_MS - 1);
  assert.deepEqual(answers, []);
  reactor.advance(1);
  assert.deepEqual(answers, [undefined]);
  learn(WEB);
  assert.deepEqual(answers, [undefined]);
});

test('who asks again while being answered is answered too', () => {
  const { wait, learn, answers } = bench();
  wait.whenKnown(WEB.uid, () => {
    wait.whenKnown(WEB.uid, (found) => answers.push(found?.name));
    wait.whenKnown(ORDERS.uid, (found) => answers.push(found?.name));
  });
  learn(WEB);
  assert.deepEqual(answers, ['web']);
  learn(ORDERS);
  assert.deepEqual(answers, ['web', 'orders']);
});
