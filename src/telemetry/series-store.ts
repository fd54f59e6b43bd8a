/** Counters of one thread in shared memory: a label set is resolved once to a slot, and adding to a slot is one store. */

/** The metrics a process can have: their names, kinds, help and label names are fixed when it is built. */
export interface MetricDefinition {
  readonly name: string;
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, in the metric's unit, rising; +Inf is implied. */
  readonly buckets?: readonly number[];
}

/** One series: where its value (or its buckets, then sum) starts in the thread's slots. */
export interface SeriesEntry {
  readonly metric: string;
  readonly labelValues: readonly string[];
  readonly slot: number;
}

/**
 * Series that one thread may create, because peers influence label values: beyond it all go to one overflow series,
 * so that neither memory nor a scrape grows without bound.
 */
export const MAX_SERIES = 50_000;
/** 8 bytes a slot; most series need one slot. Address space only: pages are taken when touched. */
const MAX_SLOTS = MAX_SERIES * 2;
const OVERFLOW = 'overflow';

/** The writing end. One thread writes a store, the thread that answers scrapes reads it. */
export class SeriesStore {
  readonly memory: SharedArrayBuffer;
  readonly #slots: Float64Array;
  readonly #definitions = new Map<string, MetricDefinition>();
  readonly #series = new Map<string, number>();
  readonly #announce: (entry: SeriesEntry) => void;
  #next = 0;

  constructor(definitions: readonly MetricDefinition[], announce: (entry: SeriesEntry) => void) {
    this.memory = new SharedArrayBuffer(MAX_SLOTS * Float64Array.BYTES_PER_ELEMENT);
    this.#slots = new Float64Array(this.memory);
    this.#announce = announce;
    for (const definition of definitions) this.#definitions.set(definition.name, definition);
  }

  /** The slot of a series, made on first use. Label values are in the order of the metric's labels. */
  series(metric: string, labelValues: readonly string[]): number {
    const key = `${metric}\u0000${labelValues.join('\u0000')}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const definition = this.#definitions.get(metric);
    if (definition === undefined) throw new TypeError(`metric ${metric} is not defined`);
    const width = slotsOf(definition);
    const isFull = this.#next + width > MAX_SLOTS - slotsReserved(this.#definitions);
    if (isFull || this.#series.size >= MAX_SERIES) return this.#overflow(definition);
    return this.#create(key, definition, labelValues);
  }

  add(slot: number, amount: number): void {
    this.#slots[slot]! += amount;
  }

  set(slot: number, value: number): void {
    this.#slots[slot] = value;
  }

  /** Puts one measurement into a histogram's buckets. */
  observe(metric: string, slot: number, value: number): void {
    const buckets = this.#definitions.get(metric)!.buckets!;
    let bucket = 0;
    while (bucket < buckets.length && value > buckets[bucket]!) bucket++;
    this.#slots[slot + bucket]! += 1;
    this.#slots[slot + buckets.length + 1]! += value;
  }

  #create(key: string, definition: MetricDefinition, labelValues: readonly string[]): number {
    const slot = this.#next;
    this.#next += slotsOf(definition);
    this.#series.set(key, slot);
    this.#announce({ metric: definition.name, labelValues, slot });
    return slot;
  }

  #overflow(definition: MetricDefinition): number {
    const labelValues = definition.labels.map(() => OVERFLOW);
    const key = `${definition.name}\u0000${labelValues.join('\u0000')}`;
    return this.#series.get(key) ?? this.#create(key, definition, labelValues);
  }
}

/** A histogram takes a slot per bucket, one for +Inf and one for the sum. */
export function slotsOf(definition: MetricDefinition): number {
  return definition.kind === 'histogram' ? definition.buckets!.length + 2 : 1;
}

/** Room that is kept so that every metric can still have its overflow series. */
function slotsReserved(definitions: ReadonlyMap<string, MetricDefinition>): number {
  let slots = 0;
  for (const definition of definitions.values()) slots += slotsOf(definition);
  return slots;
}
