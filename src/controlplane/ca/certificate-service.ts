/** The business of istio.v1.auth.IstioCertificateService, whatever transport carries it. */

import { AmbitError, messageOf } from '../../base/errors.ts';
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import { readCertificateRequest } from '../../identity/certificate-request-reader.ts';
import { type Clock, systemClock } from '../../identity/clock.ts';
import { logger } from '../../telemetry/log.ts';
import { accountOf, type Caller } from './caller.ts';
import type { CertificateAuthority, IssuedCertificate } from './certificate-authority.ts';
import { caErrors } from './errors.ts';
import type { NodeAuthorization } from './node-authorization.ts';
import { BURST, REQUESTS_PER_SECOND, RequestLimiter } from './request-limiter.ts';

const log = logger('ca');

/** The key of the metadata under which a node proxy names the identity it asks for (istio-ambient §5.1). */
const IMPERSONATED_IDENTITY = 'ImpersonatedIdentity';
/** Characters of a caller's text that go into a message. */
const MAX_SHOWN = 200;

/** IstioCertificateRequest, decoded. */
export interface CreateCertificateRequest {
  /** PEM. */
  readonly csr: string;
  /** Life asked for; 0 leaves it to the CA. */
  readonly validityDurationSeconds: number;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What has happened so far, for metrics. */
export interface CertificateServiceCounters {
  signed: number;
  /** By error code. */
  readonly refused: Map<string, number>;
}

export interface CertificateServiceOptions {
  readonly authority: CertificateAuthority;
  readonly authorization: NodeAuthorization;
  readonly clock?: Clock;
}

export class CertificateService {
  readonly counters: CertificateServiceCounters = { signed: 0, refused: new Map() };
  readonly #options: Required<CertificateServiceOptions>;
  readonly #limiter = new RequestLimiter();

  constructor(options: CertificateServiceOptions) {
    this.#options = { clock: systemClock, ...options };
  }

  /**
   * The chain for a caller whose token was verified: leaf, intermediates, all roots in one text. Rejects with an
   * AmbitError that grpcStatusOf() translates; whatever happens is counted and logged with the caller.
   */
  async createCertificate(request: CreateCertificateRequest, caller: Caller): Promise<readonly string[]> {
    const who = {
      caller: accountOf(caller),
      pod: caller.podName,
      node: this.#options.authorization.nodeOf(caller),
    };
    try {
      const { identity, issued } = await this.#sign(request, caller);
      this.counters.signed++;
      log.info('certificate signed', {
        identity,
        ...who,
        expires: new Date(issued.notAfterMs).toISOString(),
      });
      return issued.chain;
    } catch (thrown) {
      const code = thrown instanceof AmbitError ? thrown.code : 'INTERNAL';
      this.counters.refused.set(code, (this.counters.refused.get(code) ?? 0) + 1);
      log.warn('no certificate was signed', { ...who, code, reason: messageOf(thrown) });
      throw thrown;
    }
  }

  async #sign(
    request: CreateCertificateRequest,
    caller: Caller,
  ): Promise<{ readonly identity: string; readonly issued: IssuedCertificate }> {
    const { authority, authorization } = this.#options;
    this.#limit(caller);
    const { publicKeyDer, identity: named } = readCertificateRequest(request.csr);
    const impersonated = impersonatedIdentity(request.metadata);
    const identity = onlyIdentity(impersonated, named) ?? authorization.identityOf(caller);
    authorization.authorize(caller, identity);
    const ttlMs = request.validityDurationSeconds * 1000;
    const issued = await authority.signWorkload(identity, { publicKeyDer, ttlMs });
    return { identity: formatSpiffeId(identity), issued };
  }

  /** Before anything that costs time is done for the caller. */
  #limit(caller: Caller): void {
    const node = this.#options.authorization.nodeOf(caller);
    const key = node === undefined ? `account ${accountOf(caller)}` : `node ${node}`;
    if (this.#limiter.take(key, this.#options.clock.nowMs())) return;
    throw caErrors.AMBIT_CA_RATE_LIMITED(
      `${key} asks for more certificates than ${BURST} at once and ${REQUESTS_PER_SECOND} per second`,
    );
  }
}

function impersonatedIdentity(metadata: Readonly<Record<string, unknown>>): SpiffeId | undefined {
  if (!Object.hasOwn(metadata, IMPERSONATED_IDENTITY)) return undefined;
  const value = metadata[IMPERSONATED_IDENTITY];
  const identity = typeof value === 'string' ? parseSpiffeId(value) : undefined;
  if (identity !== undefined) return identity;
  const shown = typeof value === 'string' ? `"${value.slice(0, MAX_SHOWN)}"` : `of type ${typeof value}`;
  throw caErrors.AMBIT_IDENTITY_AMBIGUOUS(`${IMPERSONATED_IDENTITY} ${shown} is not a SPIFFE ID of the mesh`);
}

function onlyIdentity(impersonated: SpiffeId | undefined, named: SpiffeId | undefined): SpiffeId | undefined {
  if (impersonated === undefined || named === undefined) return impersonated ?? named;
  if (formatSpiffeId(impersonated) === formatSpiffeId(named)) return named;
  throw caErrors.AMBIT_IDENTITY_AMBIGUOUS(
    `the request is for ${formatSpiffeId(named)}, its metadata for ${formatSpiffeId(impersonated)}`,
  );
}
