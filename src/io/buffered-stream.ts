/** What plain and encrypted byte streams have in common: queues, turns, pausing, half-close. */

import type { AmbitError } from '../base/errors.ts';
import type { SocketAddress } from '../base/ip.ts';
import { ByteQueue } from './byte-queue.ts';
import type { ByteStream, ByteStreamHandler } from './byte-stream.ts';
import type { Lane } from './lane.ts';
import type { Flushable, Reactor, Task } from './reactor.ts';
import type { TcpSocket, TcpSocketHandler } from './tcp-socket.ts';
import { FAILED, WOULD_BLOCK } from './tcp-socket.ts';

/** Of each queue, in bytes: four reads of 256 KiB move a MiB (design.md §4), and a send takes as much. */
export const QUEUE_CAPACITY = 256 * 1024;
/** A stream that moves as much at once is a long one: it is read and sent in slices, behind what others have to say. */
export const BULK_BYTES = 64 * 1024;

/**
 * Subclasses say how bytes get into `input` and out of `output`. They open by calling {@link opened} once, after
 * {@link begin}.
 */
export abstract class BufferedStream implements ByteStream, TcpSocketHandler, Task, Flushable {
  handler: ByteStreamHandler;
  readonly reactor: Reactor;
  readonly input = new ByteQueue(QUEUE_CAPACITY);
  readonly output = new ByteQueue(QUEUE_CAPACITY);
  protected readonly socket: TcpSocket;
  readonly #lane: Lane | undefined;
  #open = false;
  #begun = false;
  #closed = false;
  #paused = false;
  /** Leftover input is to be offered again, although nothing may have come. */
  #resumed = false;
  #readQueued = false;
  /** As the last read has shown. */
  #isBulk = false;
  /** The handler has had enough for this turn. */
  #yielded = false;
  #inputEnded = false;
  #flushQueued = false;
  /** So much was sent at once that what comes next is long work. */
  #sendsBulk = false;
  /** Made when it is first needed: most streams never do. */
  #longFlush: Task | undefined;
  /** The kernel did not take everything. */
  #blocked = false;
  outputBlockedSinceMs: number | undefined;
  #outputState: 'open' | 'ending' | 'ended' = 'open';

  /** @param lane where reading waits for its turn; without one it happens as soon as something has arrived. */
  constructor(socket: TcpSocket, handler: ByteStreamHandler, lane?: Lane) {
    this.socket = socket;
    this.#lane = lane;
    this.reactor = socket.reactor;
    this.handler = handler;
    socket.handler = this;
    if (socket.state === 'open') this.#queueRead();
  }

  /** Called once when the connection stands. */
  protected abstract begin(): void;
  /** Called when something arrives before {@link opened}. */
  protected abstract proceed(): void;
  /** Reads into `input` what is there and fits: bytes, 0 at the end, WOULD_BLOCK, or FAILED after closing. */
  protected abstract fill(): number;
  /** Hands `output` to the kernel; false when something is left for later. May close. */
  protected abstract drain(): boolean;
  /** Announces the end of output; false when even that has to wait. */
  protected abstract endOutput(): boolean;
  /** Called once when the socket is closed. */
  protected abstract dispose(): void;

  get localAddress(): SocketAddress {
    return this.socket.localAddress;
  }

  get remoteAddress(): SocketAddress {
    return this.socket.remoteAddress;
  }

  get closed(): boolean {
    return this.#closed;
  }

  outputSpace(): number {
    if (this.#blocked || !this.#open || this.#closed || this.#outputState !== 'open') return 0;
    return this.output.space();
  }

  flushSoon(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    if (this.#sendsBulk) this.#flushLater();
    else this.reactor.flushInTurn(this);
  }

  pauseInput(): void {
    this.#paused = true;
  }

  /** Leftover bytes are offered again, in a task of their own. Also after the queue had been left full. */
  resumeInput(): void {
    this.#paused = false;
    this.#resumed = true;
    this.#queueRead();
  }

  yieldInput(): void {
    this.#yielded = true;
    this.#resumed = true;
    this.#isBulk = true;
    this.#queueRead();
  }

  shutdownOutput(): void {
    if (this.#outputState !== 'open') return;
    this.#outputState = 'ending';
    this.flushSoon();
  }

  close(error?: AmbitError): void {
    if (error === undefined) this.socket.close();
    else this.socket.abort(error);
  }

  onConnected(): void {
    this.#begin();
  }

  onReadable(): void {
    if (!this.#begun) return;
    if (this.#inputEnded) this.socket.closeIfBroken();
    else if (this.#lane !== undefined || this.#isBulk) this.#queueRead();
    else this.#goOn();
  }

  onWritable(): void {
    this.flushSoon();
  }

  onClosed(error: AmbitError | undefined): void {
    this.#closed = true;
    this.dispose();
    // The turn's end gives the queues back: a callback that is running may still look at them.
    this.flushSoon();
    this.handler.onClosed(error);
  }

  onFailure(thrown: unknown): void {
    this.socket.onFailure(thrown);
  }

  /** A read put off: the first one, the rest of a long one, one after a pause, or any in a lane. */
  run(): void {
    this.#readQueued = false;
    if (this.#closed) return;
    if (this.#begun) this.#goOn();
    else this.#begin();
  }

  flush(): void {
    this.#flushQueued = false;
    if (this.#closed) {
      this.output.clear();
      this.output.settle();
      this.input.clear();
      this.input.settle();
      return;
    }
    const wasBlocked = this.#blocked;
    const { length } = this.output;
    this.#sendsBulk = length >= BULK_BYTES;
    const wasFull = length > QUEUE_CAPACITY / 2;
    this.#blocked = !this.drain() || !this.#endIfDue();
    if (!this.#blocked) this.outputBlockedSinceMs = undefined;
    else if (!wasBlocked || this.output.length < length) this.outputBlockedSinceMs = this.reactor.nowMs;
    if (this.#closed || this.#blocked) return;
    this.output.settle();
    if (this.#open && (wasBlocked || wasFull)) this.handler.onOutputSpace();
  }

  /** Calls {@link proceed} again, in a task of its own: what it takes to open is too much for one. */
  protected proceedLater(): void {
    this.#queueRead();
  }

  /** The stream is usable from now on. What has come already is read in a task of its own. */
  protected opened(): void {
    this.#open = true;
    this.handler.onOpen();
    if (this.output.length > 0 || this.#outputState === 'ending') this.flushSoon();
    this.#queueRead();
  }

  #goOn(): void {
    if (this.#open) this.#readSome();
    else this.proceed();
  }

  #begin(): void {
    this.#begun = true;
    this.begin();
  }

  #queueRead(): void {
    if (this.#readQueued) return;
    this.#readQueued = true;
    if (this.#lane !== undefined) this.#lane.defer(this);
    else if (this.#isBulk) this.reactor.deferLong(this);
    else this.reactor.defer(this);
  }

  #flushLater(): void {
    this.#longFlush ??= { run: () => this.flush(), onFailure: (thrown) => this.onFailure(thrown) };
    this.reactor.deferLong(this.#longFlush);
  }

  /** Once, so that one stream cannot starve the rest; what is left is a task. */
  #readSome(): void {
    this.#yielded = false;
    if (this.#resumed) {
      this.#resumed = false;
      if (this.input.length > 0) this.handler.onInput();
    }
    if (this.#yielded || !this.#wantsInput()) return this.input.settle();
    const count = this.fill();
    this.#isBulk = count >= BULK_BYTES;
    if (count <= 0) return this.#fillEnded(count);
    this.handler.onInput();
    this.input.settle();
    if (!this.#yielded && this.#wantsInput()) this.#queueRead();
  }

  /** Whether to read on; makes room for it. */
  #wantsInput(): boolean {
    if (this.#paused || this.#closed || this.#inputEnded) return false;
    this.input.expand();
    if (this.input.space() < QUEUE_CAPACITY / 2) this.input.compact();
    return this.input.space() > 0;
  }

  #fillEnded(result: number): void {
    if (result === FAILED || this.#closed) return;
    this.input.settle();
    if (result === WOULD_BLOCK) return;
    this.#inputEnded = true;
    this.handler.onInputEnd();
    this.#closeIfDone();
  }

  /** Sends the end of output once everything before it is out; false when that has to wait. */
  #endIfDue(): boolean {
    if (this.#outputState !== 'ending' || this.#closed) return true;
    if (!this.#open || !this.endOutput()) return false;
    this.#outputState = 'ended';
    this.#closeIfDone();
    return true;
  }

  #closeIfDone(): void {
    if (this.#inputEnded && this.#outputState === 'ended') this.close();
  }
}
