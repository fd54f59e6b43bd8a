/** A handler of byte streams that remembers what it was told and can wait for it. */

import type { AmbitError } from '../../src/base/errors.ts';
import type { ByteStream, ByteStreamHandler } from '../../src/io/byte-stream.ts';
import { until } from './reactor-harness.ts';

/** Consumes everything it is given. */
export class StreamRecorder<S extends ByteStream = ByteStream> implements ByteStreamHandler {
  /** Set by the test right after the stream was made. */
  stream!: S;
  opened = false;
  inputEnded = false;
  closed = 0;
  error: AmbitError | undefined;
  receivedBytes = 0;
  /** Called for every piece of input, valid during the call only. */
  onBytes: (bytes: Uint8Array) => void = (bytes) => this.#pieces.push(Buffer.from(bytes));
  onOpened: () => void = () => {};
  onSpace: () => void = () => {};
  readonly #pieces: Buffer[] = [];

  /** The text received so far, while `onBytes` is the default one. */
  get text(): string {
    return Buffer.concat(this.#pieces).toString();
  }

  onOpen(): void {
    this.opened = true;
    this.onOpened();
  }

  onInput(): void {
    const { input } = this.stream;
    this.receivedBytes += input.length;
    this.onBytes(input.buffer.bytes.subarray(input.start, input.end));
    input.consume(input.length);
  }

  onInputEnd(): void {
    this.inputEnded = true;
  }

  onOutputSpace(): void {
    this.onSpace();
  }

  onClosed(error: AmbitError | undefined): void {
    this.closed++;
    this.error = error;
  }

  send(text: string): void {
    this.stream.output.append(Buffer.from(text));
    this.stream.flushSoon();
  }

  /** Sends all of it in pieces of the given sizes (taken in turn), as fast as the stream allows, then the end. */
  sendAll(data: Uint8Array, pieceSizes: readonly number[]): void {
    let offset = 0;
    let piece = 0;
    const pump = (): void => {
      while (offset < data.length) {
        const size = Math.min(pieceSizes[piece % pieceSizes.length]!, data.length - offset);
        if (this.stream.outputSpace() < size) return this.stream.flushSoon();
        this.stream.output.append(data.subarray(offset, offset + size));
        offset += size;
        piece++;
      }
      this.stream.shutdownOutput();
    };
    this.onSpace = pump;
    if (this.opened) pump();
    else this.onOpened = pump;
  }

  untilOpen(): Promise<void> {
    return until(() => this.opened, 'opening');
  }

  untilClosed(): Promise<void> {
    return until(() => this.closed > 0, 'closing');
  }
}
