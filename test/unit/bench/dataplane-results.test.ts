/** The figures of the data plane's bench: what rounds come to, and how they are told. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LatencyHistogram } from '../../bench/dataplane/load/latency-histogram.ts';
import { MEASURES, measureOf } from '../../bench/dataplane/measures.ts';
import { Results } from '../../bench/dataplane/results.ts';
import { isMet, resultsTable } from '../../bench/dataplane/results-table.ts';
import { spreadOf } from '../../bench/dataplane/statistics.ts';

test('the median of an odd number of rounds is the middle one, of an even number lies between the two in the middle', () => {
  assert.deepEqual(spreadOf([30, 10, 20]), { median: 20, min: 10, max: 30 });
  assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, min: 1, max: 4 });
  assert.deepEqual(spreadOf([7]), { median: 7, min: 7, max: 7 });
  assert.throws(() => spreadOf([]), RangeError);
});

test('a percentile of the histogram is the value at that place of the sorted latencies', () => {
  const histogram = new LatencyHistogram();
  const latencies = fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(latencies, fc.constantFrom(0.5, 0.9, 0.99, 0.999), (values, share) => {
      histogram.clear();
      for (const value of values) histogram.add(value);
      const sorted = values.toSorted((a, b) => a - b);
      assert.equal(histogram.percentile(share), sorted[Math.ceil(share * sorted.length) - 1]);
    }),
  );
});

test('without latencies the percentiles are zero, and what is too slow counts as the slowest', () => {
  const histogram = new LatencyHistogram();
  assert.deepEqual(histogram.latencies(), { p50: 0, p90: 0, p99: 0, p999: 0 });
  histogram.add(1e12);
  assert.equal(histogram.percentile(0.5), 4_000_000);
});

function resultsOf(id: string, values: { readonly ambit: number; readonly haproxy?: number }) {
  const results = new Results();
  results.add(id, 'ambit', values.ambit);
  if (values.haproxy !== undefined) results.add(id, 'haproxy', values.haproxy);
  return results.all[0]!;
}

function met(id: string, ambit: number, haproxy?: number): boolean | undefined {
  const { goal } = measureOf(id);
  return isMet(resultsOf(id, { ambit, ...(haproxy !== undefined && { haproxy }) }), goal!);
}

test('a goal is met when the ratio to haproxy, or the value itself, is on the better side of it', () => {
  assert.equal(met('throughput.1.up', 10, 4), true);
  assert.equal(met('throughput.1.up', 9.9, 4), false);
  assert.equal(met('cpu_per_gb.1', 0.9, 2), true);
  assert.equal(met('cpu_per_gb.1', 0.91, 2), false);
  assert.equal(met('rss.rest', 75), true);
  assert.equal(met('rss.rest', 75.1, 1), false);
  assert.equal(met('newconn', 9000), undefined);
});

test('results come in the order of the measures, and only those that were measured', () => {
  const results = new Results();
  results.add('restart', 'ambit', 1);
  results.add('rate.1', 'direct', 2);
  results.add('rate.1', 'direct', 4);
  assert.deepEqual(
    results.all.map(({ id, values }) => ({ id, values })),
    [
      { id: 'rate.1', values: { direct: { median: 3, min: 2, max: 4 } } },
      { id: 'restart', values: { ambit: { median: 1, min: 1, max: 1 } } },
    ],
  );
  assert.throws(() => results.add('speed', 'ambit', 1), RangeError);
});

test('the table has median and spread of each peer, the ratio to haproxy, the goal and whether it is met', () => {
  const results = new Results();
  for (const value of [12_000, 10_000, 11_000]) results.add('newconn', 'ambit', value);
  results.add('newconn', 'haproxy', 1000);
  const cells = resultsTable(results.all)
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const row = ['newconn', '1/s', '11000 (10000–12000)', '1000', '', '', '11.0', '≥ 9 ×', '✔'];
  assert.deepEqual(cells[2], ['', ...row, '']);
  assert.equal(new Set(cells.map((line) => line.length)).size, 1);
});

test('no measure is there twice', () => {
  assert.equal(new Set(MEASURES.map(({ id }) => id)).size, MEASURES.length);
});
