/** The event loop: order of work, timers, wake-ups, and what it survives. */

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import {
  type EventHandler,
  READABLE,
  Reactor,
  SLICE_MS,
  type Task,
  wakeReactor,
} from '../../../src/io/reactor.ts';
import { drainEventFd, openEventFd, ringEventFd } from '../../../src/sys/event-fd.ts';
import { closeDescriptor } from '../../../src/sys/sockets.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { deferred, testReactor, until } from '../../support/reactor-harness.ts';

setLogLevels('off');

/** A reactor that only turns when told to. */
function quietReactor(): Reactor {
  const reactor = new Reactor();
  after(() => reactor.close());
  return reactor;
}

/** A descriptor that is readable when rung. */
function bell(): number {
  const fd = openEventFd();
  after(() => closeDescriptor(fd));
  return fd;
}

function rungBell(): number {
  const fd = bell();
  ringEventFd(fd);
  return fd;
}

test('a turn tells events, then runs tasks, then timers, and flushes before the tasks and at its end', () => {
  const reactor = quietReactor();
  const order: string[] = [];
  const flushed = (of: string) => reactor.flushInTurn({ flush: () => order.push(`flush of ${of}`) });
  const say = (what: string) => {
    order.push(what);
    flushed(what);
  };
  reactor.setTimer(0, () => say('timer'));
  reactor.defer({ run: () => say('task') });
  reactor.register(rungBell(), { onEvents: () => say('event') });
  reactor.turn(0);
  assert.deepEqual(order, ['event', 'flush of event', 'task', 'timer', 'flush of task', 'flush of timer']);
});

test('long tasks share one slice of each turn, in which others come first', () => {
  const reactor = quietReactor();
  const order: string[] = [];
  const long = (name: string): Task => ({
    run() {
      const endMs = performance.now() + 2 * SLICE_MS;
      while (performance.now() < endMs);
      order.push(name);
      reactor.deferLong(this);
    },
  });
  reactor.deferLong(long('a'));
  reactor.deferLong(long('b'));
  for (let turn = 0; turn < 3; turn++) {
    reactor.defer({ run: () => order.push('task') });
    reactor.turn(-1);
  }
  assert.deepEqual(order, ['task', 'a', 'task', 'b', 'task', 'a']);
});

test('events are counted, timers and tasks are not', () => {
  const reactor = quietReactor();
  reactor.setTimer(0, () => {});
  reactor.defer({ run: () => {} });
  reactor.turn(0);
  assert.equal(reactor.events, 0);
  reactor.register(rungBell(), { onEvents: () => {} });
  reactor.turn(0);
  assert.equal(reactor.events, 1);
});

test('tasks asked for while tasks run wait for the next turn, flushes for the next time that there are any', () => {
  const reactor = quietReactor();
  const order: string[] = [];
  const again = (name: string) => ({
    run: () => {
      order.push(name);
      reactor.defer({ run: () => order.push(`${name} again`) });
    },
    flush: () => {
      order.push(`flush ${name}`);
      reactor.flushInTurn({ flush: () => order.push(`flush ${name} again`) });
    },
  });
  reactor.defer(again('a'));
  reactor.flushInTurn(again('a'));
  reactor.turn(0);
  assert.deepEqual(order, ['flush a', 'a', 'flush a again']);
  reactor.turn(-1);
  assert.deepEqual(order, ['flush a', 'a', 'flush a again', 'a again']);
});

test('an event is told once per change, not again while it lasts', () => {
  const reactor = quietReactor();
  const fd = rungBell();
  let told = 0;
  reactor.register(fd, { onEvents: (events) => (told += (events & READABLE) !== 0 ? 1 : 0) });
  reactor.turn(0);
  reactor.turn(0);
  assert.equal(told, 1);
  ringEventFd(fd);
  reactor.turn(0);
  assert.equal(told, 2);
});

test('a descriptor deregistered during a turn hears no more, even when its number is used again', () => {
  const reactor = quietReactor();
  const heard: string[] = [];
  const victims = [openEventFd(), openEventFd()];
  for (const fd of victims) ringEventFd(fd);
  let reused: number | undefined;
  const handlers = victims.map(
    (_, own): EventHandler => ({
      onEvents: () => {
        heard.push(`victim ${own}`);
        const other = victims[1 - own]!;
        reactor.forget(other);
        closeDescriptor(other);
        reused = openEventFd();
        assert.equal(reused, other);
        reactor.register(reused, { onEvents: () => heard.push('newcomer') });
      },
    }),
  );
  victims.forEach((fd, own) => {
    reactor.register(fd, handlers[own]!);
  });
  reactor.turn(0);
  assert.equal(heard.length, 1);
  assert.match(heard[0]!, /victim/);
  for (const fd of victims) closeDescriptor(fd);
});

test('exceptions of handlers, tasks, timers and flushes are counted and end only their owners', () => {
  const reactor = quietReactor();
  const fail = (): never => {
    throw new Error('thrown on purpose');
  };
  const told: string[] = [];
  const onFailure = (thrown: unknown): void => {
    told.push((thrown as Error).message);
    throw new Error('thrown again');
  };
  const fd = rungBell();
  let survivors = 0;
  reactor.register(fd, { onEvents: fail, onFailure });
  reactor.register(rungBell(), { onEvents: () => survivors++ });
  reactor.defer({ run: fail, onFailure });
  reactor.defer({ run: () => survivors++ });
  reactor.setTimer(0, fail);
  reactor.setTimer(0, () => survivors++);
  reactor.flushInTurn({ flush: fail });
  reactor.flushInTurn({ flush: () => survivors++ });
  reactor.turn(0);
  assert.equal(survivors, 4);
  assert.deepEqual(told, ['thrown on purpose', 'thrown on purpose']);
  assert.equal(reactor.handlerFailures, 6);
  ringEventFd(fd);
  reactor.turn(0);
  assert.equal(reactor.handlerFailures, 6);
});

test('a timer fires after its delay and not before, and not at all once cancelled', () => {
  const reactor = quietReactor();
  let fired = 0;
  const start = performance.now();
  reactor.setTimer(20, () => fired++);
  const cancelled = reactor.setTimer(1, () => assert.fail('was cancelled'));
  cancelled.cancel();
  cancelled.cancel();
  reactor.turn(0);
  assert.equal(fired, 0);
  while (fired === 0) reactor.turn(-1);
  assert.ok(performance.now() - start >= 20);
});

test('timers that set each other without delay do not hold the turn', () => {
  const reactor = quietReactor();
  let fired = 0;
  const again = (): void => {
    fired++;
    reactor.setTimer(0, again);
  };
  reactor.setTimer(0, again);
  reactor.turn(0);
  assert.equal(fired, 1);
  reactor.turn(0);
  assert.equal(fired, 2);
});

test('run() returns after stop()', () => {
  const reactor = quietReactor();
  let turns = 0;
  reactor.setTimer(1, () => {
    turns++;
    reactor.stop();
  });
  reactor.run();
  assert.equal(turns, 1);
});

test('more ready descriptors than one poll takes are all told', () => {
  const reactor = quietReactor();
  let told = 0;
  const fds = Array.from({ length: 700 }, () => openEventFd());
  for (const fd of fds) {
    ringEventFd(fd);
    reactor.register(fd, { onEvents: () => told++ });
  }
  reactor.turn(0);
  reactor.turn(0);
  assert.equal(told, 700);
  for (const fd of fds) {
    reactor.deregister(fd);
    closeDescriptor(fd);
  }
});

test('registering what cannot be watched is an error with a name', () => {
  const reactor = quietReactor();
  assert.throws(() => reactor.register(9999, { onEvents() {} }), /EBADF/);
});

test('inside of Node, events, timers and tasks come by themselves and promises go on', async () => {
  const reactor = testReactor();
  const order: string[] = [];
  const event = deferred();
  const fd = bell();
  reactor.register(fd, {
    onEvents: (events) => {
      if ((events & READABLE) === 0) return;
      drainEventFd(fd);
      order.push('event');
      event.resolve();
    },
  });
  ringEventFd(fd);
  await event.promise;
  const task = deferred();
  reactor.defer({ run: () => task.resolve() });
  await task.promise;
  const timer = deferred();
  reactor.setTimer(5, () => timer.resolve());
  reactor.setTimer(1, () => order.push('earlier timer'));
  await timer.promise;
  const flush = deferred();
  reactor.flushInTurn({ flush: () => flush.resolve() });
  await flush.promise;
  assert.deepEqual(order, ['event', 'earlier timer']);
});

test('inside of Node, the loop takes wake-ups for as long as they come and stops when closed', async () => {
  const fd = bell();
  const before = descriptorCount();
  const reactor = new Reactor();
  after(() => reactor.close());
  reactor.attachToNode();
  let told = 0;
  reactor.register(fd, {
    onEvents: (events) => {
      if ((events & READABLE) === 0) return;
      drainEventFd(fd);
      told++;
    },
  });
  for (let i = 1; i <= 200; i++) {
    ringEventFd(fd);
    await until(() => told === i);
  }
  reactor.deregister(fd);
  reactor.close();
  assert.equal(descriptorCount(), before);
});

const WORKER = `
  const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads');
  import(workerData).then(({ Reactor }) => {
    const reactor = new Reactor();
    reactor.onWake(() => {
      for (let one = receiveMessageOnPort(parentPort); one !== undefined; one = receiveMessageOnPort(parentPort)) {
        parentPort.postMessage('seen ' + one.message);
      }
    });
    parentPort.postMessage(reactor.wakeFd);
    reactor.run();
  });
`;

test('a worker that sleeps in its loop for good is woken from the main thread and reads its messages', async () => {
  const module = new URL('../../../src/io/reactor.ts', import.meta.url).href;
  const worker = new Worker(WORKER, { eval: true, workerData: module });
  const received: unknown[] = [];
  worker.on('message', (message) => received.push(message));
  await until(() => received.length === 1);
  const wakeFd = received[0] as number;
  for (let i = 0; i < 50; i++) {
    worker.postMessage(i);
    wakeReactor(wakeFd);
    await until(() => received.length === i + 2);
  }
  assert.equal(received.at(-1), 'seen 49');
  // It must not be ended: the process leaves without it.
  worker.unref();
});
