/** The reading end of all threads' series: sums them at a scrape and hands them to prom-client for rendering. */

import type { OpenMetricsContentType, PrometheusContentType, Registry as PromRegistry } from 'prom-client';
import { type MetricDefinition, type SeriesEntry, slotsOf } from './series-store.ts';

type Registry = PromRegistry<PrometheusContentType | OpenMetricsContentType>;

/** One series over all threads: the sum of the slots that make it up. */
export interface SeriesTotal {
  readonly labelValues: readonly string[];
  readonly values: Float64Array;
}

interface Part {
  readonly slots: Float64Array;
  readonly slot: number;
}

interface Row {
  readonly labelValues: readonly string[];
  readonly parts: Part[];
}

/** Knows every series of every thread. */
export class SeriesRegistry {
  readonly #definitions: readonly MetricDefinition[];
  readonly #rows = new Map<string, Map<string, Row>>();
  readonly #collectors: (() => void)[] = [];
  #registry: Promise<Registry> | undefined;

  constructor(definitions: readonly MetricDefinition[]) {
    this.#definitions = definitions;
    for (const definition of definitions) this.#rows.set(definition.name, new Map());
  }

  /** Takes note of a series that a thread announced. */
  adopt(memory: SharedArrayBuffer, entry: SeriesEntry): void {
    const rows = this.#rows.get(entry.metric);
    if (rows === undefined) return;
    const key = entry.labelValues.join('\u0000');
    const row = rows.get(key) ?? { labelValues: entry.labelValues, parts: [] };
    row.parts.push({ slots: new Float64Array(memory), slot: entry.slot });
    rows.set(key, row);
  }

  /** Registers work to be done before each scrape, such as reading a gauge from the system. */
  beforeCollect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  /** The present sums of one metric. */
  totals(metric: string): SeriesTotal[] {
    const definition = this.#definitions.find((one) => one.name === metric);
    if (definition === undefined) return [];
    const width = slotsOf(definition);
    return [...this.#rows.get(metric)!.values()].map((row) => ({
      labelValues: row.labelValues,
      values: sumParts(row.parts, width),
    }));
  }

  /** The page in Prometheus' text format, or in OpenMetrics' where the Accept header asks for it. */
  async render(accept: string | undefined): Promise<{ contentType: string; body: string }> {
    for (const collect of this.#collectors) collect();
    this.#registry ??= this.#makeRegistry();
    const registry = await this.#registry;
    const { Registry } = await import('prom-client');
    const openMetrics = accept?.includes('application/openmetrics-text') ?? false;
    registry.setContentType(
      openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE,
    );
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  async #makeRegistry(): Promise<Registry> {
    const prom = await import('prom-client');
    const registry = new prom.Registry<PrometheusContentType | OpenMetricsContentType>();
    for (const definition of this.#definitions) this.#expose(prom, registry, definition);
    return registry;
  }

  /** prom-client keeps no values of ours: at each scrape the slots are copied into it. */
  #expose(prom: typeof import('prom-client'), registry: Registry, definition: MetricDefinition): void {
    const totals = () => this.totals(definition.name);
    const labelsOf = (total: SeriesTotal) => zip(definition.labels, total.labelValues);
    const common = {
      name: definition.name,
      help: definition.help,
      labelNames: definition.labels,
      registers: [registry],
    };
    if (definition.kind === 'histogram') {
      registry.registerMetric(new SlotHistogram(definition, totals) as never);
    } else if (definition.kind === 'gauge') {
      new prom.Gauge({
        ...common,
        collect() {
          this.reset();
          for (const total of totals()) this.set(labelsOf(total), total.values[0]!);
        },
      });
    } else {
      new prom.Counter({
        ...common,
        collect() {
          this.reset();
          for (const total of totals()) this.inc(labelsOf(total), total.values[0]!);
        },
      });
    }
  }
}

/** A metric object of prom-client's shape whose buckets are already counted: its own histogram can only observe. */
class SlotHistogram {
  readonly name: string;
  readonly help: string;
  readonly type = 'histogram';
  readonly aggregator = 'sum';
  readonly #definition: MetricDefinition;
  readonly #totals: () => SeriesTotal[];

  constructor(definition: MetricDefinition, totals: () => SeriesTotal[]) {
    this.name = definition.name;
    this.help = definition.help;
    this.#definition = definition;
    this.#totals = totals;
  }

  async get(): Promise<object> {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator, values: this.#totals().flatMap((total) => this.#valuesOf(total)) };
  }

  reset(): void {}

  #valuesOf(total: SeriesTotal): object[] {
    const bounds = [...this.#definition.buckets!, '+Inf'] as const;
    const labels = zip(this.#definition.labels, total.labelValues);
    let count = 0;
    const values: object[] = bounds.map((le, i) => {
      count += total.values[i]!;
      return { labels: { le, ...labels }, value: count, metricName: `${this.name}_bucket` };
    });
    values.push({ labels, value: total.values[bounds.length]!, metricName: `${this.name}_sum` });
    values.push({ labels, value: count, metricName: `${this.name}_count` });
    return values;
  }
}

function sumParts(parts: readonly Part[], width: number): Float64Array {
  const values = new Float64Array(width);
  for (const part of parts) {
    for (let i = 0; i < width; i++) values[i]! += part.slots[part.slot + i]!;
  }
  return values;
}

function zip(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? '']));
}
