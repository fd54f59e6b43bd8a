/** How a gRPC call ended: the status codes, each with its error, and their form in trailers. */

import { AmbitError } from '../../base/errors.ts';
import { grpcErrors } from './errors.ts';

/** https://github.com/grpc/grpc/blob/master/doc/statuscodes.md */
export const GRPC_STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type GrpcStatusName = keyof typeof GRPC_STATUS;
export type GrpcFailure = Exclude<GrpcStatusName, 'OK'>;

/** Of the codes of these errors; the name of the status follows. */
export const GRPC_ERROR_PREFIX = 'AMBIT_GRPC_';
const NAME_OF = new Map(Object.entries(GRPC_STATUS).map(([name, code]) => [code as number, name]));

export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

/** The error for a status other than OK; a code that is not known counts as UNKNOWN, as gRPC demands. */
export function errorOfStatus(status: GrpcStatus, cause?: unknown): AmbitError {
  const name = (NAME_OF.get(status.code) ?? 'UNKNOWN') as GrpcFailure;
  return grpcErrors[`${GRPC_ERROR_PREFIX}${name}`](`${name}: ${status.message}`, cause);
}

/** The status to answer when a handler threw. What is not an error of ours may hold secrets and stays here. */
export function statusOfError(thrown: unknown): GrpcStatus {
  if (!(thrown instanceof AmbitError)) return { code: GRPC_STATUS.INTERNAL, message: 'internal error' };
  if (!thrown.code.startsWith(GRPC_ERROR_PREFIX)) {
    const malformed = thrown.code.startsWith('AMBIT_PROTOBUF_');
    return { code: malformed ? GRPC_STATUS.INVALID_ARGUMENT : GRPC_STATUS.INTERNAL, message: thrown.message };
  }
  const name = thrown.code.slice(GRPC_ERROR_PREFIX.length);
  const message = thrown.message.startsWith(`${name}: `)
    ? thrown.message.slice(name.length + 2)
    : thrown.message;
  return { code: GRPC_STATUS[name as GrpcFailure], message };
}

/** What an HTTP status means where a response has no gRPC status (gRPC's http-grpc-status-mapping.md). */
export function statusOfHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return GRPC_STATUS.INTERNAL;
    case 401:
      return GRPC_STATUS.UNAUTHENTICATED;
    case 403:
      return GRPC_STATUS.PERMISSION_DENIED;
    case 404:
      return GRPC_STATUS.UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
      return GRPC_STATUS.UNAVAILABLE;
    default:
      return GRPC_STATUS.UNKNOWN;
  }
}

/** grpc-message: bytes outside of printable ASCII, and `%`, in percent encoding. */
export function encodeGrpcMessage(message: string): string {
  let encoded = '';
  for (const byte of Buffer.from(message)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

/** Never fails: what is not percent encoding stays as it is, what is not UTF-8 becomes U+FFFD. */
export function decodeGrpcMessage(encoded: string): string {
  if (!encoded.includes('%')) return encoded;
  const latin1 = encoded.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(latin1, 'latin1').toString('utf8');
}
