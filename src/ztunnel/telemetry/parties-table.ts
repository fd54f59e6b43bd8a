/** Who has talked to whom lately: what metrics and the access log make of two parties is made once. */

import type { SeriesStore } from '../../telemetry/series-store.ts';
import { type ConnectionParties, sameParties } from './connection-parties.ts';
import { TrafficSeries } from './traffic-series.ts';

/** Distant ends remembered at a time, and parties of each; forgetting them costs nothing but the work once more. */
export const MAX_DISTANT_ENDS = 1000;
export const MAX_PARTIES_OF_END = 8;

export interface KnownParties {
  /** The same object for all that are alike. */
  readonly parties: ConnectionParties;
  readonly series: TrafficSeries;
}

export class PartiesTable {
  readonly #store: SeriesStore;
  /** By the uid of the workload at the other end, of which there are most; empty where that is unknown. */
  readonly #byDistantEnd = new Map<string, KnownParties[]>();

  constructor(store: SeriesStore) {
    this.#store = store;
  }

  of(parties: ConnectionParties): KnownParties {
    const distant = parties.reporter === 'source' ? parties.destination : parties.source;
    const candidates = this.#candidates(distant?.uid ?? '');
    for (const one of candidates) if (sameParties(one.parties, parties)) return one;
    const made = { parties, series: new TrafficSeries(this.#store, parties) };
    if (candidates.length >= MAX_PARTIES_OF_END) candidates.shift();
    candidates.push(made);
    return made;
  }

  #candidates(uid: string): KnownParties[] {
    let candidates = this.#byDistantEnd.get(uid);
    if (candidates === undefined) {
      if (this.#byDistantEnd.size >= MAX_DISTANT_ENDS) this.#byDistantEnd.clear();
      candidates = [];
      this.#byDistantEnd.set(uid, candidates);
    }
    return candidates;
  }
}
