/** Asks a container again and again whether it is well, and says so when the answer has changed for good. */

import type { Container } from '../api/kube-object.ts';

export type ProbeSpec = NonNullable<Container['readinessProbe']>;

export interface ProbeAnswer {
  readonly ok: boolean;
  /** What went wrong. */
  readonly message: string;
}

export interface ProbeLoopOptions {
  readonly spec: ProbeSpec;
  /** Ask at short intervals until the first success: a fresh pod is ready as soon as it is. */
  readonly eager: boolean;
  /** Asks once. Never rejects. */
  readonly ask: (timeoutMs: number) => Promise<ProbeAnswer>;
  /** The answer came often enough in a row to count; a failure counts anew every time. */
  readonly onVerdict: (answer: ProbeAnswer) => void;
  /** Every single failure, for whoever wants to know why. */
  readonly onFailure?: (message: string) => void;
}

/** Kubernetes' defaults. */
const DEFAULT_PERIOD_SECONDS = 10;
const DEFAULT_TIMEOUT_SECONDS = 1;
const DEFAULT_FAILURE_THRESHOLD = 3;
/** The first interval of an eager loop; each further one is half as long again, up to the period. */
const EAGER_MS = 100;
const EAGER_GROWTH = 1.5;

export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  readonly #periodMs: number;
  readonly #startMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #succeeded = false;
  #eagerMs = EAGER_MS;
  #successes = 0;
  #failures = 0;

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
    this.#periodMs = 1000 * (options.spec.periodSeconds || DEFAULT_PERIOD_SECONDS);
    this.#schedule(1000 * (options.spec.initialDelaySeconds ?? 0));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => void this.#round(), delayMs);
  }

  async #round(): Promise<void> {
    const answer = await this.#options.ask(
      1000 * (this.#options.spec.timeoutSeconds || DEFAULT_TIMEOUT_SECONDS),
    );
    if (this.#stopped) return;
    if (answer.ok) this.#succeed(answer);
    else this.#fail(answer);
    if (!this.#stopped) this.#schedule(this.#nextDelayMs());
  }

  #succeed(answer: ProbeAnswer): void {
    this.#succeeded = true;
    this.#failures = 0;
    if (++this.#successes === (this.#options.spec.successThreshold || 1)) this.#options.onVerdict(answer);
  }

  #fail(answer: ProbeAnswer): void {
    const { spec, eager, onFailure, onVerdict } = this.#options;
    const threshold = spec.failureThreshold || DEFAULT_FAILURE_THRESHOLD;
    this.#successes = 0;
    this.#failures++;
    onFailure?.(answer.message);
    // An eager loop asks more often than the threshold was meant for: it counts periods instead of answers.
    const counted = eager && !this.#succeeded ? this.#periodsGone() : this.#failures;
    if (counted >= threshold) onVerdict(answer);
  }

  #periodsGone(): number {
    const sinceMs = performance.now() - this.#startMs - 1000 * (this.#options.spec.initialDelaySeconds ?? 0);
    return sinceMs / this.#periodMs;
  }

  #nextDelayMs(): number {
    if (!this.#options.eager || this.#succeeded) return this.#periodMs;
    const delayMs = Math.min(this.#eagerMs, this.#periodMs);
    this.#eagerMs *= EAGER_GROWTH;
    return delayMs;
  }
}
