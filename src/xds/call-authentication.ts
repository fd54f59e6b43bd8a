/** Says who a call is from before anything of it is read. */

import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import { grpcErrors } from './grpc/errors.ts';
import { GRPC_ERROR_PREFIX } from './grpc/grpc-status.ts';
import type { GrpcCall } from './grpc/server-call.ts';

const log = logger('xds');
const BEARER = /^bearer +(\S+)$/i;

/**
 * Who a call is from. Undefined means nobody that is known; so does an error, unless it is one of gRPC's (such as
 * UNAVAILABLE while tokens cannot be checked), which the client is then answered.
 */
export type Authenticate<Caller> = (call: GrpcCall) => Promise<Caller | undefined>;

/** Throws UNAUTHENTICATED, or the gRPC error of the authenticator. */
export async function authenticateCall<Caller>(
  authenticate: Authenticate<Caller>,
  call: GrpcCall,
): Promise<Caller> {
  try {
    const caller = await authenticate(call);
    if (caller !== undefined) return caller;
  } catch (thrown) {
    log.warn('a call was not authenticated', { peer: call.peer, path: call.path, reason: messageOf(thrown) });
    if (thrown instanceof AmbitError && thrown.code.startsWith(GRPC_ERROR_PREFIX)) throw thrown;
  }
  throw grpcErrors.AMBIT_GRPC_UNAUTHENTICATED('the caller is not known');
}

/** The token of `authorization: Bearer <token>`. */
export function bearerToken(call: Pick<GrpcCall, 'metadata'>): string | undefined {
  return BEARER.exec(call.metadata.get('authorization') ?? '')?.[1];
}
