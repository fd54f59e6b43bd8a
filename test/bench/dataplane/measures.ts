/** Every measure of the bench: its unit, which way is better, and what is to be reached. */

/** `ratio`: of the median to haproxy's; `value`: of the median itself. */
export interface Goal {
  readonly of: 'ratio' | 'value';
  readonly limit: number;
}

export interface Measure {
  readonly id: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  readonly goal?: Goal;
}

function higher(id: string, unit: string, ratio?: number): Measure {
  return { id, unit, better: 'higher', ...(ratio !== undefined && { goal: { of: 'ratio', limit: ratio } }) };
}

function lower(id: string, unit: string, ratio?: number): Measure {
  return { id, unit, better: 'lower', ...(ratio !== undefined && { goal: { of: 'ratio', limit: ratio } }) };
}

function atMost(id: string, unit: string, limit?: number): Measure {
  return { id, unit, better: 'lower', ...(limit !== undefined && { goal: { of: 'value', limit } }) };
}

/** In the order of the table. */
export const MEASURES: readonly Measure[] = [
  higher('throughput.1.up', 'Gbit/s', 2.5),
  higher('throughput.1.down', 'Gbit/s', 2.5),
  higher('throughput.8.up', 'Gbit/s', 2.2),
  higher('throughput.8.down', 'Gbit/s', 2.2),
  lower('cpu_per_gb.1', 's', 0.45),
  lower('cpu_per_gb.8', 's', 0.5),
  higher('rate.1', '1/s', 1.2),
  higher('rate.32', '1/s', 1.6),
  higher('rate.256', '1/s', 2.2),
  lower('p99.1', 'µs'),
  lower('p99.32', 'µs', 0.2),
  lower('p99.256', 'µs'),
  lower('cpu_per_10k.1', 's', 0.85),
  lower('cpu_per_10k.32', 's', 0.55),
  lower('cpu_per_10k.256', 's', 0.4),
  lower('p50.fixed2000', 'µs'),
  lower('p90.fixed2000', 'µs', 0.9),
  lower('p99.fixed2000', 'µs'),
  lower('p999.fixed2000', 'µs'),
  higher('newconn', '1/s', 9),
  atMost('rss.rest', 'MB', 75),
  atMost('rss.rest.anonymous', 'MB'),
  atMost('rss.loaded', 'MB'),
  atMost('rss.loaded.anonymous', 'MB'),
  atMost('rss.per_1000_idle', 'MB', 12),
  atMost('rss.10k', 'MB', 110),
  atMost('rss.10k.anonymous', 'MB'),
  atMost('rss.100k', 'MB', 300),
  atMost('rss.100k.anonymous', 'MB'),
  atMost('decision.policy', 'µs', 1),
  atMost('decision.endpoint', 'µs', 1),
  atMost('decision.vip', 'µs', 1),
  atMost('restart', 's', 1),
];

/** @throws RangeError for an id that is not in {@link MEASURES} */
export function measureOf(id: string): Measure {
  const found = MEASURES.find((one) => one.id === id);
  if (found === undefined) throw new RangeError(`there is no measure ${id}`);
  return found;
}
