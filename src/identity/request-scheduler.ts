/** Runs a bounded number of requests at a time, the most urgent first. */

const PRIORITIES = ['realtime', 'warmup', 'background'] as const;

/** A connection is waiting; a pod has just appeared; a certificate is to be renewed. */
export type RequestPriority = (typeof PRIORITIES)[number];

/** A request that has not started yet. */
export interface RequestTicket {
  /** Moves the request forward; never back. */
  raise(priority: RequestPriority): void;
  /** Takes the request out of the queue; without effect once it has started. */
  cancel(): void;
}

/** First come, first served within one priority. */
export class RequestScheduler {
  readonly #limit: number;
  readonly #queues = PRIORITIES.map(() => new Set<QueuedRequest>());
  #running = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Runs `run` when its turn comes, not before the current call stack has ended; `run` must not reject. */
  submit(priority: RequestPriority, run: () => Promise<void>): RequestTicket {
    const request = new QueuedRequest(this.#queues, PRIORITIES.indexOf(priority), run);
    queueMicrotask(() => this.#startNext());
    return request;
  }

  #startNext(): void {
    if (this.#running >= this.#limit) return;
    const queue = this.#queues.find((one) => one.size > 0);
    const [next] = queue ?? [];
    if (next === undefined) return;
    next.cancel();
    this.#running++;
    void next.run().finally(() => {
      this.#running--;
      this.#startNext();
    });
  }
}

class QueuedRequest implements RequestTicket {
  readonly run: () => Promise<void>;
  readonly #queues: readonly Set<QueuedRequest>[];
  #rank: number;

  constructor(queues: readonly Set<QueuedRequest>[], rank: number, run: () => Promise<void>) {
    this.#queues = queues;
    this.#rank = rank;
    this.run = run;
    queues[rank]!.add(this);
  }

  raise(priority: RequestPriority): void {
    const rank = PRIORITIES.indexOf(priority);
    if (rank >= this.#rank || !this.#queues[this.#rank]!.delete(this)) return;
    this.#rank = rank;
    this.#queues[rank]!.add(this);
  }

  cancel(): void {
    this.#queues[this.#rank]!.delete(this);
  }
}
