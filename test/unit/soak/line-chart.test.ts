/** The picture of a soak: well-formed, and every value where it belongs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lineChart, ticksTo } from '../../soak/line-chart.ts';

const LINE = { name: 'p50 <&>', colour: '#123456', values: [0, 5, 10] };

test('a value at the top of the scale lies on its highest line, one of zero on its lowest, and time runs to the right', () => {
  const svg = lineChart({ title: 'a & b', times: [0, 60, 120], panels: [{ title: 'ms', lines: [LINE] }] });
  const points = /points="([^"]*)"/
    .exec(svg)![1]!
    .split(' ')
    .map((one) => one.split(',').map(Number));
  const rows = [...svg.matchAll(/y1="([\d.]+)"/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    points.map(([, y]) => y),
    [Math.max(...rows), (Math.max(...rows) + Math.min(...rows)) / 2, Math.min(...rows)],
  );
  assert.deepEqual(
    points.map(([x]) => x),
    points.map(([x]) => x).toSorted((a, b) => a! - b!),
  );
  assert.match(svg, />2 min</);
});

test('text cannot break the document', () => {
  const svg = lineChart({ title: 'a & b', times: [1, 2, 3], panels: [{ title: '<i>', lines: [LINE] }] });
  assert.match(svg, /a &amp; b/);
  assert.match(svg, /&lt;i&gt;/);
  assert.match(svg, /p50 &lt;&amp;&gt;/);
});

test('a scale begins at zero, is even, and ends at or above the value with few lines', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (value) => {
      const ticks = ticksTo(value);
      assert.equal(ticks[0], 0);
      assert.ok(ticks.at(-1)! >= value * (1 - 1e-9) && ticks.length >= 2 && ticks.length <= 7, String(ticks));
    }),
  );
});
