/** Length-prefixed messages of gRPC: cut out of a stream of bytes, and put into one. */

import { constants, type Http2Stream } from 'node:http2';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { grpcErrors } from './errors.ts';

/** One byte of flags, four of length. */
const PREFIX_BYTES = 5;

/** A message that is written in pieces, so that a large one need not be in memory as a whole. */
export interface PiecewiseMessage {
  readonly length: number;
  pieces(): Iterable<Uint8Array>;
}

/** Collects chunks into messages. A message has a buffer of its own: whoever keeps parts of it keeps it whole. */
export class MessageAssembler {
  readonly #maxBytes: number;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixLength = 0;
  #message: Uint8Array | undefined;
  #messageLength = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** True when the bytes so far end between two messages. */
  get atBoundary(): boolean {
    return this.#prefixLength === 0;
  }

  /** Throws RESOURCE_EXHAUSTED for a message over the limit, UNIMPLEMENTED for a compressed one. */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let rest = chunk;
    while (rest.length > 0) {
      rest = this.#message === undefined ? this.#takePrefix(rest) : this.#takeBody(rest);
      const message = this.#message;
      if (message === undefined || this.#messageLength < message.length) continue;
      this.#message = undefined;
      this.#prefixLength = 0;
      yield message;
    }
  }

  #takePrefix(bytes: Uint8Array): Uint8Array {
    const taken = Math.min(bytes.length, PREFIX_BYTES - this.#prefixLength);
    this.#prefix.set(bytes.subarray(0, taken), this.#prefixLength);
    this.#prefixLength += taken;
    if (this.#prefixLength === PREFIX_BYTES) this.#beginMessage();
    return bytes.subarray(taken);
  }

  #beginMessage(): void {
    if (this.#prefix[0] !== 0) {
      throw grpcErrors.AMBIT_GRPC_UNIMPLEMENTED('a compressed message, though no compression was offered');
    }
    const length = new DataView(this.#prefix.buffer).getUint32(1);
    if (length > this.#maxBytes) {
      throw grpcErrors.AMBIT_GRPC_RESOURCE_EXHAUSTED(
        `a message of ${length} bytes; ${this.#maxBytes} are taken`,
      );
    }
    // Not from the pool and not zeroed: the pages of a large buffer cost nothing before bytes arrive in them.
    this.#message = Buffer.allocUnsafeSlow(length);
    this.#messageLength = 0;
  }

  #takeBody(bytes: Uint8Array): Uint8Array {
    const message = this.#message!;
    const taken = Math.min(bytes.length, message.length - this.#messageLength);
    message.set(bytes.subarray(0, taken), this.#messageLength);
    this.#messageLength += taken;
    return bytes.subarray(taken);
  }
}

/**
 * The messages that arrive on a stream, one at a time: the peer is held back while one is being worked on. Ends with
 * the stream; throws when it breaks, or ends within a message.
 */
export async function* readMessages(stream: Http2Stream, maxBytes: number): AsyncGenerator<Uint8Array> {
  const assembler = new MessageAssembler(maxBytes);
  try {
    const chunks = stream.iterator({ destroyOnReturn: false });
    for await (const chunk of chunks) yield* assembler.push(chunk as Buffer);
  } catch (thrown) {
    if (thrown instanceof AmbitError) throw thrown;
    throw grpcErrors.AMBIT_GRPC_CANCELLED(`the stream broke: ${messageOf(thrown)}`, thrown);
  }
  if (!assembler.atBoundary) throw grpcErrors.AMBIT_GRPC_INTERNAL('the stream ended within a message');
}

/** Throws INVALID_ARGUMENT unless there is exactly one message. */
export async function onlyMessage(messages: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let only: Uint8Array | undefined;
  for await (const message of messages) {
    if (only !== undefined)
      throw grpcErrors.AMBIT_GRPC_INVALID_ARGUMENT('several messages where one was expected');
    only = message;
  }
  if (only === undefined) throw grpcErrors.AMBIT_GRPC_INVALID_ARGUMENT('no message where one was expected');
  return only;
}

/**
 * Writes one message; resolves when the next one may be written. Throws CANCELLED when the stream is gone, and
 * DEADLINE_EXCEEDED when the peer takes nothing for `stallMs`.
 */
export async function writeMessage(
  stream: Http2Stream,
  message: Uint8Array | PiecewiseMessage,
  stallMs: number,
): Promise<void> {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  await writePiece(stream, prefix, stallMs);
  if (message instanceof Uint8Array) await writePiece(stream, message, stallMs);
  else for (const piece of message.pieces()) await writePiece(stream, piece, stallMs);
}

async function writePiece(stream: Http2Stream, bytes: Uint8Array, stallMs: number): Promise<void> {
  if (stream.closed || stream.destroyed || stream.writableEnded) {
    throw grpcErrors.AMBIT_GRPC_CANCELLED('the stream is closed');
  }
  if (!stream.write(bytes)) await drained(stream, stallMs);
}

function drained(stream: Http2Stream, stallMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => () => {
      clearTimeout(timer);
      stream.off('drain', onDrain).off('close', onClose);
      end();
    };
    const onDrain = settle(resolve);
    const onClose = settle(() =>
      reject(grpcErrors.AMBIT_GRPC_CANCELLED('the stream was closed while writing')),
    );
    const onStall = settle(() => {
      // No status would get through either.
      stream.close(constants.NGHTTP2_CANCEL);
      reject(grpcErrors.AMBIT_GRPC_DEADLINE_EXCEEDED(`the peer took nothing for ${stallMs} ms`));
    });
    const timer = setTimeout(onStall, stallMs).unref();
    stream.on('drain', onDrain).on('close', onClose);
  });
}
