/** A byte stream without a socket: the test is the peer, and decides when the kernel takes something. */

import type { AmbitError } from '../../src/base/errors.ts';
import { parseSocketAddress } from '../../src/base/ip.ts';
import { ByteQueue } from '../../src/io/byte-queue.ts';
import type { ByteStream, ByteStreamHandler } from '../../src/io/byte-stream.ts';
import type { Flushable, Reactor } from '../../src/io/reactor.ts';

const CAPACITY = 256 * 1024;

const nobody: ByteStreamHandler = {
  onOpen() {},
  onInput() {},
  onInputEnd() {},
  onOutputSpace() {},
  onClosed() {},
};

export class MemoryStream implements ByteStream, Flushable {
  handler: ByteStreamHandler = nobody;
  readonly reactor: Reactor;
  readonly input = new ByteQueue(CAPACITY);
  readonly output = new ByteQueue(CAPACITY);
  readonly localAddress = parseSocketAddress('10.0.0.1:15008')!;
  readonly remoteAddress = parseSocketAddress('10.0.0.2:40000')!;
  /** The kernel takes nothing while this is set. */
  blocked = false;
  outputBlockedSinceMs: number | undefined;
  outputShut = false;
  closed = false;
  closeError: AmbitError | undefined;
  #written: Buffer[] = [];
  #flushQueued = false;
  #wanted = false;
  #yielded = false;

  constructor(reactor: Reactor) {
    this.reactor = reactor;
  }

  outputSpace(): number {
    const space = this.blocked ? 0 : this.output.space();
    if (space < CAPACITY / 2) this.#wanted = true;
    return space;
  }

  flushSoon(): void {
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    this.reactor.flushInTurn(this);
  }

  flush(): void {
    this.#flushQueued = false;
    if (this.blocked) return;
    const { buffer, start, end } = this.output;
    this.#written.push(Buffer.from(buffer.bytes.slice(start, end)));
    this.output.clear();
    if (!this.#wanted || this.closed) return;
    this.#wanted = false;
    this.handler.onOutputSpace();
  }

  /** The kernel takes output again. */
  unblock(): void {
    this.blocked = false;
    this.flushSoon();
    this.turn();
  }

  /** Bytes from the peer, in pieces of at most `pieceLength`. */
  deliver(bytes: Uint8Array, pieceLength = CAPACITY / 2): void {
    for (let at = 0; at < bytes.length && !this.closed; at += pieceLength) {
      this.input.compact();
      this.input.append(bytes.subarray(at, at + pieceLength));
      do {
        this.#yielded = false;
        this.handler.onInput();
      } while (this.#yielded && !this.closed);
    }
    this.turn();
  }

  turn(): void {
    this.reactor.turn(0);
    this.reactor.turn(0);
  }

  /** What was sent since the last call. */
  takeWritten(): Buffer {
    const all = Buffer.concat(this.#written);
    this.#written = [];
    return all;
  }

  pauseInput(): void {}

  resumeInput(): void {}

  yieldInput(): void {
    this.#yielded = true;
  }

  shutdownOutput(): void {
    this.outputShut = true;
    this.flushSoon();
  }

  /** Gives its queues' memory back, of which the pool's is never freed; for whoever makes streams by the thousand. */
  release(): void {
    for (const queue of [this.input, this.output]) {
      queue.clear();
      queue.settle();
    }
  }

  close(error?: AmbitError): void {
    if (this.closed) return;
    this.closed = true;
    this.closeError = error;
    this.handler.onClosed(error);
  }
}
