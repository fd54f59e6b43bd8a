/** Counts and logs that a pod has reached one of its limits: each time in the metrics, now and then in the log. */

import type { LogFields } from '../../telemetry/log.ts';
import { logger } from '../../telemetry/log.ts';
import { LIMIT_REACHED } from '../telemetry/metric-definitions.ts';
import { LIMIT_LOG_INTERVAL_MS, type LimitName } from './limits.ts';
import type { ReactorContext } from './reactor-context.ts';

const log = logger('limits');

interface Silence {
  readonly sinceMs: number;
  times: number;
}

/** One per pod: whoever floods must not fill the log as well. */
export class LimitReporter {
  readonly #context: Pick<ReactorContext, 'reactor' | 'store'>;
  readonly #pod: LogFields;
  readonly #silences = new Map<LimitName, Silence>();

  constructor(
    context: Pick<ReactorContext, 'reactor' | 'store'>,
    pod: { readonly name: string; readonly namespace: string },
  ) {
    this.#context = context;
    this.#pod = { pod: pod.name, namespace: pod.namespace };
  }

  reached(limit: LimitName, details: LogFields = {}): void {
    const { store, reactor } = this.#context;
    store.add(store.series(LIMIT_REACHED, [limit]), 1);
    const silence = this.#silences.get(limit);
    if (silence !== undefined && reactor.nowMs - silence.sinceMs < LIMIT_LOG_INTERVAL_MS) {
      silence.times++;
      return;
    }
    this.#silences.set(limit, { sinceMs: reactor.nowMs, times: 0 });
    const unlogged = silence === undefined || silence.times === 0 ? undefined : silence.times;
    log.warn('limit reached', { ...this.#pod, limit, ...details, unlogged });
  }
}
