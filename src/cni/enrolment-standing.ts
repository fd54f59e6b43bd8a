/** How the enrolment of one pod stands, since when, what went wrong and was found on the way; and who waits for more. */

import type { AmbitError } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { EnrolmentFinding, EnrolmentState } from './enrolment-state.ts';

interface EnrolmentError {
  readonly code: string;
  readonly message: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export interface StandingEvents {
  /** The kind of state has changed. */
  onState(): void;
  onFinding(finding: EnrolmentFinding): void;
}

const log = logger('enrolment');
/** Kept per pod for reports. */
const MAX_FINDINGS = 5;

export class EnrolmentStanding {
  /** For log lines. */
  readonly #pod: string;
  readonly #events: StandingEvents;
  #state: EnrolmentState = { kind: 'out' };
  #waiters: (() => void)[] = [];
  /** Milliseconds since the epoch when the state began. */
  since = Date.now();
  lastError: EnrolmentError | undefined;
  findings: readonly EnrolmentFinding[] = [];

  constructor(pod: string, events: StandingEvents) {
    this.#pod = pod;
    this.#events = events;
  }

  get state(): EnrolmentState {
    return this.#state;
  }

  set(state: EnrolmentState): void {
    const isOther = state.kind !== this.#state.kind;
    this.#state = state;
    if (isOther) {
      this.since = Date.now();
      log.debug('pod', { pod: this.#pod, state: state.kind });
      this.#events.onState();
    }
    this.wake();
  }

  remember(error: AmbitError): void {
    this.lastError = { code: error.code, message: error.message, at: Date.now() };
  }

  note(kind: EnrolmentFinding['kind'], detail: string): void {
    const finding = { kind, at: Date.now(), detail };
    this.findings = [...this.findings, finding].slice(-MAX_FINDINGS);
    log.warn('pod not as it should be', { pod: this.#pod, finding: kind, detail });
    this.#events.onFinding(finding);
  }

  /** Resolves with the next {@link set} or {@link wake}, or after that time. */
  next(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Lets everybody who waits look again. */
  wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}
