/** Joins two plain TCP connections inside the kernel, by splice(2). */

import type { AmbitError } from '../base/errors.ts';
import { messageOf } from '../base/errors.ts';
import { ERRNO } from '../sys/errno.ts';
import { acquirePipe, type Pipe, releasePipe } from '../sys/pipe.ts';
import { ioErrors } from './errors.ts';
import type { Task } from './reactor.ts';
import type { TcpSocket, TcpSocketHandler } from './tcp-socket.ts';

/** Fills of the pipe per direction and turn: 1 MiB, so that one bulk transfer cannot starve the rest. */
const FILLS_PER_TURN = 4;

/** Both directions, each with its own half-close; ends when both have ended, or with the first failure. */
export class SpliceRelay {
  readonly #first: TcpSocket;
  readonly #second: TcpSocket;
  readonly #onEnd: (error: AmbitError | undefined) => void;
  readonly #forth: Direction;
  readonly #back: Direction;
  #ended = false;

  /** Takes both open sockets over, closes them at the end and calls `onEnd` exactly once, in a later turn. */
  constructor(first: TcpSocket, second: TcpSocket, onEnd: (error: AmbitError | undefined) => void) {
    this.#first = first;
    this.#second = second;
    this.#onEnd = onEnd;
    this.#forth = new Direction(first, second, this);
    this.#back = new Direction(second, first, this);
    first.handler = this.#handlerOf(this.#forth, this.#back);
    second.handler = this.#handlerOf(this.#back, this.#forth);
    // What arrived before now, an end included, is not announced again.
    first.reactor.defer({
      run: () => this.#begin(),
      onFailure: (thrown) => this.#forth.onFailure(thrown),
    });
  }

  /** Bytes moved from the first socket to the second. */
  get bytesFromFirst(): number {
    return this.#forth.bytes;
  }

  get bytesFromSecond(): number {
    return this.#back.bytes;
  }

  /** Resets both. */
  abort(error?: AmbitError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#first.abort(error);
    this.#second.abort(error);
    this.#finish(error);
  }

  /** For the directions: one of them has ended. */
  directionEnded(): void {
    if (this.#ended || !this.#forth.ended || !this.#back.ended) return;
    this.#ended = true;
    this.#first.close();
    this.#second.close();
    this.#finish(undefined);
  }

  #begin(): void {
    if (this.#first.state === 'closed' || this.#second.state === 'closed') return this.abort();
    this.#forth.run();
    this.#back.run();
  }

  #handlerOf(from: Direction, to: Direction): TcpSocketHandler {
    return {
      onReadable: () => from.readable(),
      onWritable: () => to.run(),
      onClosed: (error) => this.abort(error),
    };
  }

  #finish(error: AmbitError | undefined): void {
    this.#forth.release();
    this.#back.release();
    this.#onEnd(error);
  }
}

/** From one socket into a pipe, from the pipe into the other socket. */
class Direction implements Task {
  bytes = 0;
  /** The end has been passed on. */
  ended = false;
  readonly #source: TcpSocket;
  readonly #sink: TcpSocket;
  readonly #relay: SpliceRelay;
  /** Held while something is in it. */
  #pipe: Pipe | undefined;
  #readable = true;

  constructor(source: TcpSocket, sink: TcpSocket, relay: SpliceRelay) {
    this.#source = source;
    this.#sink = sink;
    this.#relay = relay;
  }

  readable(): void {
    this.#readable = true;
    this.run();
    // A reset goes unnoticed by whoever does not read: the sink is full, or the end was met before.
    if (this.ended || this.#pipe !== undefined) this.#source.closeIfBroken();
  }

  /** Moves what can be moved, within the turn's share. */
  run(): void {
    for (let fills = 0; fills < FILLS_PER_TURN; fills++) {
      if (!this.#drain() || !this.#fill()) return;
    }
    this.#source.reactor.deferLong(this);
  }

  onFailure(thrown: unknown): void {
    this.#relay.abort(ioErrors.AMBIT_HANDLER_FAILED(`relay dropped: ${messageOf(thrown)}`, thrown));
  }

  release(): void {
    this.ended = true;
    if (this.#pipe !== undefined) releasePipe(this.#pipe);
    this.#pipe = undefined;
  }

  /** Whether the pipe holds something now. */
  #fill(): boolean {
    if (this.ended || !this.#readable) return false;
    this.#pipe ??= acquirePipe();
    const count = this.#pipe.fillFrom(this.#source.fd);
    if (count > 0) return true;
    releasePipe(this.#pipe);
    this.#pipe = undefined;
    this.#readable = false;
    if (count === 0) this.#end();
    else if (count !== -ERRNO.EAGAIN) this.#source.closeWithErrno(count);
    return false;
  }

  /** Whether the pipe is empty. */
  #drain(): boolean {
    while (this.#pipe !== undefined && this.#pipe.pending > 0) {
      const count = this.#pipe.drainTo(this.#sink.fd);
      if (count > 0) this.bytes += count;
      else if (count === -ERRNO.EAGAIN) this.#sink.expectWritable();
      else this.#sink.closeWithErrno(count);
      if (count <= 0) return false;
    }
    return !this.ended;
  }

  #end(): void {
    this.ended = true;
    this.#sink.shutdownWrite();
    this.#relay.directionEnded();
  }
}
