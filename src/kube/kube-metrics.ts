/** What reading and writing Kubernetes objects counts: docs/metrics.md says what to make of it. */

import type { ObjectKind } from '../objects/kinds.ts';
import type { MetricDefinition } from '../telemetry/series-store.ts';
import type { WriterCounters } from './object-writer.ts';
import type { ReflectorState } from './reflector.ts';
import type { ReflectorCounters } from './reflector-counters.ts';

const KIND = ['kind'];

export const KUBE_METRICS = [
  {
    name: 'ambit_kube_lists_total',
    kind: 'counter',
    help: 'Complete lists that were asked for.',
    labels: KIND,
  },
  { name: 'ambit_kube_relists_total', kind: 'counter', help: 'Those of them after the first.', labels: KIND },
  { name: 'ambit_kube_watches_total', kind: 'counter', help: 'Watches that were begun.', labels: KIND },
  { name: 'ambit_kube_events_total', kind: 'counter', help: 'Objects that watches told.', labels: KIND },
  { name: 'ambit_kube_bookmarks_total', kind: 'counter', help: 'Bookmarks that watches told.', labels: KIND },
  {
    name: 'ambit_kube_duplicate_events_total',
    kind: 'counter',
    help: 'Events that had been told before and were left out.',
    labels: KIND,
  },
  {
    name: 'ambit_kube_expired_total',
    kind: 'counter',
    help: 'Times the version to resume from was too old (HTTP 410).',
    labels: KIND,
  },
  {
    name: 'ambit_kube_undecodable_total',
    kind: 'counter',
    help: 'Answers and lines that could not be read, each followed by a list.',
    labels: KIND,
  },
  {
    name: 'ambit_kube_overdue_watches_total',
    kind: 'counter',
    help: 'Watches that were cut because their server did not end them.',
    labels: KIND,
  },
  { name: 'ambit_kube_failures_total', kind: 'counter', help: 'Failures of any kind.', labels: KIND },
  {
    name: 'ambit_kube_synced',
    kind: 'gauge',
    help: '1 while objects of the kind are watched, or known not to be installed.',
    labels: KIND,
  },
  {
    name: 'ambit_kube_last_life_age_seconds',
    kind: 'gauge',
    help: 'Time since the API server last said something about the kind.',
    labels: KIND,
  },
  {
    name: 'ambit_kube_invalid_objects',
    kind: 'gauge',
    help: 'Faults of objects that break their schema, or have fields that are not known.',
    labels: KIND,
  },
  {
    name: 'ambit_kube_writes_total',
    kind: 'counter',
    help: 'Writes of annotations, labels and status, by result.',
    labels: ['result'],
  },
] as const satisfies readonly MetricDefinition[];

type Metric = (typeof KUBE_METRICS)[number]['name'];

/** What is known of one kind that is read. */
export interface KindStatistics {
  readonly kind: ObjectKind;
  readonly state: ReflectorState;
  readonly counters: ReflectorCounters;
  readonly invalid: number;
}

type Tell = (metric: Metric, labelValues: readonly string[], value: number) => void;

export function tellKind({ kind, state, counters, invalid }: KindStatistics, tell: Tell): void {
  const label = [kind];
  tell('ambit_kube_lists_total', label, counters.lists);
  tell('ambit_kube_relists_total', label, counters.relists);
  tell('ambit_kube_watches_total', label, counters.watches);
  tell('ambit_kube_events_total', label, counters.events);
  tell('ambit_kube_bookmarks_total', label, counters.bookmarks);
  tell('ambit_kube_duplicate_events_total', label, counters.duplicates);
  tell('ambit_kube_expired_total', label, counters.expired);
  tell('ambit_kube_undecodable_total', label, counters.undecodable);
  tell('ambit_kube_overdue_watches_total', label, counters.overdue);
  tell('ambit_kube_failures_total', label, counters.failures);
  tell('ambit_kube_synced', label, state === 'watching' || state === 'absent' ? 1 : 0);
  tell('ambit_kube_last_life_age_seconds', label, (performance.now() - counters.lastLifeMs) / 1000);
  tell('ambit_kube_invalid_objects', label, invalid);
}

export function tellWrites(counters: WriterCounters, tell: Tell): void {
  for (const [result, count] of Object.entries(counters)) tell('ambit_kube_writes_total', [result], count);
}
