/** Metrics of a part that several processes have, told when a page asks for them. */

import type { MetricDefinition } from './series-store.ts';

export interface MetricSet {
  readonly definitions: readonly MetricDefinition[];
  /** Tells the present value of every series; label values are in the order of the metric's labels. */
  collect(tell: (metric: string, labelValues: readonly string[], value: number) => void): void;
}
