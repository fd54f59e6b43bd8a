/** One stream of an HTTP/2 connection (RFC 9113 §5): what its user writes to and hears from. */

import type { AmbitError } from '../base/errors.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { HeaderList } from './header-list.ts';
import { ReceiveWindow } from './receive-window.ts';

/**
 * Who ended a stream early. `peer`: its RST_STREAM. `goaway`: the peer said that it never handled the stream, so
 * the request may be sent again elsewhere (RFC 9113 §8.7). `connection`: the connection is gone. `violation`: the
 * peer broke the rules on this stream, and we reset it.
 */
export type ResetOrigin = 'peer' | 'goaway' | 'connection' | 'violation';

export interface Http2StreamHandler {
  /** Response fields (perhaps several times with a 1xx status before the final one), or trailers. */
  onHeaders(headers: HeaderList, endOfStream: boolean): void;
  /** Bytes in place, valid during the call. Each one must be given back once by {@link Http2Stream.consumed}. */
  onData(buffer: NativeBuffer, offset: number, length: number): void;
  /** The peer sends no more on this stream; once, and not after a reset. */
  onEnd(): void;
  /** The stream ended early; once, and not when {@link Http2Stream.reset} did it. `cause` is that of the connection. */
  onReset(errorCode: number, origin: ResetOrigin, cause?: AmbitError): void;
  /** After `writableBytes()` returned 0 there may be room. */
  onWritable(): void;
}

/** Takes the place of a handler that is not known yet, or any more. */
export const idleHandler: Http2StreamHandler = {
  onHeaders() {},
  onData() {},
  onEnd() {},
  onReset() {},
  onWritable() {},
};

/** What a stream asks of its connection. */
export interface StreamOwner {
  dataBuffer(): NativeBuffer;
  dataOffset(): number;
  writableBytes(stream: Http2Stream): number;
  sendData(stream: Http2Stream, length: number, endOfStream: boolean): void;
  sendHeaders(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): void;
  resetStream(stream: Http2Stream, errorCode: number): void;
  credit(stream: Http2Stream, bytes: number): void;
}

/** How a stream begins. */
export interface StreamStart {
  readonly id: number;
  readonly handler: Http2StreamHandler;
  readonly sendWindow: number;
  readonly receiveWindow: number;
  readonly announced: boolean;
}

/** Fields below `handler` belong to the connection. */
export class Http2Stream {
  readonly id: number;
  readonly #owner: StreamOwner;
  handler: Http2StreamHandler;
  /** Bytes that the peer lets us send; below zero after it made its window smaller. */
  sendWindow: number;
  readonly receiveWindow: ReceiveWindow;
  localEnded = false;
  remoteEnded = false;
  /** In no direction open any more. */
  closed = false;
  /** Final response headers have passed. */
  responded = false;
  /** In the queue of streams that want to write. */
  queued = false;
  /** Waits for the peer's WINDOW_UPDATE. */
  awaitsWindow = false;
  /** The peer has seen its HEADERS. */
  announced: boolean;
  /** Header blocks that wait for room in the output; DATA may not overtake them. */
  headersWaiting = 0;
  /** Body bytes that content-length still promises; -1 without one (RFC 9113 §8.1.1). */
  bodyRemaining = -1;

  constructor(owner: StreamOwner, start: StreamStart) {
    this.#owner = owner;
    this.id = start.id;
    this.handler = start.handler;
    this.sendWindow = start.sendWindow;
    this.receiveWindow = new ReceiveWindow(start.receiveWindow);
    this.announced = start.announced;
  }

  /** A response, or trailers. */
  sendHeaders(headers: HeaderList, endOfStream: boolean): void {
    if (!this.localEnded && !this.closed) this.#owner.sendHeaders(this, headers, endOfStream);
  }

  /** Bytes that {@link commitData} may be told now; 0: onWritable() follows, unless the stream has ended. */
  writableBytes(): number {
    return this.localEnded || this.closed ? 0 : this.#owner.writableBytes(this);
  }

  /** Where the payload of the next DATA frame goes; valid until anything else is sent on this connection. */
  get dataBuffer(): NativeBuffer {
    return this.#owner.dataBuffer();
  }

  dataOffset(): number {
    return this.#owner.dataOffset();
  }

  /** Sends what the caller has put at {@link dataOffset}. */
  commitData(length: number, endOfStream: boolean): void {
    if (!this.localEnded && !this.closed) this.#owner.sendData(this, length, endOfStream);
  }

  /** Ends our direction; queued behind header blocks that still wait. */
  endData(): void {
    this.commitData(0, true);
  }

  /** Ends both directions at once. Bytes that were received must still be given back. */
  reset(errorCode: number): void {
    if (!this.closed) this.#owner.resetStream(this, errorCode);
  }

  /** The application is done with that many received bytes: the peer may send as many again. */
  consumed(bytes: number): void {
    this.#owner.credit(this, bytes);
  }
}
