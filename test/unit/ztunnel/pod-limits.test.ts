/** What the limits of a pod have in common: how they are counted, logged and worked out. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { flushLog, setLogSink } from '../../../src/telemetry/log.ts';
import { LimitReporter } from '../../../src/ztunnel/proxy/limit-reporter.ts';
import {
  connectionsPerPod,
  LIMIT_LOG_INTERVAL_MS,
  MAX_CONNECTIONS_PER_POD,
  REFUSAL_LINES_PER_POD,
} from '../../../src/ztunnel/proxy/limits.ts';
import { LogAllowance } from '../../../src/ztunnel/proxy/log-allowance.ts';
import { LIMIT_REACHED } from '../../../src/ztunnel/telemetry/metric-definitions.ts';
import { ManualReactor } from './manual-reactor.ts';
import { SeriesPage } from './series-page.ts';

let written = '';
setLogSink((text) => {
  written += text;
});
afterEach(() => {
  written = '';
});

function lines(): string[] {
  flushLog();
  return written.split('\n').filter((line) => line.includes('limit reached'));
}

test('a limit is counted each time it is reached, and logged at once but then rarely, with how often it was', () => {
  const reactor = new ManualReactor();
  const page = new SeriesPage();
  const reporter = new LimitReporter({ reactor, store: page.store }, { name: 'shop-1', namespace: 'shop' });
  for (let i = 0; i < 5; i++) reporter.reached('source_ports');
  reporter.reached('descriptors', { error: 'EMFILE' });
  assert.equal(page.sum(LIMIT_REACHED, { limit: 'source_ports' }), 5);
  assert.equal(page.sum(LIMIT_REACHED, { limit: 'descriptors' }), 1);
  assert.equal(lines().length, 2);
  assert.match(lines()[0]!, /pod=shop-1.*namespace=shop.*limit=source_ports/);
  assert.match(lines()[1]!, /limit=descriptors.*error=EMFILE/);
  reactor.advance(LIMIT_LOG_INTERVAL_MS);
  reporter.reached('source_ports');
  assert.match(lines()[2]!, /limit=source_ports.*unlogged=4/);
});

test('a pod may use a share of the descriptors, divided among the reactors, and never more than its cap', () => {
  assert.equal(connectionsPerPod(1_048_576, 2), MAX_CONNECTIONS_PER_POD);
  assert.equal(connectionsPerPod(20_000, 2), 1250);
  assert.equal(connectionsPerPod(8, 8), 1);
  assert.equal(connectionsPerPod(0, 2), MAX_CONNECTIONS_PER_POD);
});

test('lines about refused connections stop with a flood, and the next one says how many were left out', () => {
  const allowance = new LogAllowance(0);
  for (let i = 0; i < REFUSAL_LINES_PER_POD.burst; i++) assert.equal(allowance.take(0), 0);
  assert.equal(allowance.take(0), undefined);
  assert.equal(allowance.take(0), undefined);
  assert.equal(allowance.take(1000), 2);
  assert.equal(allowance.take(1000), 0);
});
