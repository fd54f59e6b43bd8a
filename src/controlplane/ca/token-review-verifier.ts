/** Verifies service account tokens by asking the API server that issued them. */

import { createHash } from 'node:crypto';
import { decodeJwt, type JWTPayload } from 'jose';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { type Clock, systemClock } from '../../identity/clock.ts';
import type { Caller, TokenVerifier } from './caller.ts';
import { caErrors } from './errors.ts';

/** Ambit's own proxies ask for the first, Istio's for the second (istio-ambient §5.1). */
export const DEFAULT_AUDIENCES: readonly string[] = ['ambit-ca', 'istio-ca'];

/** Characters of a token at most; a bound service account token has about 1,200. */
const MAX_TOKEN_LENGTH = 8 * 1024;
/** A token of a pod that is gone is accepted for no longer than this. */
export const ACCEPTED_FOR_MS = 60_000;
/** Who comes back at once with the same refused token is answered without a question to the API server. */
export const REFUSED_FOR_MS = 2_000;
/** Answers kept in mind; the oldest go first. */
export const MAX_ANSWERS = 10_000;
/** Questions that are under way at once, over which callers have to come back: a restart of 400 node proxies, and some. */
export const MAX_REVIEWS = 500;

const SERVICE_ACCOUNT = /^system:serviceaccount:([a-z0-9.-]+):([a-z0-9.-]+)$/;
/** Under these keys the API server names the pod that a token is bound to. */
const POD_NAME_KEY = 'authentication.kubernetes.io/pod-name';
const POD_UID_KEY = 'authentication.kubernetes.io/pod-uid';

/** The status of an authentication.k8s.io/v1 TokenReview, as far as it matters here. */
export interface TokenReviewStatus {
  readonly authenticated?: boolean;
  readonly error?: string;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

/** Asks the API server; rejects when there is no answer. */
export type ReviewToken = (token: string, audiences: readonly string[]) => Promise<TokenReviewStatus>;

export interface TokenReviewOptions {
  readonly review: ReviewToken;
  readonly audiences?: readonly string[];
  readonly clock?: Clock;
}

interface Answer {
  readonly outcome: Caller | AmbitError;
  readonly untilMs: number;
}

/** What has happened so far, for metrics. */
export interface TokenReviewCounters {
  accepted: number;
  refused: number;
  /** The API server did not answer. */
  failed: number;
  /** Answered from memory. */
  remembered: number;
  /** Not asked because too many questions were under way. */
  busy: number;
  /** Answers that had to make room for others. */
  forgotten: number;
}

export class TokenReviewVerifier implements TokenVerifier {
  readonly counters: TokenReviewCounters = {
    accepted: 0,
    refused: 0,
    failed: 0,
    remembered: 0,
    busy: 0,
    forgotten: 0,
  };
  readonly #options: Required<TokenReviewOptions>;
  /** By the hash of the token: tokens themselves are not kept. The oldest answers come first. */
  readonly #answers = new Map<string, Answer>();
  readonly #reviews = new Map<string, Promise<Caller>>();

  constructor(options: TokenReviewOptions) {
    this.#options = { audiences: DEFAULT_AUDIENCES, clock: systemClock, ...options };
  }

  /** Rejects with AMBIT_CALLER_TOKEN_INVALID, or with AMBIT_CALLER_TOKEN_UNVERIFIED when that cannot be known now. */
  async verify(token: string): Promise<Caller> {
    const expiresMs = this.#expiryOf(token);
    const key = createHash('sha256').update(token).digest('base64');
    const known = this.#remembered(key);
    if (known instanceof AmbitError) throw known;
    if (known !== undefined) return known;
    const running = this.#reviews.get(key);
    if (running !== undefined) return running;
    if (this.#reviews.size >= MAX_REVIEWS) {
      this.counters.busy++;
      throw unverified(`${MAX_REVIEWS} others are being verified`);
    }
    const review = this.#review(token, key, expiresMs).finally(() => this.#reviews.delete(key));
    this.#reviews.set(key, review);
    return review;
  }

  /** What cannot be a token for us does not reach the API server. Nothing that is read here is trusted. */
  #expiryOf(token: string): number {
    if (token.length > MAX_TOKEN_LENGTH) throw invalid(`it is longer than ${MAX_TOKEN_LENGTH} characters`);
    let claims: JWTPayload;
    try {
      claims = decodeJwt(token);
    } catch (thrown) {
      throw invalid(messageOf(thrown), thrown);
    }
    const { audiences, clock } = this.#options;
    const intended = [claims.aud ?? []].flat();
    if (!intended.some((one) => audiences.includes(one))) {
      throw invalid(`it is for ${intended.join(', ') || 'nobody'} and not for ${audiences.join(' or ')}`);
    }
    const expiresMs = typeof claims.exp === 'number' ? claims.exp * 1000 : Number.NaN;
    if (!(expiresMs > clock.nowMs())) throw invalid('it has expired');
    return expiresMs;
  }

  #remembered(key: string): Caller | AmbitError | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined || answer.untilMs <= this.#options.clock.nowMs()) return undefined;
    this.counters.remembered++;
    return answer.outcome;
  }

  async #review(token: string, key: string, expiresMs: number): Promise<Caller> {
    const { review, audiences, clock } = this.#options;
    let status: TokenReviewStatus;
    try {
      status = await review(token, audiences);
    } catch (thrown) {
      this.counters.failed++;
      throw unverified(messageOf(thrown), thrown);
    }
    const outcome = outcomeOf(status, audiences);
    const accepted = !(outcome instanceof AmbitError);
    const keptMs = accepted ? ACCEPTED_FOR_MS : REFUSED_FOR_MS;
    this.#remember(key, { outcome, untilMs: Math.min(clock.nowMs() + keptMs, expiresMs) });
    this.counters[accepted ? 'accepted' : 'refused']++;
    if (!accepted) throw outcome;
    return outcome;
  }

  #remember(key: string, answer: Answer): void {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MAX_ANSWERS) return;
      this.counters.forgotten++;
      this.#answers.delete(oldest);
    }
  }
}

function outcomeOf(status: TokenReviewStatus, audiences: readonly string[]): Caller | AmbitError {
  if (status.authenticated !== true) return invalid(status.error || 'the API server does not know it');
  // An API server that knows nothing of audiences names none: its answer means nothing here.
  if (!(status.audiences ?? []).some((one) => audiences.includes(one))) {
    return invalid(`the API server accepts it for ${status.audiences?.join(', ') ?? 'no audience'}`);
  }
  const [, namespace, serviceAccount] = SERVICE_ACCOUNT.exec(status.user?.username ?? '') ?? [];
  if (namespace === undefined || serviceAccount === undefined) {
    return invalid(`${status.user?.username} is no service account`);
  }
  const extra = status.user?.extra;
  return {
    namespace,
    serviceAccount,
    podName: extra?.[POD_NAME_KEY]?.[0],
    podUid: extra?.[POD_UID_KEY]?.[0],
  };
}

function invalid(why: string, cause?: unknown): AmbitError {
  return caErrors.AMBIT_CALLER_TOKEN_INVALID(`the caller's token is not accepted: ${why}`, cause);
}

function unverified(why: string, cause?: unknown): AmbitError {
  return caErrors.AMBIT_CALLER_TOKEN_UNVERIFIED(`the caller's token cannot be verified now: ${why}`, cause);
}
