/** Timers ordered by deadline: a binary heap in which each timer knows its place. */

/** One timer; it belongs to the heap that made it until it fires or is cancelled. */
export class HeapTimer {
  readonly deadlineMs: number;
  readonly callback: () => void;
  readonly #heap: TimerHeap;
  /** Place in the heap, -1 when it has left. Written by the heap only. */
  place = -1;

  constructor(heap: TimerHeap, deadlineMs: number, callback: () => void) {
    this.#heap = heap;
    this.deadlineMs = deadlineMs;
    this.callback = callback;
  }

  /** O(log n); without effect on a timer that has fired or been cancelled. */
  cancel(): void {
    if (this.place >= 0) this.#heap.remove(this);
  }
}

export class TimerHeap {
  readonly #timers: HeapTimer[] = [];

  get size(): number {
    return this.#timers.length;
  }

  /** The earliest deadline, or undefined without timers. */
  get nextDeadlineMs(): number | undefined {
    return this.#timers[0]?.deadlineMs;
  }

  add(deadlineMs: number, callback: () => void): HeapTimer {
    const timer = new HeapTimer(this, deadlineMs, callback);
    this.#timers.push(timer);
    this.#rise(this.#timers.length - 1, timer);
    return timer;
  }

  /** Removes and returns the earliest timer if its deadline has come. */
  takeDue(nowMs: number): HeapTimer | undefined {
    const first = this.#timers[0];
    if (first === undefined || first.deadlineMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  remove(timer: HeapTimer): void {
    const last = this.#timers.pop()!;
    const place = timer.place;
    timer.place = -1;
    if (last === timer) return;
    this.#rise(place, last);
    this.#sink(last.place, last);
  }

  #rise(from: number, timer: HeapTimer): void {
    let place = from;
    while (place > 0) {
      const parentPlace = (place - 1) >> 1;
      const parent = this.#timers[parentPlace]!;
      if (parent.deadlineMs <= timer.deadlineMs) break;
      this.#put(place, parent);
      place = parentPlace;
    }
    this.#put(place, timer);
  }

  #sink(from: number, timer: HeapTimer): void {
    let place = from;
    for (;;) {
      const childPlace = this.#earlierChild(place);
      const child = this.#timers[childPlace];
      if (child === undefined || child.deadlineMs >= timer.deadlineMs) break;
      this.#put(place, child);
      place = childPlace;
    }
    this.#put(place, timer);
  }

  #earlierChild(place: number): number {
    const left = this.#timers[place * 2 + 1];
    const right = this.#timers[place * 2 + 2];
    const rightIsEarlier = left !== undefined && right !== undefined && right.deadlineMs < left.deadlineMs;
    return rightIsEarlier ? place * 2 + 2 : place * 2 + 1;
  }

  #put(place: number, timer: HeapTimer): void {
    this.#timers[place] = timer;
    timer.place = place;
  }
}
