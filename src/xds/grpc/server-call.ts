/** One call at a gRPC server: what the handler is told of it, and how it is ended. */

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { grpcErrors } from './errors.ts';
import { GRPC_CONTENT_TYPE, type GrpcMetadata, parseGrpcTimeout, readMetadata } from './grpc-metadata.ts';
import { encodeGrpcMessage, GRPC_STATUS, type GrpcStatus, statusOfError } from './grpc-status.ts';

/** What a handler knows of a call. */
export interface GrpcCall {
  readonly path: string;
  readonly metadata: GrpcMetadata;
  /** `ip:port` of the client. */
  readonly peer: string;
  /** DER of the client's certificate, when it showed one that verified. */
  readonly clientCertificate: Uint8Array | undefined;
  /** Aborted when the client gave up, went away or the deadline passed, and when the server stops. */
  readonly signal: AbortSignal;
}

export function describeCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  signal: AbortSignal,
): GrpcCall {
  const socket = stream.session?.socket;
  return {
    path: String(headers[':path']),
    metadata: readMetadata(headers),
    peer: socket === undefined ? '' : `${socket.remoteAddress}:${socket.remotePort}`,
    clientCertificate: verifiedCertificate(socket as TLSSocket | undefined),
    signal,
  };
}

function verifiedCertificate(socket: TLSSocket | undefined): Uint8Array | undefined {
  return socket?.authorized === true ? socket.getPeerX509Certificate()?.raw : undefined;
}

/** Why a request is not even a call; undefined when it is one. */
export function refusalOf(headers: IncomingHttpHeaders): GrpcStatus | undefined {
  if (headers[':method'] !== 'POST' || !headers['content-type']?.startsWith(GRPC_CONTENT_TYPE)) {
    return { code: GRPC_STATUS.UNKNOWN, message: 'this is a gRPC server' };
  }
  const encoding = headers['grpc-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    return { code: GRPC_STATUS.UNIMPLEMENTED, message: `compression ${encoding} is not supported` };
  }
  return undefined;
}

/** Trailers-Only: the status in the one and only header block. */
export function refuseCall(stream: ServerHttp2Stream, status: GrpcStatus): void {
  if (stream.destroyed || stream.closed) return;
  const headers = { ':status': 200, 'content-type': GRPC_CONTENT_TYPE, ...statusHeaders(status) };
  stream.respond(headers, { endStream: true });
  stopRequest(stream);
}

/** Ends the response with a status. May be called again: the first status counts. */
export function finishCall(stream: ServerHttp2Stream, status: GrpcStatus): void {
  if (stream.destroyed || stream.closed || stream.writableEnded) return;
  stream.once('wantTrailers', () => {
    stream.sendTrailers(statusHeaders(status));
    stopRequest(stream);
  });
  stream.end();
}

/** RFC 9113 §8.1: after the whole response, RST_STREAM with NO_ERROR says that the rest of the request is not wanted. */
function stopRequest(stream: ServerHttp2Stream): void {
  setImmediate(() => {
    if (!stream.destroyed && !stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
  });
}

function statusHeaders(status: GrpcStatus): Record<string, string> {
  const code = { 'grpc-status': String(status.code) };
  return status.message === '' ? code : { ...code, 'grpc-message': encodeGrpcMessage(status.message) };
}

/**
 * Aborts the call when the stream closes or its deadline passes; once aborted, for these or another reason, the
 * client is answered at once, whatever the handler is doing. Returns what ends the watch.
 */
export function limitCall(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  abort: AbortController,
): () => void {
  const timeoutMs = parseGrpcTimeout(headers['grpc-timeout'] as string | undefined);
  const onDeadline = (): void =>
    abort.abort(grpcErrors.AMBIT_GRPC_DEADLINE_EXCEEDED('the deadline of the call'));
  const timer = timeoutMs === undefined ? undefined : setTimeout(onDeadline, timeoutMs).unref();
  const onClose = (): void => abort.abort(grpcErrors.AMBIT_GRPC_CANCELLED('the client went away'));
  stream.once('close', onClose);
  abort.signal.addEventListener('abort', () => finishCall(stream, statusOfError(abort.signal.reason)));
  return () => {
    clearTimeout(timer);
    stream.off('close', onClose);
  };
}
