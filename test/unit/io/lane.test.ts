import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lane, SLICES_PER_SHARE } from '../../../src/io/lane.ts';
import { manualReactor } from '../../support/http2-peer.ts';
import { useUpSlice } from '../../support/reactor-harness.ts';

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

test('a lane that has used up its slice goes on later, and other work is not behind it', () => {
  const reactor = manualReactor();
  const done: string[] = [];
  const busy = new Lane(reactor, () => {});
  for (const name of ['a', 'b', 'c']) {
    busy.defer({
      run() {
        useUpSlice();
        done.push(name);
      },
    });
  }
  const quiet = new Lane(reactor, () => {});
  const call = () => quiet.defer({ run: () => done.push('neighbour') });
  call();
  reactor.turn(0);
  assert.deepEqual(done, ['a', 'neighbour', 'b']);
  call();
  reactor.turn(0);
  assert.deepEqual(done, ['a', 'neighbour', 'b', 'neighbour', 'c']);
});

test('what a task puts into its own lane is long work: others come first in the next turn', () => {
  const reactor = manualReactor();
  const done: string[] = [];
  const lane = new Lane(reactor, () => {});
  lane.defer({ run: () => lane.defer({ run: () => done.push('rest') }) });
  reactor.defer({ run: () => reactor.defer({ run: () => done.push('neighbour') }) });
  reactor.turn(0);
  // The slice of long work is the turn's last part.
  assert.deepEqual(done, ['rest']);
  reactor.turn(0);
  assert.deepEqual(done, ['rest', 'neighbour']);
});

test('a lane says when it has kept others waiting for long, and not when its work ends before', () => {
  const reactor = manualReactor();
  let usedUp = 0;
  const lane = new Lane(reactor, () => usedUp++);
  const useUpSliceTimes = (times: number) => {
    for (let i = 0; i < times; i++) lane.defer({ run: useUpSlice });
  };
  for (let again = 0; again < 3; again++) {
    // The last task of a lane leaves nothing behind it, so that many use up one slice less.
    useUpSliceTimes(SLICES_PER_SHARE);
    for (let turn = 0; turn < SLICES_PER_SHARE; turn++) reactor.turn(0);
  }
  assert.equal(usedUp, 0);
  useUpSliceTimes(SLICES_PER_SHARE + 1);
  for (let turn = 0; turn <= SLICES_PER_SHARE; turn++) reactor.turn(0);
  assert.equal(usedUp, 1);
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
