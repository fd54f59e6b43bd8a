/** How one reactor of a proxy that stops leaves a pod to the proxy that comes after it, without losing a connection. */

import { messageOf } from '../../base/errors.ts';
import type { Reactor, Timer } from '../../io/reactor.ts';
import { logger } from '../../telemetry/log.ts';

const log = logger('handover');
/** How often to look for the next proxy. */
const LOOK_INTERVAL_MS = 250;
/**
 * How long listeners stay after new connections have been led past them: handshakes that they have begun are theirs, and
 * one whose last packet was lost takes a second more (RFC 6298 §2).
 */
export const HANDOVER_LINGER_MS = 2000;
/**
 * How long before that they stop answering whoever comes nevertheless: the reactors of a proxy do not close at the same
 * moment, and the kernel may choose the ones that are left. Longer than the reactors are apart.
 */
const SILENT_MS = 2 * LOOK_INTERVAL_MS;

/** What the handover needs of the pod. */
export interface HandoverSubject {
  /** Reactors of this proxy: each has a listener on every port. */
  readonly ownListeners: number;
  /** Listeners on the pod's HBONE port, of all proxies. */
  countListeners(): number;
  /** New connections and queries go to the listener with this index. */
  steer(index: number): void;
  /** Once: new connections go elsewhere now, so peers may be told to open some. */
  onSteered(): void;
  /** New connections are not answered here any more; may be said again. */
  ignoreNew(): void;
  /** Once: nothing can be on its way to the listeners any more. */
  onReleased(): void;
}

/**
 * The sockets of both proxies are in one SO_REUSEPORT group, of which the kernel picks a member for each connection;
 * what a member that closes has not accepted is reset. So the connections are first led to the next proxy: its listeners
 * came later and have the higher indices. The index is chosen so that it is one of theirs while ours close one by one
 * (the last takes the place of one that leaves), and none at all afterwards, which is when the kernel spreads
 * connections again: the count of theirs, or of ours if that is more.
 */
export class PodHandover {
  readonly #reactor: Reactor;
  readonly #subject: HandoverSubject;
  #timer: Timer | undefined;
  #state: 'waiting' | 'steered' | 'released' = 'waiting';
  #index = 0;
  #steeredAtMs = 0;

  constructor(reactor: Reactor, subject: HandoverSubject) {
    this.#reactor = reactor;
    this.#subject = subject;
    this.#look();
  }

  /** Whether the next proxy is there, and this one not yet gone. */
  get isUnderWay(): boolean {
    return this.#state === 'steered';
  }

  get isReleased(): boolean {
    return this.#state === 'released';
  }

  /** Nobody takes over, or the pod is gone. */
  release(): void {
    if (this.#state === 'released') return;
    this.#state = 'released';
    this.#timer?.cancel();
    this.#subject.onReleased();
  }

  #look(): void {
    const { nowMs } = this.#reactor;
    const steeredForMs = this.#state === 'steered' ? nowMs - this.#steeredAtMs : 0;
    if (steeredForMs >= HANDOVER_LINGER_MS) return this.release();
    if (steeredForMs >= HANDOVER_LINGER_MS - SILENT_MS) this.#subject.ignoreNew();
    const others = this.#others();
    if (others > 0) this.#index = Math.max(this.#index, others, this.#subject.ownListeners);
    // Again and again: a listener of the next proxy that comes late puts an end to steering.
    if (this.#index > 0) this.#subject.steer(this.#index);
    if (this.#index > 0 && this.#state === 'waiting') {
      this.#state = 'steered';
      this.#steeredAtMs = nowMs;
      this.#subject.onSteered();
    }
    this.#timer = this.#reactor.setTimer(LOOK_INTERVAL_MS, () => this.#look());
  }

  #others(): number {
    try {
      return this.#subject.countListeners() - this.#subject.ownListeners;
    } catch (thrown) {
      log.warn('whether another proxy serves the pod cannot be told', { error: messageOf(thrown) });
      return 0;
    }
  }
}
