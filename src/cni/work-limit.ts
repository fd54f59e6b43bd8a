/** Lets a bounded number of tasks run at once; the others wait in order, the urgent ones in front. */

export class WorkLimit {
  readonly #limit: number;
  readonly #urgent: (() => void)[] = [];
  readonly #ordinary: (() => void)[] = [];
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async run<T>(task: () => Promise<T>, isUrgent = false): Promise<T> {
    const queue = isUrgent ? this.#urgent : this.#ordinary;
    if (this.#running >= this.#limit) await new Promise<void>((resolve) => queue.push(resolve));
    else this.#running++;
    try {
      return await task();
    } finally {
      const next = this.#urgent.shift() ?? this.#ordinary.shift();
      // The place is handed over, so that nobody can take it in between.
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
