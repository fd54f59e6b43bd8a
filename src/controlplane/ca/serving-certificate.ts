/** The certificate with which the control plane's own servers are known, signed by its CA and renewed by itself. */

import { Backoff } from '../../base/backoff.ts';
import { messageOf } from '../../base/errors.ts';
import type { IpAddress } from '../../base/ip.ts';
import { type Clock, setAlarm, systemClock, type Timer } from '../../identity/clock.ts';
import { KeyPair } from '../../identity/key-pair.ts';
import { logger } from '../../telemetry/log.ts';
import { BACKDATING_MS, type CertificateAuthority } from './certificate-authority.ts';

const log = logger('ca');

/** Life of a serving certificate. */
const SERVING_TTL_MS = 24 * 3_600_000;
const MIN_RETRY_MS = 1_000;
const MAX_RETRY_MS = 60_000;

export interface ServingCertificateOptions {
  readonly authority: CertificateAuthority;
  readonly dnsNames: readonly string[];
  readonly ips: readonly IpAddress[];
  readonly clock?: Clock;
}

/** What a TLS server needs, in PEM; it holds the private key. */
export interface ServerCredentials {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

/** Renewed at half of its life, and at once when the CA signs with another key or has other roots. */
export class ServingCertificate {
  readonly #options: Required<ServingCertificateOptions>;
  readonly #backoff = new Backoff({ minMs: MIN_RETRY_MS, maxMs: MAX_RETRY_MS });
  readonly #listeners = new Set<(credentials: ServerCredentials) => void>();
  #credentials: ServerCredentials;
  #timer: Timer | undefined;
  #stopListening: (() => void) | undefined;
  #closed = false;

  private constructor(options: Required<ServingCertificateOptions>, first: ServerCredentials) {
    this.#options = options;
    this.#credentials = first;
  }

  /** Rejects as {@link CertificateAuthority.signServer} does. */
  static async create(options: ServingCertificateOptions): Promise<ServingCertificate> {
    const complete = { clock: systemClock, ...options };
    const { credentials, renewInMs } = await signOnce(complete);
    const serving = new ServingCertificate(complete, credentials);
    serving.#plan(renewInMs);
    serving.#stopListening = options.authority.onChange(() => void serving.#renew());
    return serving;
  }

  get current(): ServerCredentials {
    return this.#credentials;
  }

  /** Tells of every renewal; returns how to stop. */
  onChange(listener: (credentials: ServerCredentials) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#stopListening?.();
  }

  #plan(delayMs: number): void {
    this.#timer?.cancel();
    const { clock } = this.#options;
    const plannedMs = clock.nowMs();
    const isTooEarly = (nowMs: number) => nowMs < plannedMs - BACKDATING_MS;
    this.#timer = setAlarm(clock, plannedMs + delayMs, () => void this.#renew(), isTooEarly);
  }

  async #renew(): Promise<void> {
    try {
      const { credentials, renewInMs } = await signOnce(this.#options);
      if (this.#closed) return;
      this.#credentials = credentials;
      this.#backoff.reset();
      this.#plan(renewInMs);
    } catch (thrown) {
      log.error('the serving certificate could not be renewed', { error: messageOf(thrown) });
      if (!this.#closed) this.#plan(this.#backoff.next());
      return;
    }
    for (const listener of this.#listeners) listener(this.#credentials);
  }
}

async function signOnce(
  options: Required<ServingCertificateOptions>,
): Promise<{ readonly credentials: ServerCredentials; readonly renewInMs: number }> {
  const { authority, clock } = options;
  const key = KeyPair.generate();
  const request = { publicKeyDer: key.publicKeyDer, ttlMs: SERVING_TTL_MS };
  const { chain, notAfterMs } = await authority.signServer(options, request);
  const certificateChainPem = chain.slice(0, -1).join('');
  const credentials = { certificateChainPem, privateKeyPem: key.exportPkcs8Pem() };
  return { credentials, renewInMs: Math.max(MIN_RETRY_MS, (notAfterMs - clock.nowMs()) / 2) };
}
