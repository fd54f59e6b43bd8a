/** Connections that came before the control plane told of their pod wait for it, a little. */

import type { Reactor, Timer } from '../../io/reactor.ts';
import type { Workload } from '../../mesh/workload.ts';
import { WORKLOAD_WAIT_MS } from './limits.ts';

type Callback = (workload: Workload | undefined) => void;

interface Waiter {
  readonly uid: string;
  readonly callback: Callback;
  readonly timer: Timer;
}

/** One per reactor thread. */
export class WorkloadWait {
  readonly #reactor: Reactor;
  readonly #find: (uid: string) => Workload | undefined;
  readonly #waiters = new Set<Waiter>();

  constructor(reactor: Reactor, find: (uid: string) => Workload | undefined) {
    this.#reactor = reactor;
    this.#find = find;
  }

  /** Calls back with the workload, at once if it is known; with undefined when it does not come in time. */
  whenKnown(uid: string, callback: Callback): void {
    const workload = this.#find(uid);
    if (workload !== undefined) return callback(workload);
    const timer = this.#reactor.setTimer(WORKLOAD_WAIT_MS, () => {
      this.#waiters.delete(waiter);
      callback(undefined);
    });
    const waiter: Waiter = { uid, callback, timer };
    this.#waiters.add(waiter);
  }

  /** To be called after the mesh state has changed. */
  recheck(): void {
    for (const waiter of this.#waiters) {
      const workload = this.#find(waiter.uid);
      if (workload === undefined) continue;
      this.#waiters.delete(waiter);
      waiter.timer.cancel();
      waiter.callback(workload);
    }
  }
}
