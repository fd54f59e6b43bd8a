/** Collects the rounds of every measure and peer. */

import { MEASURES, type Measure, measureOf } from './measures.ts';
import type { PeerName } from './peers/peer.ts';
import { type Spread, spreadOf } from './statistics.ts';

export interface MeasureResult extends Measure {
  /** Of peers that were measured. */
  readonly values: Readonly<Partial<Record<PeerName, Spread>>>;
}

export class Results {
  readonly #rounds = new Map<string, Map<PeerName, number[]>>();

  /** @throws RangeError for an id that nobody knows */
  add(id: string, peer: PeerName, value: number): void {
    measureOf(id);
    const ofMeasure = this.#rounds.get(id) ?? new Map<PeerName, number[]>();
    this.#rounds.set(id, ofMeasure);
    ofMeasure.set(peer, [...(ofMeasure.get(peer) ?? []), value]);
  }

  /** Of measures that have a value, in the order of {@link MEASURES}. */
  get all(): readonly MeasureResult[] {
    return MEASURES.flatMap((measure) => {
      const rounds = this.#rounds.get(measure.id);
      if (rounds === undefined) return [];
      const values = Object.fromEntries([...rounds].map(([peer, values]) => [peer, spreadOf(values)]));
      return [{ ...measure, values }];
    });
  }
}
