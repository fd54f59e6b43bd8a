/** Asks a certificate authority to sign, by istio.v1.auth.IstioCertificateService (istio-ambient §5.1). */

import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import type { CertificateClient } from '../identity/certificate-slot.ts';
import { logger } from '../telemetry/log.ts';
import type { CallCredentials } from './call-credentials.ts';
import {
  CREATE_CERTIFICATE_PATH,
  IMPERSONATED_IDENTITY,
  IstioCertificateRequest,
  IstioCertificateResponse,
} from './certificate-messages.ts';
import { xdsErrors } from './errors.ts';
import { GrpcChannel } from './grpc/grpc-channel.ts';
import type { DialTarget } from './grpc/session-dialler.ts';
import { type RootSource, readRoots, watchRoots } from './root-certificates.ts';

/** For one request, dialling included. A connection may be waiting for the certificate. */
const REQUEST_TIMEOUT_MS = 10_000;

const log = logger('ca-client');

export interface GrpcCertificateClientOptions {
  readonly target: DialTarget;
  /** `plaintext` is for tests. */
  readonly roots: RootSource | 'plaintext';
  readonly credentials: CallCredentials;
  readonly timeoutMs?: number;
}

export class GrpcCertificateClient implements CertificateClient {
  readonly #options: GrpcCertificateClientOptions;
  readonly #channel: GrpcChannel;
  readonly #unwatch: () => void;

  constructor(options: GrpcCertificateClientOptions) {
    const { target, roots } = options;
    this.#options = options;
    this.#channel = new GrpcChannel({
      target,
      roots: roots === 'plaintext' ? roots : () => readRoots(roots),
    });
    this.#unwatch = roots === 'plaintext' ? () => {} : watchRoots(roots, () => this.#onNewRoots());
  }

  /**
   * PEM texts: the leaf, intermediates, roots. Rejects with the gRPC error of the answer, with
   * AMBIT_CERTIFICATE_RESPONSE_EMPTY, or with what kept the request from being sent.
   */
  async sign(csrPem: string, identity: SpiffeId, ttlSeconds: number, signal: AbortSignal): Promise<string[]> {
    const { credentials, timeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    const uri = formatSpiffeId(identity);
    const request = IstioCertificateRequest.encode({
      csr: csrPem,
      validityDuration: ttlSeconds,
      metadata: { [IMPERSONATED_IDENTITY]: uri },
    });
    const metadata = await credentials.metadata();
    const answer = await this.#channel.unary(CREATE_CERTIFICATE_PATH, request, {
      metadata,
      signal,
      timeoutMs,
    });
    const { certChain } = IstioCertificateResponse.decode(answer);
    if (certChain.length >= 2) return [...certChain];
    throw xdsErrors.AMBIT_CERTIFICATE_RESPONSE_EMPTY(
      `${certChain.length} certificates for ${uri}, where a leaf and a root are the least`,
    );
  }

  /** Ahead of the first request, which would wait for it. What fails now shows there as well. */
  connect(): void {
    this.#channel.connect().catch(() => {});
  }

  close(): void {
    this.#unwatch();
    this.#channel.close();
  }

  #onNewRoots(): void {
    log.info('the root certificate has changed: the next request connects anew');
    this.#channel.renew();
  }
}
