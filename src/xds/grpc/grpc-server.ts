/** A gRPC server over node:http2: unary and streaming methods, whose handlers take and give bytes. */

import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import { grpcErrors } from './errors.ts';
import { GRPC_CONTENT_TYPE } from './grpc-metadata.ts';
import { GRPC_STATUS, statusOfError } from './grpc-status.ts';
import { DEFAULT_KEEP_ALIVE, type KeepAlive, keepAlive } from './keep-alive.ts';
import { onlyMessage, type PiecewiseMessage, readMessages, writeMessage } from './message-framing.ts';
import { describeCall, finishCall, type GrpcCall, limitCall, refusalOf, refuseCall } from './server-call.ts';

/** A node has one stream for xDS and a few calls for certificates. */
const MAX_STREAMS_PER_CONNECTION = 100;
/** Two or three per node; a flood of connections must not eat the descriptors. */
const MAX_CONNECTIONS = 20_000;
/** Bytes; a token with long claims fits, a memory attack does not. */
const MAX_HEADER_LIST_BYTES = 32 * 1024;
/** Bytes; the names and versions of some hundred thousand resources. */
const MAX_REQUEST_BYTES = 32 * 1024 * 1024;
/** Bytes; requests that have arrived and were not read yet, per stream and per connection. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
/** A peer that resets more streams per second than this, after a burst, is cut off (CVE-2023-44487). */
const STREAM_RESET_BURST = 200;
const STREAM_RESETS_PER_SECOND = 20;
/** MB; above it Node refuses streams. Windows and pieces of responses count, so it must be well above them. */
const MAX_SESSION_MEMORY_MB = 64;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** A connection without a call is closed after this. */
const IDLE_TIMEOUT_MS = 5 * 60_000;
/**
 * How old a connection gets, less up to a fifth by chance: clients then choose a replica anew, so that one that was started
 * again gets its share.
 */
export const MAX_CONNECTION_AGE_MS = 30 * 60_000;
/** A client that takes no byte of a response for this long is gone. */
const WRITE_STALL_MS = 60_000;

const log = logger('grpc');

/** PEM texts. With trusted roots, client certificates are asked for; one that verifies is shown to the handlers. */
export interface ServerCredentials {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustedRootsPem?: string;
}

export interface GrpcServerOptions {
  /** `plaintext` is for tests. */
  readonly credentials: ServerCredentials | 'plaintext';
  readonly keepAlive?: KeepAlive;
  /** Other than {@link MAX_CONNECTION_AGE_MS}, for tests. */
  readonly maxAgeMs?: number;
}

export interface ResponseWriter {
  /** Resolves when the next message may be written; throws when the stream is gone. */
  write(message: Uint8Array | PiecewiseMessage): Promise<void>;
}

export type UnaryHandler = (request: Uint8Array, call: GrpcCall) => Promise<Uint8Array>;

/** The call ends when the promise settles: with OK, or with the status of what it threw. */
export type StreamHandler = (
  requests: AsyncIterable<Uint8Array>,
  responses: ResponseWriter,
  call: GrpcCall,
) => Promise<void>;

type Method = { readonly maxRequestBytes: number } & (
  | { readonly kind: 'unary'; readonly handle: UnaryHandler }
  | { readonly kind: 'stream'; readonly handle: StreamHandler }
);

export interface GrpcServerCounters {
  connections: number;
  calls: number;
  failures: number;
}

export class GrpcServer {
  readonly counters: GrpcServerCounters = { connections: 0, calls: 0, failures: 0 };
  readonly #server: Http2Server | Http2SecureServer;
  readonly #methods = new Map<string, Method>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #calls = new Set<AbortController>();
  /** Streams of a connection, which end when it has become old; unary calls end by themselves. */
  readonly #streamsOf = new WeakMap<object, Set<AbortController>>();
  readonly #keepAlive: KeepAlive;
  readonly #maxAgeMs: number;

  constructor(options: GrpcServerOptions) {
    this.#keepAlive = options.keepAlive ?? DEFAULT_KEEP_ALIVE;
    this.#maxAgeMs = options.maxAgeMs ?? MAX_CONNECTION_AGE_MS;
    this.#server = makeServer(options.credentials);
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('session', (session) => this.#onSession(session as ServerHttp2Session));
    this.#server.on('error', (error) => log.warn('the gRPC server failed', { error: error.message }));
    this.#server.on('sessionError', logConnectionFailure);
    this.#server.on('tlsClientError', logConnectionFailure);
  }

  /** The handler gets a request that is complete, so its size should be bounded as closely as can be. */
  addUnary(path: string, handle: UnaryHandler, maxRequestBytes: number = MAX_REQUEST_BYTES): void {
    this.#methods.set(path, { kind: 'unary', handle, maxRequestBytes });
  }

  addStream(path: string, handle: StreamHandler, maxRequestBytes: number = MAX_REQUEST_BYTES): void {
    this.#methods.set(path, { kind: 'stream', handle, maxRequestBytes });
  }

  /** Resolves with the port that is listened on. Rejects when the address cannot be had. */
  listen(address: { readonly host?: string; readonly port: number }): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ ...address }, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Connections made from now on get these credentials; those that are open keep theirs. */
  setSecureContext(credentials: ServerCredentials): void {
    (this.#server as Http2SecureServer).setSecureContext(tlsOptions(credentials));
  }

  /** Stops listening, ends every call with UNAVAILABLE, and cuts what is left after the grace period. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const call of this.#calls) call.abort(grpcErrors.AMBIT_GRPC_UNAVAILABLE('the server is stopping'));
    for (const session of this.#sessions) session.close();
    const force = setTimeout(() => {
      for (const session of this.#sessions) session.destroy();
    }, graceMs);
    await closed;
    clearTimeout(force);
  }

  #onSession(session: ServerHttp2Session): void {
    this.counters.connections++;
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.on('error', logConnectionFailure);
    session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    session.on('stream', (stream, headers) => void this.#onStream(stream, headers));
    keepAlive(session, this.#keepAlive, () => session.destroy());
    closeWhenIdle(session);
    this.#closeWhenOld(session);
  }

  #closeWhenOld(session: ServerHttp2Session): void {
    const streams = new Set<AbortController>();
    this.#streamsOf.set(session, streams);
    const close = (): void => {
      session.close();
      for (const stream of streams) stream.abort(grpcErrors.AMBIT_GRPC_UNAVAILABLE('the connection is old'));
    };
    const timer = setTimeout(close, this.#maxAgeMs * (1 - Math.random() / 5)).unref();
    session.once('close', () => clearTimeout(timer));
  }

  async #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', logConnectionFailure);
    const refusal = refusalOf(headers);
    if (refusal !== undefined) return refuseCall(stream, refusal);
    const path = String(headers[':path']);
    const method = this.#methods.get(path);
    if (method === undefined) {
      return refuseCall(stream, { code: GRPC_STATUS.UNIMPLEMENTED, message: `no method ${path}` });
    }
    await this.#answer(method, stream, headers);
  }

  async #answer(method: Method, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    this.counters.calls++;
    const abort = new AbortController();
    this.#calls.add(abort);
    const streams = method.kind === 'stream' ? this.#streamsOf.get(stream.session ?? stream) : undefined;
    streams?.add(abort);
    const endLimit = limitCall(stream, headers, abort);
    try {
      stream.respond({ ':status': 200, 'content-type': GRPC_CONTENT_TYPE }, { waitForTrailers: true });
      await this.#run(method, stream, describeCall(stream, headers, abort.signal));
      finishCall(stream, { code: GRPC_STATUS.OK, message: '' });
    } catch (thrown) {
      this.#fail(stream, thrown);
    } finally {
      endLimit();
      this.#calls.delete(abort);
      streams?.delete(abort);
    }
  }

  async #run(method: Method, stream: ServerHttp2Stream, call: GrpcCall): Promise<void> {
    const requests = readMessages(stream, method.maxRequestBytes);
    const write: ResponseWriter['write'] = (message) => writeMessage(stream, message, WRITE_STALL_MS);
    if (method.kind === 'stream') await method.handle(requests, { write }, call);
    else await write(await method.handle(await onlyMessage(requests), call));
  }

  #fail(stream: ServerHttp2Stream, thrown: unknown): void {
    this.counters.failures++;
    if (!(thrown instanceof AmbitError)) log.error('a gRPC handler failed', { error: messageOf(thrown) });
    finishCall(stream, statusOfError(thrown));
  }
}

function makeServer(credentials: ServerCredentials | 'plaintext'): Http2Server | Http2SecureServer {
  const options: ServerOptions = {
    maxSessionMemory: MAX_SESSION_MEMORY_MB,
    streamResetBurst: STREAM_RESET_BURST,
    streamResetRate: STREAM_RESETS_PER_SECOND,
    settings: {
      maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION,
      maxHeaderListSize: MAX_HEADER_LIST_BYTES,
      initialWindowSize: STREAM_WINDOW_BYTES,
    },
  };
  if (credentials === 'plaintext') return createServer(options);
  return createSecureServer({
    ...options,
    ...tlsOptions(credentials),
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.2',
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    requestCert: credentials.trustedRootsPem !== undefined,
    rejectUnauthorized: false,
  });
}

function tlsOptions(credentials: ServerCredentials): { cert: string; key: string; ca?: string } {
  const { certificateChainPem: cert, privateKeyPem: key, trustedRootsPem: ca } = credentials;
  return ca === undefined ? { cert, key } : { cert, key, ca };
}

/** PINGs keep a session busy in Node's eyes, so the calls on it are counted here. */
function closeWhenIdle(session: ServerHttp2Session): void {
  let calls = 0;
  const close = (): void => session.close();
  let timer = setTimeout(close, IDLE_TIMEOUT_MS).unref();
  session.once('close', () => clearTimeout(timer));
  session.on('stream', (stream) => {
    calls++;
    clearTimeout(timer);
    stream.once('close', () => {
      if (--calls === 0 && !session.destroyed) timer = setTimeout(close, IDLE_TIMEOUT_MS).unref();
    });
  });
}

function logConnectionFailure(error: Error): void {
  log.debug('a gRPC connection or stream failed', { error: error.message });
}
