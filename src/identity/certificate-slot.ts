/** One identity's certificate over time: asked for, renewed, and, when the CA stays away, expired. */

import { Backoff } from '../base/backoff.ts';
import { AmbitError, messageOf } from '../base/errors.ts';
import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { createCertificateRequest } from './certificate-request.ts';
import { type Clock, setAlarm, type Timer } from './clock.ts';
import { identityErrors } from './errors.ts';
import { KeyPair } from './key-pair.ts';
import type { RequestPriority, RequestScheduler, RequestTicket } from './request-scheduler.ts';
import type { TrustBundle } from './trust-bundle.ts';
import { isVerifiableWith, takeIssuedCertificate, type WorkloadCertificate } from './workload-certificate.ts';

/** Asks a CA to sign; rejects with anything when it does not. */
export interface CertificateClient {
  /** PEM texts: the leaf first, the roots last, intermediates between (istio-ambient §5.1). */
  sign(csrPem: string, identity: SpiffeId, ttlSeconds: number, signal: AbortSignal): Promise<string[]>;
}

/** How an identity stands; the names are those of config_dump. */
export type CertificateState =
  /** The first answer is still awaited. */
  | { readonly kind: 'initializing' }
  /** `renewalError` tells that renewing fails at present. */
  | {
      readonly kind: 'available';
      readonly certificate: WorkloadCertificate;
      readonly renewalError?: AmbitError;
    }
  | { readonly kind: 'unavailable'; readonly error: AmbitError };

export interface SlotEnvironment {
  readonly client: CertificateClient;
  readonly clock: Clock;
  readonly scheduler: RequestScheduler;
  readonly ttlSeconds: number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly onIssued: (slot: CertificateSlot, certificate: WorkloadCertificate) => void;
  readonly onFailed: (slot: CertificateSlot, error: AmbitError, retryInMs: number) => void;
  readonly onExpired: (slot: CertificateSlot, error: AmbitError) => void;
}

/** What the slot is doing; exactly one thing at any time. */
type Activity =
  | { readonly kind: 'queued'; readonly ticket: RequestTicket }
  | { readonly kind: 'requesting'; readonly abort: AbortController }
  | { readonly kind: 'resting'; readonly timer: Timer }
  | { readonly kind: 'backing-off'; readonly timer: Timer; readonly untilMs: number }
  | { readonly kind: 'closed' };

interface Waiter {
  readonly giveUpMs: number;
  readonly resolve: (certificate: WorkloadCertificate) => void;
  readonly reject: (error: AmbitError) => void;
}

/** An answer that takes longer is given up, so that a silent CA does not hold one of the few places for ever. */
const REQUEST_TIMEOUT_MS = 10_000;
const MIN_BACKOFF_MS = 250;
/** As in Istio's proxy (istio-ambient §5.2). */
const MAX_BACKOFF_MS = 150_000;
/**
 * A connection waits through a failed attempt if the next one comes within this time: right after a pod's start the
 * control plane may not have seen it yet. Later it fails at once, as its client had better know.
 */
const PATIENCE_MS = 5_000;
/**
 * Renewal starts at a random point of the last tenth before half of the life, never after half: so many identities
 * of one start-up spread out, and half of the life always remains for an absent CA to come back.
 */
const JITTER = 0.1;
/** Lower bound between two renewals, for certificates that live only for seconds. */
const MIN_REFRESH_MS = 1_000;
/** After a change of roots, certificates that these do not cover are renewed within this time, not all at once. */
const REISSUE_SPREAD_MS = 60_000;

export class CertificateSlot {
  readonly identity: SpiffeId;
  /** The SPIFFE ID as text. */
  readonly name: string;
  readonly #environment: SlotEnvironment;
  readonly #backoff: Backoff;
  #activity: Activity;
  #certificate: WorkloadCertificate | undefined;
  #expiredAtMs: number | undefined;
  #lastError: AmbitError | undefined;
  #expiryTimer: Timer | undefined;
  #waiters: Waiter[] = [];

  /** Asks for the first certificate straight away. */
  constructor(identity: SpiffeId, environment: SlotEnvironment) {
    this.identity = identity;
    this.name = formatSpiffeId(identity);
    this.#environment = environment;
    this.#backoff = new Backoff({ minMs: MIN_BACKOFF_MS, maxMs: MAX_BACKOFF_MS, random: environment.random });
    this.#activity = this.#queued('warmup');
  }

  /** The certificate, unless there is none or it has expired. */
  get certificate(): WorkloadCertificate | undefined {
    const certificate = this.#certificate;
    if (certificate === undefined || certificate.leaf.notAfterMs <= this.#nowMs) return undefined;
    return certificate;
  }

  /** When the newest certificate expires, or did, in milliseconds since 1970; undefined until there has been one. */
  get expiresMs(): number | undefined {
    return this.#certificate?.leaf.notAfterMs ?? this.#expiredAtMs;
  }

  get state(): CertificateState {
    const certificate = this.certificate;
    if (certificate !== undefined) {
      const renewalError = this.#lastError;
      return { kind: 'available', certificate, ...(renewalError === undefined ? {} : { renewalError }) };
    }
    const failed = this.#lastError !== undefined || this.#expiredAtMs !== undefined;
    return failed ? { kind: 'unavailable', error: this.#unavailable() } : { kind: 'initializing' };
  }

  /** The certificate as soon as there is one; rejects with AMBIT_IDENTITY_UNAVAILABLE when the CA gives none in time. */
  fetch(): Promise<WorkloadCertificate> {
    const certificate = this.certificate;
    if (certificate !== undefined) return Promise.resolve(certificate);
    const giveUpMs = this.#nowMs + PATIENCE_MS;
    const activity = this.#activity;
    if (activity.kind === 'closed' || (activity.kind === 'backing-off' && activity.untilMs > giveUpMs)) {
      return Promise.reject(this.#unavailable());
    }
    if (activity.kind === 'queued') activity.ticket.raise('realtime');
    if (activity.kind === 'resting') this.#requestSoon('realtime');
    return new Promise((resolve, reject) => {
      this.#waiters.push({ giveUpMs, resolve, reject });
    });
  }

  /** Verifies peers against other roots from now on; renews soon if these do not cover the own certificate. */
  trust(trustBundle: TrustBundle): void {
    if (this.#certificate === undefined) return;
    this.#certificate = { ...this.#certificate, trustBundle };
    if (this.#activity.kind !== 'resting' || isVerifiableWith(this.#certificate, trustBundle)) return;
    this.#stopActivity();
    this.#rest(this.#nowMs + this.#environment.random() * REISSUE_SPREAD_MS);
  }

  /** Ends everything; who still waits is refused. */
  close(): void {
    this.#stopActivity();
    this.#activity = { kind: 'closed' };
    this.#expiryTimer?.cancel();
    this.#rejectWaiters(Number.POSITIVE_INFINITY);
    this.#certificate = undefined;
  }

  get #nowMs(): number {
    return this.#environment.clock.nowMs();
  }

  #queued(priority: RequestPriority): Activity {
    return { kind: 'queued', ticket: this.#environment.scheduler.submit(priority, () => this.#request()) };
  }

  #requestSoon(priority: RequestPriority): void {
    this.#stopActivity();
    this.#activity = this.#queued(priority);
  }

  #stopActivity(): void {
    const activity = this.#activity;
    if (activity.kind === 'queued') activity.ticket.cancel();
    else if (activity.kind === 'requesting') activity.abort.abort();
    else if (activity.kind !== 'closed') activity.timer.cancel();
  }

  async #request(): Promise<void> {
    const abort = new AbortController();
    const activity: Activity = { kind: 'requesting', abort };
    this.#activity = activity;
    let outcome: WorkloadCertificate | AmbitError;
    try {
      outcome = await this.#ask(abort);
    } catch (thrown) {
      outcome = this.#asFailure(thrown);
    }
    if (this.#activity !== activity) return;
    if (outcome instanceof AmbitError) this.#failed(outcome);
    else this.#issued(outcome);
  }

  /** One attempt, with a key of its own. */
  async #ask(abort: AbortController): Promise<WorkloadCertificate> {
    const { client, clock, ttlSeconds } = this.#environment;
    const { signal } = abort;
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    const timeout = clock.setTimer(REQUEST_TIMEOUT_MS, () => {
      abort.abort(new Error(`no answer within ${REQUEST_TIMEOUT_MS} ms`));
    });
    try {
      const key = KeyPair.generate();
      const request = createCertificateRequest(key, this.identity);
      const answer = await Promise.race([client.sign(request, this.identity, ttlSeconds, signal), aborted]);
      return takeIssuedCertificate(answer, { identity: this.identity, key, nowMs: this.#nowMs });
    } finally {
      timeout.cancel();
    }
  }

  #asFailure(thrown: unknown): AmbitError {
    if (thrown instanceof AmbitError && thrown.code === 'AMBIT_CERTIFICATE_REFUSED') return thrown;
    return identityErrors.AMBIT_CERTIFICATE_REQUEST_FAILED(
      `the CA gave no certificate for ${this.name}: ${messageOf(thrown)}`,
      thrown,
    );
  }

  #issued(certificate: WorkloadCertificate): void {
    this.#certificate = certificate;
    this.#lastError = undefined;
    this.#expiredAtMs = undefined;
    this.#backoff.reset();
    this.#rest(this.#nowMs + this.#refreshDelayMs(certificate));
    this.#expiryTimer?.cancel();
    const expired = () => this.#expired(certificate);
    this.#expiryTimer = setAlarm(this.#environment.clock, certificate.leaf.notAfterMs, expired);
    this.#environment.onIssued(this, certificate);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve(certificate);
  }

  #failed(error: AmbitError): void {
    this.#lastError = error;
    const delayMs = this.#backoff.next();
    const untilMs = this.#nowMs + delayMs;
    const timer = this.#environment.clock.setTimer(delayMs, () => this.#requestSoon(this.#retryPriority()));
    this.#activity = { kind: 'backing-off', timer, untilMs };
    this.#rejectWaiters(untilMs);
    this.#environment.onFailed(this, error, delayMs);
  }

  #retryPriority(): RequestPriority {
    if (this.#waiters.length > 0) return 'realtime';
    return this.certificate === undefined ? 'warmup' : 'background';
  }

  /** Until that time of day, or until the certificate turns out not to be valid yet. */
  #rest(untilMs: number): void {
    const isTooEarly = (nowMs: number) => (this.#certificate?.leaf.notBeforeMs ?? nowMs) > nowMs;
    const renew = () => this.#requestSoon('background');
    this.#activity = {
      kind: 'resting',
      timer: setAlarm(this.#environment.clock, untilMs, renew, isTooEarly),
    };
  }

  /** A certificate that is past half of its life on arrival is renewed at half of what remains. */
  #refreshDelayMs({ leaf }: WorkloadCertificate): number {
    const early = 1 - JITTER * this.#environment.random();
    const halfLifeMs = ((leaf.notAfterMs - leaf.notBeforeMs) / 2) * early;
    const delayMs = leaf.notBeforeMs + halfLifeMs - this.#nowMs;
    if (delayMs >= MIN_REFRESH_MS) return delayMs;
    return Math.max(MIN_REFRESH_MS, ((leaf.notAfterMs - this.#nowMs) / 2) * early);
  }

  #expired(certificate: WorkloadCertificate): void {
    this.#certificate = undefined;
    this.#expiredAtMs = certificate.leaf.notAfterMs;
    this.#environment.onExpired(this, this.#unavailable());
  }

  /** Refuses those whose patience ends before the next attempt. */
  #rejectWaiters(nextAttemptMs: number): void {
    const leaving = this.#waiters.filter((waiter) => waiter.giveUpMs < nextAttemptMs);
    this.#waiters = this.#waiters.filter((waiter) => waiter.giveUpMs >= nextAttemptMs);
    for (const waiter of leaving) waiter.reject(this.#unavailable());
  }

  #unavailable(): AmbitError {
    const when = this.#expiredAtMs === undefined ? '' : ` since ${new Date(this.#expiredAtMs).toISOString()}`;
    const why = this.#lastError === undefined ? '' : `: ${this.#lastError.message}`;
    return identityErrors.AMBIT_IDENTITY_UNAVAILABLE(
      `there is no valid certificate for ${this.name}${when}${why}`,
      this.#lastError,
    );
  }
}
