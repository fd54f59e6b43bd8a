import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LANE_SHARE_MS, Lane } from '../../../src/io/lane.ts';
import { manualReactor } from '../../support/http2-peer.ts';

/** Keeps the thread for longer than a lane may. */
function toil(): void {
  const endMs = performance.now() + 2 * LANE_SHARE_MS;
  while (performance.now() < endMs);
}

test('the tasks of a lane run in their order, in one turn as long as they are quick', () => {
  const reactor = manualReactor();
  const done: number[] = [];
  const lane = new Lane(reactor, () => {});
  lane.defer({ run: () => done.push(1) });
  lane.defer({ run: () => done.push(2) });
  // A turn may be interrupted at any task by whatever else the machine does; both run within two.
  reactor.turn(0);
  reactor.turn(0);
  assert.deepEqual(done, [1, 2]);
});

test('a lane that has used up its share waits for the next turn, and other work is not behind it', () => {
  const reactor = manualReactor();
  const done: string[] = [];
  let usedUp = 0;
  const busy = new Lane(reactor, () => usedUp++);
  for (const name of ['a', 'b', 'c']) {
    busy.defer({
      run() {
        toil();
        done.push(name);
      },
    });
  }
  const quiet = new Lane(reactor, () => {});
  quiet.defer({ run: () => done.push('neighbour') });
  reactor.turn(0);
  assert.deepEqual(done, ['a', 'neighbour']);
  assert.equal(usedUp, 1);
  reactor.turn(0);
  reactor.turn(0);
  assert.deepEqual(done, ['a', 'neighbour', 'b', 'c']);
  assert.equal(usedUp, 2);
});

test('what a task of a lane throws ends with its owner', () => {
  const reactor = manualReactor();
  const lane = new Lane(reactor, () => {});
  const failed: unknown[] = [];
  let ran = false;
  lane.defer({
    run() {
      throw new Error('no');
    },
    onFailure: (thrown) => failed.push(thrown),
  });
  lane.defer({
    run() {
      ran = true;
    },
  });
  reactor.turn(0);
  reactor.turn(0);
  assert.equal(failed.length, 1);
  assert.equal(ran, true);
});
