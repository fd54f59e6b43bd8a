import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReceiveWindow } from '../../../src/http/receive-window.ts';

const step = fc.oneof(
  fc.record({ kind: fc.constant('take' as const), bytes: fc.nat({ max: 5000 }) }),
  fc.record({ kind: fc.constant('give' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
);

test('never lets a peer that obeys it stall, and never gives back more than was taken', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 10_000 }), fc.array(step, { maxLength: 60 }), (size, steps) => {
      const window = new ReceiveWindow(size);
      let peerMaySend = size;
      let held = 0;
      for (const one of steps) {
        if (one.kind === 'take') {
          const bytes = Math.min(one.bytes, peerMaySend);
          assert.equal(window.take(bytes), true);
          peerMaySend -= bytes;
          held += bytes;
        } else {
          const bytes = Math.floor(held * one.share);
          held -= bytes;
          peerMaySend += window.giveBack(bytes);
        }
        assert.equal(window.available, peerMaySend);
        assert.equal(window.held, held);
        assert.ok(held + peerMaySend <= size);
      }
      peerMaySend += window.giveBack(held);
      assert.ok(peerMaySend * 2 > size, 'with nothing held, at least half of the window is open');
    }),
  );
});

test('refuses what is beyond it, and may be made smaller than what is out', () => {
  const window = new ReceiveWindow(100);
  assert.equal(window.take(100), true);
  assert.equal(window.take(1), false);
  const other = new ReceiveWindow(100);
  other.take(80);
  other.resize(50);
  assert.equal(other.available, -30);
  assert.equal(other.take(1), false);
});
