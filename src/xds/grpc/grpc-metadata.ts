/** Metadata of a gRPC call: the HTTP/2 headers that are the application's, by lower-case name. */

import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';

export type GrpcMetadata = ReadonlyMap<string, string>;

/** https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export const GRPC_CONTENT_TYPE = 'application/grpc';

const RESERVED = new Set(['content-type', 'te', 'user-agent', 'host', 'connection']);
/** RFC 9110 §5.5 without obs-text: what gRPC calls ASCII-Value. */
const ASCII_VALUE = /^[\x20-\x7e]*$/;
const NAME = /^[0-9a-z_.-]+$/;

/** The first value counts where a name comes several times. */
export function readMetadata(headers: IncomingHttpHeaders): GrpcMetadata {
  const metadata = new Map<string, string>();
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':') || name.startsWith('grpc-') || RESERVED.has(name) || value === undefined)
      continue;
    metadata.set(name, Array.isArray(value) ? (value[0] ?? '') : value);
  }
  return metadata;
}

/** Whether a name and value may be sent as metadata. */
export function isMetadata(name: string, value: string): boolean {
  return NAME.test(name) && !name.startsWith('grpc-') && !RESERVED.has(name) && ASCII_VALUE.test(value);
}

/** The headers that begin a call. */
export function requestHeaders(
  path: string,
  metadata: GrpcMetadata,
  timeoutMs: number | undefined,
): OutgoingHttpHeaders {
  return {
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: path,
    te: 'trailers',
    'content-type': GRPC_CONTENT_TYPE,
    'user-agent': 'ambit',
    ...(timeoutMs === undefined ? {} : { 'grpc-timeout': `${Math.ceil(timeoutMs)}m` }),
    ...Object.fromEntries(metadata),
  };
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 0.001,
  n: 0.000001,
};
/** What a timer of Node can hold. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** `grpc-timeout`: at most eight digits and a unit; undefined when there is none, or it is not one. */
export function parseGrpcTimeout(value: string | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(value ?? '');
  if (match === null) return undefined;
  return Math.min(MAX_TIMEOUT_MS, Math.ceil(Number(match[1]) * UNIT_MS[match[2]!]!));
}
