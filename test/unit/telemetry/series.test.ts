import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeriesRegistry } from '../../../src/telemetry/series-registry.ts';
import {
  MAX_SERIES,
  type MetricDefinition,
  type SeriesEntry,
  SeriesStore,
} from '../../../src/telemetry/series-store.ts';

const OPENED: MetricDefinition = {
  name: 'opened_total',
  kind: 'counter',
  help: 'Opened.',
  labels: ['reporter'],
};
const SOCKETS: MetricDefinition = { name: 'sockets', kind: 'gauge', help: 'Sockets.', labels: [] };
const SECONDS: MetricDefinition = {
  name: 'seconds',
  kind: 'histogram',
  help: 'Seconds.',
  labels: ['protocol'],
  buckets: [0.1, 1],
};

function setUp(): { registry: SeriesRegistry; store: () => SeriesStore } {
  const definitions = [OPENED, SOCKETS, SECONDS];
  const registry = new SeriesRegistry(definitions);
  const store = () => {
    const made: SeriesStore = new SeriesStore(definitions, (entry) => registry.adopt(made.memory, entry));
    return made;
  };
  return { registry, store };
}

test('the same series of two threads is one row that shows their sum', async () => {
  const { registry, store } = setUp();
  for (const amount of [2, 3]) {
    const thread = store();
    thread.add(thread.series('opened_total', ['source']), amount);
  }
  const page = await registry.render(undefined);
  assert.match(page.body, /^opened_total\{reporter="source"\} 5$/m);
});

test('a value can be rendered again and again without growing', async () => {
  const { registry, store } = setUp();
  const thread = store();
  thread.add(thread.series('opened_total', ['source']), 1);
  await registry.render(undefined);
  assert.match((await registry.render(undefined)).body, /^opened_total\{reporter="source"\} 1$/m);
});

test('a histogram has cumulative buckets, a sum and a count', async () => {
  const { registry, store } = setUp();
  const thread = store();
  const slot = thread.series('seconds', ['udp']);
  for (const value of [0.05, 0.5, 0.6, 7]) thread.observe('seconds', slot, value);
  const { body } = await registry.render(undefined);
  assert.match(body, /^seconds_bucket\{le="0.1",protocol="udp"\} 1$/m);
  assert.match(body, /^seconds_bucket\{le="1",protocol="udp"\} 3$/m);
  assert.match(body, /^seconds_bucket\{le="\+Inf",protocol="udp"\} 4$/m);
  assert.match(body, /^seconds_sum\{protocol="udp"\} 8.15$/m);
  assert.match(body, /^seconds_count\{protocol="udp"\} 4$/m);
});

test('a scraper that accepts OpenMetrics gets it', async () => {
  const { registry, store } = setUp();
  store().series('opened_total', ['source']);
  const page = await registry.render('application/openmetrics-text;version=1.0.0');
  assert.match(page.contentType, /openmetrics/);
  assert.match(page.body, /# EOF\n$/);
});

test('label values that a peer makes up without end all land in one overflow series', () => {
  const entries: SeriesEntry[] = [];
  const store = new SeriesStore([OPENED], (entry) => entries.push(entry));
  for (let i = 0; i < MAX_SERIES + 10; i++) store.add(store.series('opened_total', [String(i)]), 1);
  assert.equal(entries.length, MAX_SERIES + 1);
  assert.deepEqual(entries.at(-1)?.labelValues, ['overflow']);
});

test('each metric has its own overflow series, however late it comes', () => {
  const entries: SeriesEntry[] = [];
  const store = new SeriesStore([OPENED, SOCKETS, SECONDS], (entry) => entries.push(entry));
  for (let i = 0; i < MAX_SERIES; i++) store.series('seconds', [String(i)]);
  const opened = store.series('opened_total', ['source']);
  assert.equal(store.series('opened_total', ['destination']), opened);
  assert.deepEqual(entries.at(-1), { metric: 'opened_total', labelValues: ['overflow'], slot: opened });
  store.observe('seconds', store.series('seconds', ['one more']), 0.5);
  store.add(store.series('sockets', []), 1);
});
