/** One call at a gRPC client: messages out, messages in, and the status it ended with. */

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AmbitError } from '../../base/errors.ts';
import { grpcErrors } from './errors.ts';
import { GRPC_CONTENT_TYPE, type GrpcMetadata, readMetadata } from './grpc-metadata.ts';
import {
  decodeGrpcMessage,
  errorOfStatus,
  GRPC_STATUS,
  type GrpcStatus,
  statusOfHttp,
} from './grpc-status.ts';
import { type PiecewiseMessage, readMessages, writeMessage } from './message-framing.ts';

/** A server that takes no byte of a request for this long is gone. */
const WRITE_STALL_MS = 30_000;

export class GrpcClientCall {
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  readonly #maxResponseBytes: number;
  readonly #settled: Promise<void>;
  #settle: () => void = () => {};
  #metadata: GrpcMetadata | undefined;
  #status: GrpcStatus | undefined;
  #cancelled: AmbitError | undefined;
  #resetCode: number | undefined;

  constructor(session: ClientHttp2Session, stream: ClientHttp2Stream, maxResponseBytes: number) {
    this.#session = session;
    this.#stream = stream;
    this.#maxResponseBytes = maxResponseBytes;
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    // The close that follows says all there is to say.
    stream.on('error', () => {});
    stream.on('response', (headers) => this.#onHeaders(headers));
    stream.on('trailers', (headers) => this.#takeStatus(headers));
    stream.on('close', () => {
      this.#resetCode ??= stream.rstCode;
      this.#settle();
    });
  }

  /** What the server sent before its first message; undefined until then. */
  get metadata(): GrpcMetadata | undefined {
    return this.#metadata;
  }

  /** Resolves when the next message may be written. When it throws, {@link messages} tells why. */
  write(message: Uint8Array | PiecewiseMessage): Promise<void> {
    return writeMessage(this.#stream, message, WRITE_STALL_MS);
  }

  /** No more requests. */
  end(): void {
    if (!this.#stream.destroyed) this.#stream.end();
  }

  /** Gives the call up; {@link messages} throws the reason. */
  cancel(reason: AmbitError): void {
    this.#cancelled ??= reason;
    this.#stream.close(constants.NGHTTP2_CANCEL);
  }

  /** The responses in their order; throws the error of the status unless the call ended with OK. */
  async *messages(): AsyncGenerator<Uint8Array> {
    try {
      yield* readMessages(this.#stream, this.#maxResponseBytes);
    } catch (thrown) {
      const broken = thrown as AmbitError;
      // Not for a stream that broke: then a status may have come, which says more.
      if (broken.code !== 'AMBIT_GRPC_CANCELLED') this.cancel(broken);
    } finally {
      await this.#leave();
    }
    this.#throwUnlessOk();
  }

  /**
   * Waits for the status, which comes with the end of the responses if at all, and lets the stream go. Never by end()
   * and close(NO_ERROR) in one turn: Node 26.10 then loops for ever over an empty DATA frame when TLS is just writing.
   */
  async #leave(): Promise<void> {
    if (this.#status === undefined) await Promise.race([this.#settled, nextTurn()]);
    this.#resetCode ??= this.#stream.rstCode ?? constants.NGHTTP2_NO_ERROR;
    const over = this.#stream.writableEnded && this.#stream.readableEnded;
    if (!over) this.#stream.close(constants.NGHTTP2_CANCEL);
    // What has arrived and nobody wants would keep the stream from closing.
    this.#stream.resume();
    await this.#settled;
  }

  #throwUnlessOk(): void {
    if (this.#cancelled !== undefined) throw this.#cancelled;
    const status = this.#status ?? this.#statusOfBreak();
    if (status.code !== GRPC_STATUS.OK) throw errorOfStatus(status);
  }

  #statusOfBreak(): GrpcStatus {
    if (!this.#session.destroyed) return statusOfReset(this.#resetCode);
    return { code: GRPC_STATUS.UNAVAILABLE, message: 'the connection was lost' };
  }

  #onHeaders(headers: IncomingHttpHeaders): void {
    this.#metadata = readMetadata(headers);
    const httpStatus = Number(headers[':status']);
    if (headers['grpc-status'] !== undefined) this.#takeStatus(headers);
    else if (httpStatus !== 200 || !headers['content-type']?.startsWith(GRPC_CONTENT_TYPE)) {
      this.cancel(
        errorOfStatus({ code: statusOfHttp(httpStatus), message: `not a gRPC response, HTTP ${httpStatus}` }),
      );
    }
  }

  #takeStatus(headers: IncomingHttpHeaders): void {
    const code = Number.parseInt(String(headers['grpc-status'] ?? GRPC_STATUS.UNKNOWN), 10);
    const message = headers['grpc-message'];
    this.#status = { code, message: decodeGrpcMessage(typeof message === 'string' ? message : '') };
    this.#settle();
  }
}

/** gRPC's PROTOCOL-HTTP2.md, "Errors": what a stream means that ended without a status. */
function statusOfReset(code: number | undefined): GrpcStatus {
  const message = `the stream ended without a status (HTTP/2 code ${code})`;
  switch (code) {
    case constants.NGHTTP2_REFUSED_STREAM:
    case constants.NGHTTP2_NO_ERROR:
    case constants.NGHTTP2_INTERNAL_ERROR:
    case undefined:
      return { code: GRPC_STATUS.UNAVAILABLE, message };
    case constants.NGHTTP2_CANCEL:
      return { code: GRPC_STATUS.CANCELLED, message };
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return { code: GRPC_STATUS.RESOURCE_EXHAUSTED, message };
    case constants.NGHTTP2_INADEQUATE_SECURITY:
      return { code: GRPC_STATUS.PERMISSION_DENIED, message };
    default:
      return { code: GRPC_STATUS.INTERNAL, message };
  }
}

/** Cancels the call when the signal is aborted; returns what ends that watch. */
export function cancelOnAbort(call: GrpcClientCall, signal: AbortSignal | undefined): () => void {
  if (signal === undefined) return () => {};
  const onAbort = (): void => call.cancel(abortError(signal));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}

export function abortError(signal: AbortSignal): AmbitError {
  const reason: unknown = signal.reason;
  if (reason instanceof AmbitError) return reason;
  if (reason instanceof Error && reason.name === 'TimeoutError') {
    return grpcErrors.AMBIT_GRPC_DEADLINE_EXCEEDED('no answer in time');
  }
  return grpcErrors.AMBIT_GRPC_CANCELLED('given up by the caller');
}
