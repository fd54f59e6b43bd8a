/** The metrics against the page that operators read, both ways. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONTROL_PLANE_METRICS } from '../../../src/controlplane/control-plane-metrics.ts';
import { ENVIRONMENT_METRICS } from '../../../src/controlplane/kubernetes/environment-metrics.ts';
import { KUBE_METRICS } from '../../../src/kube/kube-metrics.ts';
import { SeriesRegistry } from '../../../src/telemetry/series-registry.ts';
import { SeriesStore } from '../../../src/telemetry/series-store.ts';
import {
  CONTROL_METRICS,
  REACTOR_METRICS,
  TRAFFIC_LABELS,
  ZTUNNEL_METRICS,
} from '../../../src/ztunnel/telemetry/metric-definitions.ts';

const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
const [proxyPart = '', behind = ''] = page.split('## Reading the Kubernetes API');
const [kubePart = '', controlPlanePart = ''] = behind.split('## Control plane');
const rows = metricRows(proxyPart);

/** Rows of the table whose first column names metrics. */
function metricRows(text: string) {
  return text
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, names, kind, labels] = line.split('|').map((cell) => cell.trim());
      return { names: [...names!.matchAll(/`([a-z0-9_]+)`/g)].map((match) => match[1]!), kind, labels };
    });
}
const documented = rows.flatMap((row) => row.names);
const defined = ZTUNNEL_METRICS.map((metric) => metric.name);

test('every metric that is documented is defined', () => {
  assert.ok(documented.length > 20);
  assert.deepEqual(
    documented.filter((name) => !defined.includes(name)),
    [],
  );
});

test('every metric that is defined is documented', () => {
  assert.deepEqual(
    defined.filter((name) => !documented.includes(name)),
    [],
  );
});

test('no metric is defined or documented twice', () => {
  assert.equal(new Set(defined).size, defined.length);
  assert.equal(new Set(documented).size, documented.length);
  const shared = REACTOR_METRICS.filter((metric) => CONTROL_METRICS.includes(metric));
  assert.deepEqual(shared, []);
});

test('what is counted of the Kubernetes API is documented, each under its kind', () => {
  const told = metricRows(kubePart).flatMap(({ names, kind }) => names.map((name) => `${name} ${kind}`));
  assert.deepEqual(told.sort(), KUBE_METRICS.map(({ name, kind }) => `${name} ${kind}`).sort());
});

test('what the control plane counts is documented, each under its kind', () => {
  const told = metricRows(controlPlanePart).flatMap(({ names, kind }) =>
    names.map((name) => `${name} ${kind}`),
  );
  const counted = [...CONTROL_PLANE_METRICS, ...ENVIRONMENT_METRICS];
  assert.deepEqual(told.sort(), counted.map(({ name, kind }) => `${name} ${kind}`).sort());
});

test('a metric is of the kind that the page says, and has the traffic labels where it says so', () => {
  for (const { names, kind, labels } of rows.filter((row) => row.kind !== '')) {
    for (const name of names) {
      const metric = ZTUNNEL_METRICS.find((one) => one.name === name)!;
      assert.equal(metric.kind, kind!.split(',')[0], name);
      assert.equal(metric.labels === TRAFFIC_LABELS, labels === 'traffic', name);
      if (labels === '') assert.deepEqual(metric.labels, [], name);
    }
  }
});

test('names end as Prometheus wants them to: counters, and only counters, with _total', () => {
  for (const metric of ZTUNNEL_METRICS) {
    assert.match(metric.name, /^(istio|ambit|process)_[a-z0-9_]+$/);
    assert.equal(metric.name.endsWith('_total'), metric.kind === 'counter', metric.name);
    assert.match(metric.help, /^[A-Z].*\.$/, metric.name);
  }
});

test('the page of a new proxy names every metric, and one with labels has them all', async () => {
  const registry = new SeriesRegistry(ZTUNNEL_METRICS);
  const store: SeriesStore = new SeriesStore(ZTUNNEL_METRICS, (entry) => registry.adopt(store.memory, entry));
  for (const metric of ZTUNNEL_METRICS)
    store.series(
      metric.name,
      metric.labels.map((name) => `a ${name}`),
    );
  const { body } = await registry.render(undefined);
  for (const metric of ZTUNNEL_METRICS) {
    assert.match(body, new RegExp(`^# TYPE ${metric.name} ${metric.kind}$`, 'm'));
    const line = body.split('\n').find((one) => one.startsWith(metric.name))!;
    for (const label of metric.labels)
      assert.ok(line.includes(`${label}="a ${label}"`), `${metric.name} ${label}`);
  }
});
