/** Signs certificates for workloads and for the servers of the control plane itself. */

import type { IpAddress } from '../../base/ip.ts';
import type { SpiffeId } from '../../base/spiffe-id.ts';
import { type CertificateProfile, issueCertificate } from '../../identity/certificate.ts';
import { type Clock, systemClock } from '../../identity/clock.ts';
import { encodePem } from '../../identity/pem.ts';
import type { TrustBundle } from '../../identity/trust-bundle.ts';
import { caErrors } from './errors.ts';
import type { SigningMaterial, SigningSource } from './signing-material.ts';

/** Istio's DEFAULT_WORKLOAD_CERT_TTL (istio-ambient §5.2). */
export const DEFAULT_TTL_MS = 24 * 3_600_000;
/** Istio's MAX_WORKLOAD_CERT_TTL (istio-ambient §5.2). */
export const MAX_TTL_MS = 90 * 24 * 3_600_000;
/** A proxy whose clock is this far behind can use its certificate at once; less for lives shorter than that. */
export const BACKDATING_MS = 2 * 60_000;

export interface CertificateAuthorityOptions {
  readonly source: SigningSource;
  readonly clock?: Clock;
  readonly defaultTtlMs?: number;
  readonly maxTtlMs?: number;
}

export interface SigningRequest {
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Uint8Array;
  /** Life asked for; 0 leaves it to the CA. */
  readonly ttlMs: number;
}

export interface IssuedCertificate {
  /** In PEM: the leaf, each intermediate, and last all roots in one text (istio-ambient §5.1). */
  readonly chain: readonly string[];
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

export class CertificateAuthority {
  readonly #options: Required<CertificateAuthorityOptions>;

  constructor(options: CertificateAuthorityOptions) {
    const defaults = { clock: systemClock, defaultTtlMs: DEFAULT_TTL_MS, maxTtlMs: MAX_TTL_MS };
    this.#options = { ...defaults, ...options };
  }

  /** What every client of the mesh must trust now. */
  get trustBundle(): TrustBundle {
    return this.#options.source.material.trustBundle;
  }

  /** Tells when the signer or the roots have changed; returns how to stop. */
  onChange(listener: (material: SigningMaterial) => void): () => void {
    return this.#options.source.onChange(listener);
  }

  /**
   * Rejects with AMBIT_CA_TTL_INVALID when the life asked for is not a positive number of whole milliseconds or longer
   * than the limit, and with AMBIT_CA_EXPIRED. A certificate never outlives what signs it.
   */
  signWorkload(identity: SpiffeId, request: SigningRequest): Promise<IssuedCertificate> {
    return this.#sign({ kind: 'workload', identity }, request);
  }

  /** Like {@link CertificateAuthority.signWorkload}, for a TLS server under these names. */
  signServer(
    names: { readonly dnsNames: readonly string[]; readonly ips: readonly IpAddress[] },
    request: SigningRequest,
  ): Promise<IssuedCertificate> {
    return this.#sign({ kind: 'server', ...names }, request);
  }

  async #sign(profile: CertificateProfile, request: SigningRequest): Promise<IssuedCertificate> {
    const { source, clock } = this.#options;
    const ttlMs = this.#grantedTtlMs(request.ttlMs);
    const nowMs = clock.nowMs();
    const { issuer, intermediatePems, trustBundle, expiresMs } = source.material;
    if (expiresMs <= nowMs) {
      throw caErrors.AMBIT_CA_EXPIRED(`the CA's own chain expired at ${new Date(expiresMs).toISOString()}`);
    }
    const notBeforeMs = wholeSeconds(nowMs - Math.min(BACKDATING_MS, ttlMs));
    const notAfterMs = wholeSeconds(Math.min(nowMs + ttlMs, expiresMs));
    const leaf = issueCertificate(issuer, {
      profile,
      publicKeyDer: request.publicKeyDer,
      notBeforeMs,
      notAfterMs,
    });
    await source.noteIssued(notAfterMs);
    return {
      chain: [encodePem('CERTIFICATE', leaf), ...intermediatePems, trustBundle.pem],
      notBeforeMs,
      notAfterMs,
    };
  }

  #grantedTtlMs(ttlMs: number): number {
    const { defaultTtlMs, maxTtlMs } = this.#options;
    if (ttlMs === 0) return defaultTtlMs;
    if (Number.isSafeInteger(ttlMs) && ttlMs > 0 && ttlMs <= maxTtlMs) return ttlMs;
    throw caErrors.AMBIT_CA_TTL_INVALID(
      `a life of ${ttlMs / 1000} s was asked for; at most ${maxTtlMs / 1000} s is given`,
    );
  }
}

function wholeSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000;
}
