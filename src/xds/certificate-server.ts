/** The server end of istio.v1.auth.IstioCertificateService: hands decoded requests to whatever signs them. */

import { AmbitError } from '../base/errors.ts';
import { type Authenticate, authenticateCall } from './call-authentication.ts';
import {
  CREATE_CERTIFICATE_PATH,
  IstioCertificateRequest,
  IstioCertificateResponse,
} from './certificate-messages.ts';
import type { GrpcServer } from './grpc/grpc-server.ts';
import { errorOfStatus, GRPC_ERROR_PREFIX, GRPC_STATUS, type GrpcFailure } from './grpc/grpc-status.ts';
import type { GrpcCall } from './grpc/server-call.ts';
import type { JsonObject } from './struct-value.ts';

/** Bytes; a signing request with an RSA key of 8192 bits has 4,000. */
const MAX_REQUEST_BYTES = 64 * 1024;

export interface CreateCertificateRequest {
  /** PEM. */
  readonly csr: string;
  /** Life asked for; 0 leaves it to the CA. */
  readonly validityDurationSeconds: number;
  readonly metadata: JsonObject;
}

export interface CertificateServerOptions<Caller> {
  readonly authenticate: Authenticate<Caller>;
  /** PEM texts: leaf, intermediates, roots. */
  readonly createCertificate: (
    request: CreateCertificateRequest,
    caller: Caller,
  ) => Promise<readonly string[]>;
  /** The status to answer when {@link createCertificate} threw an error that is not one of gRPC's. */
  readonly statusOf?: (error: AmbitError) => GrpcFailure;
}

/** Serves the certificate service on this server. */
export function serveCertificates<Caller>(
  server: GrpcServer,
  options: CertificateServerOptions<Caller>,
): void {
  server.addUnary(
    CREATE_CERTIFICATE_PATH,
    (request, call) => answer(options, request, call),
    MAX_REQUEST_BYTES,
  );
}

async function answer<Caller>(
  options: CertificateServerOptions<Caller>,
  bytes: Uint8Array,
  call: GrpcCall,
): Promise<Uint8Array> {
  const caller = await authenticateCall(options.authenticate, call);
  const request = decodeRequest(bytes);
  try {
    const certChain = await options.createCertificate(request, caller);
    return IstioCertificateResponse.encode({ certChain });
  } catch (thrown) {
    const status = isForeign(thrown) ? options.statusOf?.(thrown) : undefined;
    if (!isForeign(thrown) || status === undefined) throw thrown;
    // gRPC has a handful of codes; by ours the other side finds out what to do.
    const message = `${thrown.message} (${thrown.code})`;
    throw errorOfStatus({ code: GRPC_STATUS[status], message }, thrown);
  }
}

function isForeign(thrown: unknown): thrown is AmbitError {
  return thrown instanceof AmbitError && !thrown.code.startsWith(GRPC_ERROR_PREFIX);
}

function decodeRequest(bytes: Uint8Array): CreateCertificateRequest {
  const { csr, validityDuration, metadata } = IstioCertificateRequest.decode(bytes);
  // A negative life is as good as none.
  return { csr, validityDurationSeconds: Math.max(0, validityDuration), metadata: metadata ?? {} };
}
