/** A CONNECT request at the server, from its arrival to its answer. */

import type { HeaderList } from '../http/header-list.ts';
import { Http2ErrorCode } from '../http/http2-error-code.ts';
import type { Http2Stream, Http2StreamHandler } from '../http/http2-stream.ts';
import type { Reactor, Timer } from '../io/reactor.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import { ConnectStatus, responseHeaders } from './connect-request.ts';
import { RESPONSE_TIMEOUT_MS } from './hbone-settings.ts';
import type { HeldAccount } from './held-account.ts';
import { HeldBytes } from './held-bytes.ts';
import type { Tunnel } from './tunnel.ts';

/** How a request is answered; either may happen later, in another turn. */
export interface ConnectResponder {
  /** Answers with 200 and opens the tunnel; undefined when the peer has given up meanwhile. */
  accept(headers: HeaderList): Tunnel | undefined;
  /** Answers with that status and nothing else. */
  refuse(status: number): void;
  /** Calls back when the peer gives up, or the answer took too long, before there was one. */
  whenCancelled(callback: () => void): void;
}

/** Holds what the client sends before it has an answer; flow control bounds that. */
export class PendingConnect implements Http2StreamHandler, ConnectResponder {
  readonly #stream: Http2Stream;
  readonly #timer: Timer;
  readonly #early = new HeldBytes();
  #onCancelled: (() => void) | undefined;
  #ended = false;
  #state: 'waiting' | 'accepted' | 'refused' = 'waiting';

  /** Becomes the handler of the stream. @param account whose bytes the client's are until they are delivered */
  constructor(stream: Http2Stream, reactor: Reactor, account: HeldAccount) {
    this.#stream = stream;
    this.#early.chargeTo(account);
    this.#timer = reactor.setTimer(RESPONSE_TIMEOUT_MS, () => this.#onTimeout());
    stream.handler = this;
  }

  whenCancelled(callback: () => void): void {
    this.#onCancelled = callback;
  }

  accept(headers: HeaderList): Tunnel | undefined {
    if (!this.#answer('accepted')) return undefined;
    this.#stream.sendHeaders(headers, false);
    return { stream: this.#stream, early: this.#early, ended: this.#ended };
  }

  refuse(status: number): void {
    if (!this.#answer('refused')) return;
    this.#dropEarly();
    this.#stream.sendHeaders(responseHeaders(status), true);
    // What the client may still send interests nobody (RFC 9113 §8.1); but a reset would overtake a waiting answer.
    if (!this.#ended && this.#stream.headersWaiting === 0) this.#stream.reset(Http2ErrorCode.noError);
  }

  onHeaders(): void {}

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    if (this.#state === 'refused') return this.#stream.consumed(length);
    this.#early.append(buffer, offset, length);
    if (!this.#early.overdrawn) return;
    this.refuse(ConnectStatus.unavailable);
    this.#onCancelled?.();
  }

  onEnd(): void {
    this.#ended = true;
  }

  onReset(): void {
    if (!this.#answer('refused')) return;
    this.#dropEarly();
    this.#onCancelled?.();
  }

  onWritable(): void {}

  #onTimeout(): void {
    this.refuse(ConnectStatus.unavailable);
    this.#onCancelled?.();
  }

  /** True once. */
  #answer(state: 'accepted' | 'refused'): boolean {
    if (this.#state !== 'waiting') return false;
    this.#state = state;
    this.#timer.cancel();
    return true;
  }

  #dropEarly(): void {
    const dropped = this.#early.discard();
    if (dropped > 0) this.#stream.consumed(dropped);
  }
}
