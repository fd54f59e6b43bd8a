/** One DNS query to one nameserver over TCP, for clients that asked over TCP and answers that fit nowhere else. */

import type { SocketAddress } from '../../base/ip.ts';
import type { ByteStreamHandler } from '../../io/byte-stream.ts';
import { PlainStream } from '../../io/plain-stream.ts';
import type { Reactor, Timer } from '../../io/reactor.ts';
import { type SocketOptions, TcpSocket } from '../../io/tcp-socket.ts';

export interface ExchangeRequest {
  readonly server: SocketAddress;
  readonly socket: SocketOptions;
  readonly timeoutMs: number;
  /** The whole message, without the length in front. */
  readonly message: Uint8Array;
  /** Called exactly once; undefined when the server did not answer. */
  onAnswer(answer: Uint8Array | undefined): void;
}

export class DnsTcpExchange implements ByteStreamHandler {
  readonly #request: ExchangeRequest;
  readonly #stream: PlainStream;
  readonly #timer: Timer;
  #done = false;

  constructor(reactor: Reactor, request: ExchangeRequest) {
    this.#request = request;
    this.#stream = new PlainStream(TcpSocket.connect(reactor, request.server, request.socket), this);
    this.#timer = reactor.setTimer(request.timeoutMs, () => this.#finish(undefined));
  }

  /** Gives up; onAnswer is not called. */
  cancel(): void {
    this.#done = true;
    this.#timer.cancel();
    this.#stream.close();
  }

  onOpen(): void {
    const { message } = this.#request;
    this.#stream.output.append(Uint8Array.of(message.length >> 8, message.length & 0xff));
    this.#stream.output.append(message);
    this.#stream.flushSoon();
  }

  onInput(): void {
    const { input } = this.#stream;
    if (input.length < 2) return;
    const { bytes } = input.buffer;
    const length = (bytes[input.start]! << 8) | bytes[input.start + 1]!;
    if (input.length < 2 + length) return;
    this.#finish(bytes.slice(input.start + 2, input.start + 2 + length));
  }

  onInputEnd(): void {
    this.#finish(undefined);
  }

  onOutputSpace(): void {}

  onClosed(): void {
    this.#finish(undefined);
  }

  #finish(answer: Uint8Array | undefined): void {
    if (this.#done) return;
    this.#done = true;
    this.#timer.cancel();
    this.#stream.close();
    this.#request.onAnswer(answer);
  }
}
