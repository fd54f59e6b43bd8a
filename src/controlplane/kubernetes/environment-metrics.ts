/** What a control plane on Kubernetes counts besides: who leads, tokens, Events, and the publication of roots. */

import type { EventRecorder } from '../../kube/event-recorder.ts';
import type { MetricSet } from '../../telemetry/metric-set.ts';
import type { MetricDefinition } from '../../telemetry/series-store.ts';
import type { TokenReviewVerifier } from '../ca/token-review-verifier.ts';
import type { Leadership } from './leadership.ts';

export const ENVIRONMENT_METRICS = [
  {
    name: 'ambit_controlplane_leader',
    kind: 'gauge',
    help: '1 while this replica is the one that writes.',
    labels: [],
  },
  {
    name: 'ambit_controlplane_token_reviews_total',
    kind: 'counter',
    help: 'Tokens of callers, by what became of them.',
    labels: ['result'],
  },
  {
    name: 'ambit_controlplane_events_total',
    kind: 'counter',
    help: 'Events on objects, by what became of them.',
    labels: ['result'],
  },
  {
    name: 'ambit_controlplane_root_writes_total',
    kind: 'counter',
    help: 'Writes of the root certificates to namespaces and the trust bundle.',
    labels: ['result'],
  },
] as const satisfies readonly MetricDefinition[];

type Metric = (typeof ENVIRONMENT_METRICS)[number]['name'];

export interface EnvironmentMetricsOptions {
  readonly leadership: Leadership;
  readonly tokens: TokenReviewVerifier;
  readonly recorder: EventRecorder;
}

export function environmentMetrics({ leadership, tokens, recorder }: EnvironmentMetricsOptions): MetricSet {
  return {
    definitions: ENVIRONMENT_METRICS,
    collect(tell) {
      const tellResults = (metric: Metric, counters: object) => {
        for (const [result, count] of Object.entries(counters)) tell(metric, [result], count);
      };
      tell('ambit_controlplane_leader', [], leadership.isLeader ? 1 : 0);
      tellResults('ambit_controlplane_token_reviews_total', tokens.counters);
      tellResults('ambit_controlplane_events_total', recorder.counters);
      tellResults('ambit_controlplane_root_writes_total', leadership.rootWrites);
    },
  };
}
