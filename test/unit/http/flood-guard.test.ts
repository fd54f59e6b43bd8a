import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FloodGuard } from '../../../src/http/flood-guard.ts';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { type FloodKind, floodLimits } from '../../../src/http/http2-limits.ts';

const kinds = Object.keys(floodLimits) as FloodKind[];

function drain(guard: FloodGuard, kind: FloodKind): number {
  let admitted = 0;
  while (guard.admit(kind)) admitted++;
  return admitted;
}

for (const kind of kinds) {
  test(`${kind}: a burst is admitted, then what the rate gives back, never more than a burst`, () => {
    const clock = { nowMs: 1000 };
    const counters = new Http2Counters();
    const guard = new FloodGuard(clock, counters);
    const { burst, perSecond } = floodLimits[kind];
    assert.equal(drain(guard, kind), burst);
    assert.equal(counters[kind], burst + 1);
    assert.equal(counters.floods[kind], 1);
    clock.nowMs += 2000;
    assert.equal(drain(guard, kind), 2 * perSecond - 1, 'the refused one had its price too');
    clock.nowMs += 3_600_000;
    assert.equal(drain(guard, kind), burst);
  });
}

test('earned tokens count as time does, and kinds do not share', () => {
  const guard = new FloodGuard({ nowMs: 0 }, new Http2Counters());
  drain(guard, 'rapidResets');
  guard.earn('rapidResets', 11);
  assert.equal(drain(guard, 'rapidResets'), 10);
  assert.equal(drain(guard, 'pings'), floodLimits.pings.burst);
});
