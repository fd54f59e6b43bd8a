/** DNS over TCP (RFC 7766): messages with a two-byte length, answered in any order. */

import type { Placed } from '../../base/dense-set.ts';
import type { ByteStreamHandler } from '../../io/byte-stream.ts';
import { PlainStream } from '../../io/plain-stream.ts';
import type { Timer } from '../../io/reactor.ts';
import type { TcpSocket } from '../../io/tcp-socket.ts';

/** A client that sends no query for this long is let go (RFC 7766 §6.2.3 leaves the time to us). */
const IDLE_MS = 10_000;

export interface DnsTcpEvents {
  /** `message` is valid during the call only. */
  onMessage(message: Uint8Array, session: DnsTcpSession): void;
  onEnd(session: DnsTcpSession): void;
}

export class DnsTcpSession implements ByteStreamHandler, Placed {
  place = -1;
  readonly #stream: PlainStream;
  readonly #events: DnsTcpEvents;
  #idle: Timer;
  #unanswered = 0;
  #clientEnded = false;
  #closed = false;

  constructor(socket: TcpSocket, events: DnsTcpEvents) {
    this.#events = events;
    this.#stream = new PlainStream(socket, this);
    this.#idle = this.#stream.reactor.setTimer(IDLE_MS, () => this.close());
  }

  /** Sends one answer; a client that does not read its answers is closed. */
  send(message: Uint8Array): void {
    if (this.#closed) return;
    if (this.#stream.outputSpace() < message.length + 2) return this.close();
    this.#stream.output.append(Uint8Array.of(message.length >> 8, message.length & 0xff));
    this.#stream.output.append(message);
    this.#stream.flushSoon();
    this.#unanswered--;
    this.#endIfDone();
  }

  close(): void {
    this.#stream.close();
  }

  onOpen(): void {}

  onInput(): void {
    const { input } = this.#stream;
    while (!this.#closed && input.length >= 2) {
      const bytes = input.buffer.bytes;
      const length = (bytes[input.start]! << 8) | bytes[input.start + 1]!;
      if (input.length < 2 + length) return;
      const message = bytes.subarray(input.start + 2, input.start + 2 + length);
      this.#restartIdle();
      this.#unanswered++;
      this.#events.onMessage(message, this);
      input.consume(2 + length);
    }
  }

  /** A client may end its side with its last question (RFC 9293 §3.6); one that is never answered ends by the timer. */
  onInputEnd(): void {
    this.#clientEnded = true;
    this.#endIfDone();
  }

  onOutputSpace(): void {}

  onClosed(): void {
    this.#closed = true;
    this.#idle.cancel();
    this.#events.onEnd(this);
  }

  #endIfDone(): void {
    if (this.#clientEnded && this.#unanswered === 0) this.#stream.shutdownOutput();
  }

  #restartIdle(): void {
    this.#idle.cancel();
    this.#idle = this.#stream.reactor.setTimer(IDLE_MS, () => this.close());
  }
}
