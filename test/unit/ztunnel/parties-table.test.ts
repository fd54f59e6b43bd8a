import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONNECTIONS_OPENED } from '../../../src/ztunnel/telemetry/metric-definitions.ts';
import { MAX_DISTANT_ENDS, PartiesTable } from '../../../src/ztunnel/telemetry/parties-table.ts';
import { parties } from './connections.ts';
import { SeriesPage } from './series-page.ts';

test('parties that are told of alike are the same object, however they were described', () => {
  const table = new PartiesTable(new SeriesPage().store);
  const first = parties();
  const again = { ...first, sourceIdentity: { ...first.sourceIdentity! }, service: { ...first.service! } };
  assert.equal(table.of(again), table.of(first));
});

test('parties that differ in anything that is told are others', () => {
  const table = new PartiesTable(new SeriesPage().store);
  const first = parties();
  const known = table.of(first);
  for (const other of [
    { ...first, reporter: 'destination' as const },
    { ...first, source: { ...first.source! } },
    { ...first, destination: undefined },
    { ...first, sourceIdentity: undefined },
    { ...first, destinationIdentity: { ...first.destinationIdentity!, serviceAccount: 'other' } },
    { ...first, service: { ...first.service!, hostname: 'other.svc' } },
  ]) {
    assert.notEqual(table.of(other), known);
    assert.equal(table.of(other), table.of(other));
  }
});

test('what was forgotten is counted in the same series as before', () => {
  const page = new SeriesPage();
  const table = new PartiesTable(page.store);
  const first = parties();
  table.of(first).series.add(CONNECTIONS_OPENED, 1);
  const known = table.of(first);
  for (let i = 0; i < MAX_DISTANT_ENDS; i++) {
    table.of({ ...first, destination: { ...first.destination!, uid: `uid-${i}` } });
  }
  assert.notEqual(table.of(first), known);
  table.of(first).series.add(CONNECTIONS_OPENED, 1);
  assert.equal(page.sum(CONNECTIONS_OPENED), 2);
});
