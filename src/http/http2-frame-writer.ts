/** Writes frames into the output of a byte stream; replies that find no room wait in a bounded queue. */

import type { ByteStream } from '../io/byte-stream.ts';
import type { HeaderList } from './header-list.ts';
import { HpackEncoder, maxEncodedSize } from './hpack-encoder.ts';
import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  FrameFlag,
  FrameType,
  MIN_MAX_FRAME_BYTES,
  putFrameHeader,
  putStreamId,
  putUint32,
} from './http2-frame.ts';
import { CONTROL_RESERVE_BYTES, HEADER_RESERVE_BYTES, MAX_QUEUED_REPLIES } from './http2-limits.ts';
import { HEADER_TABLE_BYTES } from './http2-settings.ts';

const DATA = FrameType.data << 8;
const DATA_END = DATA | FrameFlag.endStream;
const HEADERS = FrameType.headers << 8;
const CONTINUATION = FrameType.continuation << 8;
const SETTINGS = FrameType.settings << 8;
const PING = FrameType.ping << 8;
const RST_STREAM = FrameType.rstStream << 8;
const WINDOW_UPDATE = FrameType.windowUpdate << 8;
const GOAWAY = FrameType.goAway << 8;
/** The largest control frame is our own SETTINGS, or GOAWAY with a line for the operator. */
const SCRATCH_BYTES = 192;
/** Always free for the GOAWAY that explains why the connection ends. */
const GOAWAY_RESERVE_BYTES = SCRATCH_BYTES;
const MAX_GOAWAY_TEXT = SCRATCH_BYTES - FRAME_HEADER_BYTES - 8;

/** A frame is made here and copied where it belongs, in one go: all connections of the thread share it. */
const scratch = new Uint8Array(SCRATCH_BYTES);

/** The one writer of a connection's output. */
export class Http2FrameWriter {
  readonly encoder = new HpackEncoder(HEADER_TABLE_BYTES);
  /** The peer's SETTINGS_MAX_FRAME_SIZE. */
  maxFrameSize = MIN_MAX_FRAME_BYTES;
  readonly #stream: ByteStream;
  /** Called when a peer made us queue more replies than it reads. */
  readonly #onQueueFull: () => void;
  #queue: Uint8Array[] = [];

  constructor(stream: ByteStream, onQueueFull: () => void) {
    this.#stream = stream;
    this.#onQueueFull = onQueueFull;
  }

  /** Payload octets that a DATA frame may have now; 0 or less when it must wait for onOutputSpace(). */
  dataSpace(): number {
    // Asked in any case: whoever finds little space is told when there is more.
    const space = this.#stream.outputSpace();
    if (this.#queue.length > 0) return 0;
    return Math.min(space, this.#stream.output.space() - CONTROL_RESERVE_BYTES) - FRAME_HEADER_BYTES;
  }

  /** Whether the header list can be written now. */
  hasHeaderSpace(headers: HeaderList): boolean {
    this.#stream.outputSpace();
    return this.#queue.length === 0 && this.#stream.output.space() >= this.#headerBytes(headers);
  }

  /** Whether it could be written if nothing else were. */
  headersCanFit(headers: HeaderList): boolean {
    return this.#stream.output.capacity >= this.#headerBytes(headers);
  }

  #headerBytes(headers: HeaderList): number {
    const block = maxEncodedSize(headers);
    return block + Math.ceil(block / this.maxFrameSize) * FRAME_HEADER_BYTES + HEADER_RESERVE_BYTES;
  }

  /** Puts a DATA header before payload that is already in place behind it. */
  data(streamId: number, length: number, endOfStream: boolean): void {
    const output = this.#stream.output;
    const bytes = output.buffer.bytes;
    putFrameHeader(bytes, output.end, length, endOfStream ? DATA_END : DATA);
    putStreamId(bytes, output.end, streamId);
    output.end += FRAME_HEADER_BYTES + length;
    this.#stream.flushSoon();
  }

  /** Encodes a header block in place and cuts it into HEADERS and CONTINUATION as the peer's frame size asks. */
  headers(streamId: number, endOfStream: boolean, headers: HeaderList): void {
    const output = this.#stream.output;
    const bytes = output.buffer.bytes;
    const start = output.end + FRAME_HEADER_BYTES;
    const length = this.encoder.encode(headers, bytes, start) - start;
    const maxFrameSize = this.maxFrameSize;
    const frames = Math.max(1, Math.ceil(length / maxFrameSize));
    for (let i = frames - 1; i >= 0; i--) {
      const from = start + i * maxFrameSize;
      const to = from + i * FRAME_HEADER_BYTES;
      const size = Math.min(maxFrameSize, length - i * maxFrameSize);
      if (i > 0) bytes.copyWithin(to, from, from + size);
      const flags =
        (i === frames - 1 ? FrameFlag.endHeaders : 0) | (i === 0 && endOfStream ? FrameFlag.endStream : 0);
      putFrameHeader(bytes, to - FRAME_HEADER_BYTES, size, (i === 0 ? HEADERS : CONTINUATION) | flags);
      putStreamId(bytes, to - FRAME_HEADER_BYTES, streamId);
    }
    output.end += length + frames * FRAME_HEADER_BYTES;
    this.#stream.flushSoon();
  }

  /** An empty DATA frame with END_STREAM: no flow control applies, so it may wait among the replies. */
  endOfStream(streamId: number): void {
    this.#send(this.#begin(0, DATA_END, streamId));
  }

  preface(): void {
    this.#stream.output.append(CLIENT_PREFACE);
    this.#stream.flushSoon();
  }

  /** @param entries identifiers and values by turns. */
  settings(entries: readonly number[]): void {
    let at = this.#begin((entries.length / 2) * 6, SETTINGS, 0);
    for (let i = 0; i < entries.length; i += 2) {
      scratch[at] = entries[i]! >>> 8;
      scratch[at + 1] = entries[i]!;
      putUint32(scratch, at + 2, entries[i + 1]!);
      at += 6;
    }
    this.#send(at);
  }

  settingsAck(): void {
    this.#send(this.#begin(0, SETTINGS | FrameFlag.ack, 0));
  }

  ping(ack: boolean, high: number, low: number): void {
    const at = this.#begin(8, ack ? PING | FrameFlag.ack : PING, 0);
    putUint32(scratch, at, high);
    putUint32(scratch, at + 4, low);
    this.#send(at + 8);
  }

  rstStream(streamId: number, errorCode: number): void {
    const at = this.#begin(4, RST_STREAM, streamId);
    putUint32(scratch, at, errorCode);
    this.#send(at + 4);
  }

  windowUpdate(streamId: number, increment: number): void {
    const at = this.#begin(4, WINDOW_UPDATE, streamId);
    putUint32(scratch, at, increment);
    this.#send(at + 4);
  }

  /** @param text ASCII for the other side's operator; it travels as debug data. */
  goAway(lastStreamId: number, errorCode: number, text: string): void {
    const length = Math.min(text.length, MAX_GOAWAY_TEXT);
    const at = this.#begin(8 + length, GOAWAY, 0);
    putUint32(scratch, at, lastStreamId);
    putUint32(scratch, at + 4, errorCode);
    for (let i = 0; i < length; i++) scratch[at + 8 + i] = text.charCodeAt(i) & 0x7f;
    const bytes = scratch.subarray(0, at + 8 + length);
    // The last words of streams go before the last of the connection.
    this.drainQueue();
    if (this.#stream.output.space() < bytes.length) return;
    this.#stream.output.append(bytes);
    this.#stream.flushSoon();
  }

  /** After onOutputSpace(): writes what had to wait; false when there is still something. */
  drainQueue(): boolean {
    const output = this.#stream.output;
    let written = 0;
    while (written < this.#queue.length && this.#hasRoom(this.#queue[written]!.length)) {
      output.append(this.#queue[written++]!);
    }
    if (written === 0) return this.#queue.length === 0;
    this.#queue.splice(0, written);
    this.#stream.flushSoon();
    return this.#queue.length === 0;
  }

  #begin(length: number, typeAndFlags: number, streamId: number): number {
    putFrameHeader(scratch, 0, length, typeAndFlags);
    putStreamId(scratch, 0, streamId);
    return FRAME_HEADER_BYTES;
  }

  #hasRoom(bytes: number): boolean {
    return this.#stream.output.space() >= bytes + GOAWAY_RESERVE_BYTES;
  }

  #send(length: number): void {
    // While the kernel takes nothing `output` is sealed and empty, and would hold thousands of replies.
    const isTaken = this.#stream.outputSpace() > 0;
    if (isTaken && this.#queue.length === 0 && this.#hasRoom(length)) {
      const output = this.#stream.output;
      const target = output.buffer.bytes;
      for (let i = 0; i < length; i++) target[output.end + i] = scratch[i]!;
      output.end += length;
      this.#stream.flushSoon();
      return;
    }
    if (this.#queue.length >= MAX_QUEUED_REPLIES) this.#onQueueFull();
    else this.#queue.push(scratch.slice(0, length));
  }
}
