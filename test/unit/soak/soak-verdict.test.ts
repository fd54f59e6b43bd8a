/** What a soak is judged by: the regression, the bounds, and the words about failures. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { SoakSample } from '../../soak/run-soak.ts';
import { faultsOf } from '../../soak/soak-verdict.ts';
import { growsBeyond, trendOf } from '../../soak/trend.ts';

const LATENCY = { count: 1, p50: 1, p99: 2 };

/** One every five seconds for a quarter of an hour. */
function samplesOf(megabytes: (seconds: number) => number, descriptors = (_: number) => 90): SoakSample[] {
  return Array.from({ length: 180 }, (_, i) => {
    const seconds = 5 * (i + 1);
    const resident = megabytes(seconds);
    const proxy = { resident, anonymous: resident - 36, descriptors: descriptors(seconds) };
    return { seconds, proxies: { node1: proxy, node2: proxy }, requests: LATENCY, lookups: LATENCY };
  });
}

/** Scatter that anybody can make again. */
const scatter = (seconds: number) => ((seconds * 7919) % 13) / 13;

test('the slope of points on a line is that of the line, without error', () => {
  const whole = fc.integer({ min: -1000, max: 1000 });
  fc.assert(
    fc.property(whole, whole, fc.integer({ min: 3, max: 50 }), (slope, start, count) => {
      const points = Array.from({ length: count }, (_, x) => ({ x, y: start + slope * x }));
      const found = trendOf(points);
      assert.ok(Math.abs(found.slope - slope) < 1e-6 && found.error < 1e-6);
    }),
  );
});

test('what scatters and does not grow is no trend, and a slope within its error is none', () => {
  const points = Array.from({ length: 100 }, (_, x) => ({ x, y: 100 + scatter(x) }));
  assert.equal(growsBeyond(trendOf(points), 0.001), false);
  assert.throws(() => trendOf(points.slice(0, 2)), RangeError);
});

test('memory that rises while it warms up and then stays is fine', () => {
  const samples = samplesOf((seconds) => Math.min(150, 100 + seconds / 4) + scatter(seconds));
  assert.deepEqual(faultsOf({ samples, calls: 1, failures: [] }), []);
});

test('memory that grows by a hundred bytes for each connection is found', () => {
  const samples = samplesOf((seconds) => 100 + scatter(seconds) + seconds * 100 * 100e-6);
  const faults = faultsOf({ samples, calls: 1, failures: [] });
  assert.equal(faults.length, 4);
  assert.match(
    faults[0]!,
    /^resident of the proxy of node1 grows by 3\d\.\d ± \d\.\d an hour; 24 are allowed$/,
  );
});

test('one step is no growth, unless it is high', () => {
  const withStep = (height: number) =>
    faultsOf({
      samples: samplesOf((seconds) => 100 + scatter(seconds) + (seconds < 530 ? 0 : height)),
      calls: 1,
      failures: [],
    });
  assert.deepEqual(withStep(4), []);
  const faults = withStep(12);
  assert.equal(faults.length, 4);
  assert.match(faults[0]!, /^resident of the proxy of node1 rose by 1[12]\.\d; 10 are allowed$/);
});

test('a descriptor that is lost every minute is found', () => {
  const samples = samplesOf(
    () => 100,
    (seconds) => 90 + Math.floor(seconds / 60),
  );
  const faults = faultsOf({ samples, calls: 1, failures: [] });
  assert.deepEqual(
    faults.map((words) => /^descriptors of the proxy of node. (grows|rose) by/.exec(words)?.[1]),
    ['grows', 'grows', 'rose', 'rose'],
  );
});

test('whatever failed is told by the first of it', () => {
  const samples = samplesOf(() => 100);
  const failures = ['a', 'b', 'c', 'd'];
  assert.deepEqual(faultsOf({ samples, calls: 1, failures }), ['4 failures: a; b; c']);
});
