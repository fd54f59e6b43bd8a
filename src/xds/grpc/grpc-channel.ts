/** A gRPC client: one HTTP/2 session to one server, opened when a call needs it and again when it was lost. */

import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { messageOf } from '../../base/errors.ts';
import { abortError, cancelOnAbort, GrpcClientCall } from './client-call.ts';
import { grpcErrors } from './errors.ts';
import { type GrpcMetadata, requestHeaders } from './grpc-metadata.ts';
import { DEFAULT_KEEP_ALIVE, type KeepAlive, keepAlive } from './keep-alive.ts';
import { onlyMessage } from './message-framing.ts';
import { type DialTarget, dialSession, type TrustedRoots } from './session-dialler.ts';

/** Bytes; the largest push of a control plane that is taken (as Istio's ztunnel). */
export const MAX_RESPONSE_BYTES = 200 * 1024 * 1024;

export interface GrpcChannelOptions {
  readonly target: DialTarget;
  /** Asked anew for every connection. `plaintext` is for tests. */
  readonly roots: (() => TrustedRoots) | 'plaintext';
  readonly connectTimeoutMs?: number;
  readonly keepAlive?: KeepAlive;
}

export interface CallOptions {
  readonly metadata: GrpcMetadata;
  readonly signal?: AbortSignal;
  /** Told to the server, and kept here. */
  readonly timeoutMs?: number;
}

type ChannelState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'connecting'; readonly session: Promise<ClientHttp2Session> }
  | { readonly kind: 'ready'; readonly session: ClientHttp2Session }
  | { readonly kind: 'closed' };

export class GrpcChannel {
  readonly #options: GrpcChannelOptions;
  #state: ChannelState = { kind: 'idle' };

  constructor(options: GrpcChannelOptions) {
    this.#options = options;
  }

  get state(): ChannelState['kind'] {
    return this.#state.kind;
  }

  /** Opens the connection that otherwise the first call opens. Throws UNAVAILABLE when there is none. */
  async connect(): Promise<void> {
    await this.#session();
  }

  /** One request, one response. Throws the error of the status when it is not OK. */
  async unary(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    const call = await this.open(path, options);
    // A server that refuses need not read the request; its status then comes from the responses.
    call.write(request).then(
      () => call.end(),
      () => {},
    );
    return onlyMessage(call.messages());
  }

  /** Begins a call with any number of requests and responses. Throws UNAVAILABLE when there is no connection. */
  async open(path: string, options: CallOptions): Promise<GrpcClientCall> {
    const { timeoutMs } = options;
    const deadline = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)];
    const signals = [...deadline, ...(options.signal === undefined ? [] : [options.signal])];
    const signal = signals.length === 0 ? undefined : AbortSignal.any(signals);
    const session = await unlessAborted(this.#session(), signal);
    const stream = request(session, path, options);
    const call = new GrpcClientCall(session, stream, MAX_RESPONSE_BYTES);
    stream.once('close', cancelOnAbort(call, signal));
    return call;
  }

  /** The next call opens a new connection; calls that run keep theirs. For new roots. */
  renew(): void {
    if (this.#state.kind === 'ready') this.#state.session.close();
    if (this.#state.kind !== 'closed') this.#state = { kind: 'idle' };
  }

  /** Cuts the connection and every call on it. */
  close(): void {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    if (state.kind === 'ready') state.session.destroy();
  }

  #session(): Promise<ClientHttp2Session> {
    const state = this.#state;
    if (state.kind === 'closed') throw grpcErrors.AMBIT_GRPC_UNAVAILABLE('the channel is closed');
    if (state.kind === 'ready' && !state.session.closed) return Promise.resolve(state.session);
    if (state.kind === 'connecting') return state.session;
    const session = this.#dial();
    const connecting: ChannelState = { kind: 'connecting', session };
    this.#state = connecting;
    session.then(
      (ready) => this.#onDialled(connecting, ready),
      () => this.#become(connecting, { kind: 'idle' }),
    );
    return session;
  }

  #dial(): Promise<ClientHttp2Session> {
    const { target, roots, connectTimeoutMs } = this.#options;
    return dialSession(target, roots === 'plaintext' ? roots : roots(), connectTimeoutMs);
  }

  #onDialled(connecting: ChannelState, session: ClientHttp2Session): void {
    const ready: ChannelState = { kind: 'ready', session };
    if (this.#state.kind === 'closed') session.destroy();
    else if (!this.#become(connecting, ready)) session.close();
    session.once('goaway', () => this.#become(ready, { kind: 'idle' }));
    session.once('close', () => this.#become(ready, { kind: 'idle' }));
    keepAlive(session, this.#options.keepAlive ?? DEFAULT_KEEP_ALIVE, () => session.destroy());
  }

  /** Unless something else has happened since. */
  #become(expected: ChannelState, next: ChannelState): boolean {
    if (this.#state !== expected) return false;
    this.#state = next;
    return true;
  }
}

function request(session: ClientHttp2Session, path: string, options: CallOptions): ClientHttp2Stream {
  try {
    return session.request(requestHeaders(path, options.metadata, options.timeoutMs), { endStream: false });
  } catch (thrown) {
    throw grpcErrors.AMBIT_GRPC_UNAVAILABLE(`the connection was lost: ${messageOf(thrown)}`, thrown);
  }
}

/** A dial goes on for the next caller when this one has given up. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal));
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
