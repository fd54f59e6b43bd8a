/** Waits for an encrypted stream to open, so that the peer is verified before a byte of HTTP is read or written. */

import type { AmbitError } from '../base/errors.ts';
import type { ByteStreamHandler } from '../io/byte-stream.ts';
import type { SecureStream } from './secure-stream.ts';

/** Makes a stream with the handler given; what it calls back comes in a later turn. */
export type MakeStream = (handler: ByteStreamHandler) => SecureStream;

export interface HandshakeEvents {
  /** Verify the peer; then give the stream another handler, or close it. */
  onOpen(stream: SecureStream): void;
  /** It closed before it had another handler. */
  onFailed(stream: SecureStream, error: AmbitError | undefined): void;
}

export class Handshake implements ByteStreamHandler {
  readonly stream: SecureStream;
  readonly #events: HandshakeEvents;

  constructor(make: MakeStream, events: HandshakeEvents) {
    this.#events = events;
    this.stream = make(this);
  }

  onOpen(): void {
    this.#events.onOpen(this.stream);
  }

  onInput(): void {}

  onInputEnd(): void {
    this.stream.close();
  }

  onOutputSpace(): void {}

  onClosed(error: AmbitError | undefined): void {
    this.#events.onFailed(this.stream, error);
  }
}
