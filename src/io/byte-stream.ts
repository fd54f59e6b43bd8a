/** What HTTP runs over: bytes in, bytes out, plain or encrypted. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import type { ByteQueue } from './byte-queue.ts';
import type { Reactor } from './reactor.ts';

export interface ByteStreamHandler {
  /** The connection (and the TLS handshake) is done. */
  onOpen(): void;
  /** Bytes were added to `input`; what the handler leaves stays in front. */
  onInput(): void;
  /** The peer will send no more. */
  onInputEnd(): void;
  /** After `outputSpace()` was small or zero there is room again. */
  onOutputSpace(): void;
  /** Exactly once. */
  onClosed(error: AmbitError | undefined): void;
}

export interface ByteStream {
  handler: ByteStreamHandler;
  readonly reactor: Reactor;
  /** Filled before onInput(). Its buffer is another one in another turn, never during a callback. */
  readonly input: ByteQueue;
  /** Append at `output.end` within `output.space()`, then {@link flushSoon}: sealed and sent once, later in the turn. */
  readonly output: ByteQueue;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  /**
   * Bytes that should be appended now: 0 while the kernel does not take more. Whoever finds less than half of the
   * queue's capacity is told by onOutputSpace(). Small control messages may go beyond it, up to `output.space()`.
   */
  outputSpace(): number;
  /** Since when the kernel has not taken all that was offered at a time, on the reactor's clock; undefined: it takes all. */
  readonly outputBlockedSinceMs: number | undefined;
  flushSoon(): void;
  /** No onInput() or onInputEnd() until {@link resumeInput}; the peer is slowed down by TCP. */
  pauseInput(): void;
  resumeInput(): void;
  /** To be called out of onInput(): what is left in `input` is offered again in another turn, after others' work. */
  yieldInput(): void;
  /** After everything appended so far: close_notify (TLS) and FIN. Input goes on. */
  shutdownOutput(): void;
  /** Closes now; output that was not flushed is lost, with an error given the peer sees a reset. */
  close(error?: AmbitError): void;
}
