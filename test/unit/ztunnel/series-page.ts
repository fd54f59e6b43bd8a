/** A series store whose values a test can read back by label. */

import { SeriesRegistry } from '../../../src/telemetry/series-registry.ts';
import type { MetricDefinition } from '../../../src/telemetry/series-store.ts';
import { SeriesStore } from '../../../src/telemetry/series-store.ts';
import { ZTUNNEL_METRICS } from '../../../src/ztunnel/telemetry/metric-definitions.ts';

export class SeriesPage {
  readonly #definitions: readonly MetricDefinition[];
  readonly #registry: SeriesRegistry;
  readonly store: SeriesStore;

  constructor(definitions: readonly MetricDefinition[] = ZTUNNEL_METRICS) {
    this.#definitions = definitions;
    this.#registry = new SeriesRegistry(definitions);
    const store: SeriesStore = new SeriesStore(definitions, (entry) => {
      this.#registry.adopt(store.memory, entry);
    });
    this.store = store;
  }

  /** The sum of the series whose labels have these values. */
  sum(metric: string, labels: Readonly<Record<string, string>> = {}): number {
    const names = this.#definitions.find((one) => one.name === metric)!.labels;
    return this.#registry
      .totals(metric)
      .filter(({ labelValues }) =>
        Object.entries(labels).every(([name, value]) => labelValues[names.indexOf(name)] === value),
      )
      .reduce((sum, total) => sum + total.values[0]!, 0);
  }
}
