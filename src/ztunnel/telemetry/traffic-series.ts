/** The traffic metrics of connections. Their labels are many and long, so the series of two parties are looked up once. */

import type { SeriesStore } from '../../telemetry/series-store.ts';
import { type ConnectionParties, trafficLabels } from './connection-parties.ts';
import {
  BYTES_RECEIVED,
  BYTES_SENT,
  CONNECTIONS_CLOSED,
  CONNECTIONS_FAILED,
  CONNECTIONS_OPENED,
} from './metric-definitions.ts';

/** Live totals of a relay: bytes from the client towards the server, and back. */
export interface ByteTotals {
  readonly received: number;
  readonly sent: number;
}

/** The series of all connections between the same parties, each made on first use. */
export class TrafficSeries {
  readonly store: SeriesStore;
  readonly #labels: readonly string[];
  readonly #slots = new Map<string, number>();

  constructor(store: SeriesStore, parties: ConnectionParties) {
    this.store = store;
    this.#labels = trafficLabels(parties, '-');
  }

  add(metric: string, amount: number): void {
    let slot = this.#slots.get(metric);
    if (slot === undefined) {
      slot = this.store.series(metric, this.#labels);
      this.#slots.set(metric, slot);
    }
    this.store.add(slot, amount);
  }
}

/** Counts one connection from its opening to its end; bytes may be reported as often as one likes. */
export class ConnectionTraffic {
  readonly #series: TrafficSeries;
  #received = 0;
  #sent = 0;

  constructor(series: TrafficSeries) {
    this.#series = series;
    series.add(CONNECTIONS_OPENED, 1);
    series.add(BYTES_RECEIVED, 0);
    series.add(BYTES_SENT, 0);
  }

  /** Adds what has been moved since the last report. */
  report({ received, sent }: ByteTotals): void {
    if (received !== this.#received) this.#series.add(BYTES_RECEIVED, received - this.#received);
    if (sent !== this.#sent) this.#series.add(BYTES_SENT, sent - this.#sent);
    this.#received = received;
    this.#sent = sent;
  }

  closed(): void {
    this.#series.add(CONNECTIONS_CLOSED, 1);
  }
}

/** Counts a connection that failed, under the flag that says why. */
export function countFailure(store: SeriesStore, parties: ConnectionParties, responseFlag: string): void {
  store.add(store.series(CONNECTIONS_FAILED, trafficLabels(parties, responseFlag)), 1);
}
