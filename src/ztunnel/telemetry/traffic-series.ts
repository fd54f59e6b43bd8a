/** The traffic metrics of one connection: its series are looked up once, when it opens. */

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

/** Counts one connection from its opening to its end; bytes may be reported as often as one likes. */
export class TrafficSeries {
  readonly #store: SeriesStore;
  readonly #labels: readonly string[];
  readonly #receivedSlot: number;
  readonly #sentSlot: number;
  #received = 0;
  #sent = 0;

  constructor(store: SeriesStore, parties: ConnectionParties) {
    this.#store = store;
    this.#labels = trafficLabels(parties, '-');
    this.#receivedSlot = store.series(BYTES_RECEIVED, this.#labels);
    this.#sentSlot = store.series(BYTES_SENT, this.#labels);
    store.add(store.series(CONNECTIONS_OPENED, this.#labels), 1);
  }

  /** Adds what has been moved since the last report. */
  report(totals: ByteTotals): void {
    this.#store.add(this.#receivedSlot, totals.received - this.#received);
    this.#store.add(this.#sentSlot, totals.sent - this.#sent);
    this.#received = totals.received;
    this.#sent = totals.sent;
  }

  closed(): void {
    this.#store.add(this.#store.series(CONNECTIONS_CLOSED, this.#labels), 1);
  }
}

/** Counts a connection that failed, under the flag that says why. */
export function countFailure(store: SeriesStore, parties: ConnectionParties, responseFlag: string): void {
  store.add(store.series(CONNECTIONS_FAILED, trafficLabels(parties, responseFlag)), 1);
}
