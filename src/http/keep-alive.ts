/** Finds dead connections: a PING at intervals, and a deadline for any sign of life after it. */

import type { Reactor, Timer } from '../io/reactor.ts';

export interface KeepAliveOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly sendPing: () => void;
  readonly onDead: () => void;
  /** Asked at each tick: closes the connection and says so when the peer has been given enough patience. */
  readonly isOutOfPatience: () => boolean;
}

export class KeepAlive {
  readonly #reactor: Reactor;
  readonly #options: KeepAliveOptions;
  #timer: Timer | undefined;
  #awaitingLife = false;
  #pingSentMs = 0;

  constructor(reactor: Reactor, options: KeepAliveOptions) {
    this.#reactor = reactor;
    this.#options = options;
  }

  start(): void {
    this.#arm(this.#options.intervalMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Anything received is a sign of life: under load the acknowledgement may queue behind a lot of data. */
  noteInput(): void {
    this.#awaitingLife = false;
  }

  #arm(delayMs: number): void {
    this.#timer = this.#reactor.setTimer(delayMs, () => this.#tick());
  }

  #tick(): void {
    const { intervalMs, timeoutMs, sendPing, onDead, isOutOfPatience } = this.#options;
    if (isOutOfPatience()) return;
    if (!this.#awaitingLife) {
      this.#awaitingLife = true;
      this.#pingSentMs = this.#reactor.nowMs;
      sendPing();
      this.#arm(Math.min(intervalMs, timeoutMs));
      return;
    }
    const leftMs = this.#pingSentMs + timeoutMs - this.#reactor.nowMs;
    if (leftMs <= 0) onDead();
    else this.#arm(Math.min(intervalMs, leftMs));
  }
}
