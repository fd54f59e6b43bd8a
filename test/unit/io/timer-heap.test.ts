/** The heap of timers against a sorted list. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type HeapTimer, TimerHeap } from '../../../src/io/timer-heap.ts';

type Step =
  | { readonly kind: 'add'; readonly deadlineMs: number }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'advance'; readonly toMs: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), deadlineMs: fc.nat(50) }),
  fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(60) }),
  fc.record({ kind: fc.constant('advance' as const), toMs: fc.nat(60) }),
);

test('after any additions and cancellations, timers come due in the order of their deadlines', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const heap = new TimerHeap();
      const made: HeapTimer[] = [];
      const waiting = new Set<HeapTimer>();
      for (const one of steps) {
        if (one.kind === 'add') {
          const timer = heap.add(one.deadlineMs, () => {});
          made.push(timer);
          waiting.add(timer);
        } else if (one.kind === 'cancel') {
          made[one.which]?.cancel();
          if (made[one.which] !== undefined) waiting.delete(made[one.which]!);
        } else {
          takeAll(heap, one.toMs, waiting);
        }
        const earliest = Math.min(...[...waiting].map((timer) => timer.deadlineMs));
        assert.equal(heap.nextDeadlineMs ?? Number.POSITIVE_INFINITY, earliest);
        assert.equal(heap.size, waiting.size);
      }
    }),
  );
});

function takeAll(heap: TimerHeap, nowMs: number, waiting: Set<HeapTimer>): void {
  let lastMs = 0;
  for (let timer = heap.takeDue(nowMs); timer !== undefined; timer = heap.takeDue(nowMs)) {
    assert.ok(timer.deadlineMs >= lastMs && timer.deadlineMs <= nowMs);
    lastMs = timer.deadlineMs;
    assert.ok(waiting.delete(timer));
  }
  assert.ok([...waiting].every((timer) => timer.deadlineMs > nowMs));
}
