/** Keeps a valid certificate for every identity that has a pod on this node. */

import { type AmbitError, messageOf } from '../base/errors.ts';
import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { logger } from '../telemetry/log.ts';
import type { CertificateInfo } from './certificate-info.ts';
import { type CertificateClient, CertificateSlot, type CertificateState } from './certificate-slot.ts';
import { type Clock, systemClock } from './clock.ts';
import { identityErrors } from './errors.ts';
import { RequestScheduler } from './request-scheduler.ts';
import type { TrustBundle } from './trust-bundle.ts';
import type { WorkloadCertificate } from './workload-certificate.ts';

const log = logger('identity');

/** Requests under way at the CA at a time (istio-ambient §5.2). */
const MAX_CONCURRENT_REQUESTS = 8;
/** Life asked for; the CA may give less (istio-ambient §5.2). */
const DEFAULT_TTL_SECONDS = 24 * 3600;

export interface CertificateManagerOptions {
  readonly client: CertificateClient;
  readonly clock?: Clock;
  readonly ttlSeconds?: number;
  /** In [0, 1); injected so that tests are repeatable. */
  readonly random?: () => number;
}

/** What live proxies must follow. */
export type CertificateChange =
  /** A first or renewed certificate, or other roots for it: build new TLS contexts. */
  | { readonly kind: 'available'; readonly certificate: WorkloadCertificate }
  /** New connections of this identity must fail from now on; existing ones stay. */
  | { readonly kind: 'expired'; readonly identity: SpiffeId; readonly error: AmbitError }
  /** The last pod with this identity has gone. */
  | { readonly kind: 'forgotten'; readonly identity: SpiffeId }
  /** The roots of the mesh changed; an `available` for every certificate follows. */
  | { readonly kind: 'roots'; readonly trustBundle: TrustBundle };

export type CertificateListener = (change: CertificateChange) => void;

/** One certificate as config_dump shows it (istio-ambient §6.4). */
export interface CertificateDump {
  /** The PEM text in base64. */
  readonly pem: string;
  readonly serialNumber: string;
  readonly validFrom: string;
  readonly expirationTime: string;
}

/** One identity as config_dump shows it. */
export interface IdentityDump {
  readonly identity: string;
  /** `Initializing`, `Available` or `Unavailable(<why>)`. */
  readonly state: string;
  readonly certChain: readonly CertificateDump[];
  readonly rootCerts: readonly CertificateDump[];
}

/** What has happened to certificates since the process began, renewals included. */
export interface CertificateCounters {
  readonly issued: number;
  /** Requests that the CA refused or did not answer. */
  readonly failed: number;
  /** Certificates that expired before there was another. */
  readonly expired: number;
}

interface Entry {
  readonly slot: CertificateSlot;
  references: number;
}

/**
 * Entries live as long as somebody retains them, one retain per pod. The newest roots that came with any certificate
 * hold for all of them, so that a change of roots arrives with the first renewal and not with the last.
 */
export class CertificateManager {
  readonly #options: Required<CertificateManagerOptions>;
  readonly #scheduler = new RequestScheduler(MAX_CONCURRENT_REQUESTS);
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<CertificateListener>();
  readonly #counters = { issued: 0, failed: 0, expired: 0 };
  #trustBundle: TrustBundle | undefined;

  constructor(options: CertificateManagerOptions) {
    const defaults = { clock: systemClock, ttlSeconds: DEFAULT_TTL_SECONDS, random: Math.random };
    this.#options = { ...defaults, ...options };
  }

  /** The roots of the mesh; undefined until the first certificate came. */
  get trustBundle(): TrustBundle | undefined {
    return this.#trustBundle;
  }

  /** A pod with this identity is here: the certificate is fetched ahead of its first connection. */
  retain(identity: SpiffeId): void {
    const name = formatSpiffeId(identity);
    const entry = this.#entries.get(name);
    if (entry === undefined) this.#entries.set(name, { slot: this.#newSlot(identity), references: 1 });
    else entry.references++;
  }

  /** A pod with this identity has gone; with the last one the certificate and its key are dropped. */
  release(identity: SpiffeId): void {
    const name = formatSpiffeId(identity);
    const entry = this.#entries.get(name);
    if (entry === undefined || --entry.references > 0) return;
    this.#entries.delete(name);
    entry.slot.close();
    this.#tell({ kind: 'forgotten', identity });
  }

  /** The valid certificate of a retained identity, if there is one right now. */
  current(identity: SpiffeId): WorkloadCertificate | undefined {
    return this.#entries.get(formatSpiffeId(identity))?.slot.certificate;
  }

  /**
   * The certificate for a connection that waits for it, ahead of all other requests. Rejects with
   * AMBIT_IDENTITY_UNKNOWN for an identity that nobody retains, with AMBIT_IDENTITY_UNAVAILABLE when the CA gives none.
   */
  async fetch(identity: SpiffeId): Promise<WorkloadCertificate> {
    const name = formatSpiffeId(identity);
    const entry = this.#entries.get(name);
    if (entry === undefined)
      throw identityErrors.AMBIT_IDENTITY_UNKNOWN(`no pod of this node has the identity ${name}`);
    return entry.slot.fetch();
  }

  /** Undefined for an identity that nobody retains. */
  state(identity: SpiffeId): CertificateState | undefined {
    return this.#entries.get(formatSpiffeId(identity))?.slot.state;
  }

  /** Tells of every change from now on; returns how to stop. */
  onChange(listener: CertificateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get counters(): CertificateCounters {
    return this.#counters;
  }

  /** Identity → when its newest certificate expires or has expired, in milliseconds since 1970. */
  expiries(): ReadonlyMap<string, number> {
    const known = [...this.#entries].flatMap(([name, { slot }]) =>
      slot.expiresMs === undefined ? [] : [[name, slot.expiresMs] as const],
    );
    return new Map(known);
  }

  /** All identities in the order of their names, for config_dump; it holds no private key. */
  snapshot(): IdentityDump[] {
    const slots = [...this.#entries.values()].map((entry) => entry.slot);
    return slots.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((slot) => dumpOf(slot.name, slot.state));
  }

  /** Ends all requests and timers without telling anybody. */
  close(): void {
    for (const { slot } of this.#entries.values()) slot.close();
    this.#entries.clear();
    this.#listeners.clear();
  }

  #newSlot(identity: SpiffeId): CertificateSlot {
    return new CertificateSlot(identity, {
      ...this.#options,
      scheduler: this.#scheduler,
      onIssued: (slot, certificate) => this.#onIssued(slot, certificate),
      onFailed: (_slot, error, retryInMs) => {
        this.#counters.failed++;
        log.warn(error.message, { code: error.code, retryInMs, hint: error.hint });
      },
      onExpired: (slot, error) => {
        this.#counters.expired++;
        log.error(error.message, { code: error.code, hint: error.hint });
        this.#tell({ kind: 'expired', identity: slot.identity, error });
      },
    });
  }

  #onIssued(slot: CertificateSlot, certificate: WorkloadCertificate): void {
    const { leaf, trustBundle } = certificate;
    this.#counters.issued++;
    log.info('certificate issued', {
      identity: slot.name,
      serialNumber: leaf.serialNumber,
      expires: timeText(leaf.notAfterMs),
    });
    if (trustBundle.equals(this.#trustBundle)) this.#tell({ kind: 'available', certificate });
    else this.#spread(trustBundle);
  }

  #spread(trustBundle: TrustBundle): void {
    this.#trustBundle = trustBundle;
    log.info('roots of the mesh changed', { roots: trustBundle.roots.length });
    this.#tell({ kind: 'roots', trustBundle });
    for (const { slot } of this.#entries.values()) {
      slot.trust(trustBundle);
      const certificate = slot.certificate;
      if (certificate !== undefined) this.#tell({ kind: 'available', certificate });
    }
  }

  /** A listener that fails must not keep the others, or the renewal, from going on. */
  #tell(change: CertificateChange): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (thrown) {
        log.error('a listener failed on a certificate change', {
          kind: change.kind,
          error: messageOf(thrown),
        });
      }
    }
  }
}

function dumpOf(identity: string, state: CertificateState): IdentityDump {
  if (state.kind === 'initializing') return { identity, state: 'Initializing', certChain: [], rootCerts: [] };
  if (state.kind === 'unavailable') {
    return { identity, state: `Unavailable(${state.error.message})`, certChain: [], rootCerts: [] };
  }
  const { leaf, intermediates, trustBundle } = state.certificate;
  const certChain = [leaf, ...intermediates].map(dumpCertificate);
  return { identity, state: 'Available', certChain, rootCerts: trustBundle.roots.map(dumpCertificate) };
}

function dumpCertificate(info: CertificateInfo): CertificateDump {
  return {
    pem: Buffer.from(info.pem).toString('base64'),
    serialNumber: info.serialNumber,
    validFrom: timeText(info.notBeforeMs),
    expirationTime: timeText(info.notAfterMs),
  };
}

/** RFC 3339 to the second, as a certificate has no more. */
function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
