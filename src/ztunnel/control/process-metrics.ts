/** What the system says about this process, for the metrics page. */

import { readdirSync } from 'node:fs';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import { maxDescriptors } from '../telemetry/max-descriptors.ts';

/** Reads the gauges anew; to be called before each scrape. */
export function updateProcessMetrics(store: SeriesStore): void {
  const { user, system } = process.cpuUsage();
  const set = (metric: string, value: number) => store.set(store.series(metric, []), value);
  set('process_resident_memory_bytes', process.memoryUsage.rss());
  set('process_cpu_seconds_total', (user + system) / 1e6);
  set('process_open_fds', openDescriptors());
  set('process_max_fds', maxDescriptors());
}

/** The directory itself is open while it is read. */
function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length - 1;
}
