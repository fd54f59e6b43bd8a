import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { SeriesRegistry } from '../../../src/telemetry/series-registry.ts';
import { SeriesStore } from '../../../src/telemetry/series-store.ts';
import { updateProcessMetrics } from '../../../src/ztunnel/control/process-metrics.ts';
import { CONTROL_METRICS } from '../../../src/ztunnel/telemetry/metric-definitions.ts';

function setUp() {
  const registry = new SeriesRegistry(CONTROL_METRICS);
  const store: SeriesStore = new SeriesStore(CONTROL_METRICS, (entry) => registry.adopt(store.memory, entry));
  const value = (metric: string) => {
    updateProcessMetrics(store);
    return registry.totals(metric)[0]!.values[0]!;
  };
  return { value };
}

test('memory, CPU time and the limit of descriptors are those of this process', () => {
  const { value } = setUp();
  assert.ok(value('process_resident_memory_bytes') > 10_000_000);
  assert.ok(value('process_cpu_seconds_total') > 0);
  assert.ok(value('process_max_fds') >= value('process_open_fds'));
});

test('the CPU time is told anew each time and never goes back', () => {
  const { value } = setUp();
  const before = value('process_cpu_seconds_total');
  assert.ok(value('process_cpu_seconds_total') >= before);
});

test('open descriptors are counted, without the one that counts', () => {
  const { value } = setUp();
  const before = value('process_open_fds');
  const fds = Array.from({ length: 5 }, () => openSync('/dev/null', 'r'));
  assert.equal(value('process_open_fds'), before + 5);
  for (const fd of fds) closeSync(fd);
  assert.equal(value('process_open_fds'), before);
});
