/** The sending half of a connection: windows, header order, and whose turn it is when room is short. */

import type { ByteStream } from '../io/byte-stream.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { HeaderList } from './header-list.ts';
import { DEFAULT_WINDOW_BYTES, FRAME_HEADER_BYTES, MAX_WINDOW_BYTES } from './http2-frame.ts';
import { Http2FrameWriter } from './http2-frame-writer.ts';
import { MIN_DATA_BYTES } from './http2-limits.ts';
import type { PeerSettings } from './http2-settings.ts';
import type { Http2Stream } from './http2-stream.ts';

/** A header block that found no room. Blocks leave in the order in which they came, for HPACK's sake. */
interface WaitingHeaders {
  readonly stream: Http2Stream;
  readonly headers: HeaderList;
  endOfStream: boolean;
}

/** Served entries at the front of the queue before it is cut. */
const QUEUE_SLACK = 64;

export class Http2Sender {
  readonly writer: Http2FrameWriter;
  readonly #stream: ByteStream;
  readonly #onHeadersSent: (stream: Http2Stream) => void;
  #window = DEFAULT_WINDOW_BYTES;
  #initialStreamWindow = DEFAULT_WINDOW_BYTES;
  #waitingHeaders: WaitingHeaders[] = [];
  // Streams that want to write, in turn; entries before #front have been served.
  readonly #waiting: Http2Stream[] = [];
  #front = 0;
  #serving = false;

  /** @param hooks told when the peer lets replies pile up, and when a block that had to wait is on its way. */
  constructor(
    stream: ByteStream,
    hooks: { readonly onQueueFull: () => void; readonly onHeadersSent: (stream: Http2Stream) => void },
  ) {
    this.#stream = stream;
    this.writer = new Http2FrameWriter(stream, hooks.onQueueFull);
    this.#onHeadersSent = hooks.onHeadersSent;
  }

  /** Send window of a stream that opens now. */
  get initialStreamWindow(): number {
    return this.#initialStreamWindow;
  }

  /** Streams that wait for room or for the connection's window. */
  get waiting(): number {
    return this.#waiting.length - this.#front;
  }

  dataBuffer(): NativeBuffer {
    return this.#stream.output.buffer;
  }

  dataOffset(): number {
    return this.#stream.output.end + FRAME_HEADER_BYTES;
  }

  writableBytes(stream: Http2Stream): number {
    if (stream.headersWaiting > 0) return 0;
    if (stream.sendWindow <= 0) {
      stream.awaitsWindow = true;
      return 0;
    }
    const space = this.writer.dataSpace();
    // Whoever comes by chance does not pass those that wait: they are served as soon as there is room.
    const mustWait = this.waiting > 0 && !this.#serving;
    if (mustWait || space < MIN_DATA_BYTES || this.#window <= 0) {
      this.enqueue(stream);
      return 0;
    }
    return Math.min(stream.sendWindow, this.#window, space, this.writer.maxFrameSize);
  }

  /** Whether the peer would take more on this stream now. */
  hasWindow(stream: Http2Stream): boolean {
    return stream.sendWindow > 0 && this.#window > 0;
  }

  /** The payload is in place already. */
  sendData(stream: Http2Stream, length: number, endOfStream: boolean): void {
    if (length > 0) {
      stream.sendWindow -= length;
      this.#window -= length;
      this.writer.data(stream.id, length, endOfStream);
    } else if (endOfStream) {
      this.#sendEnd(stream);
    }
    if (endOfStream) stream.localEnded = true;
  }

  /** Returns false when the list can never be sent. */
  sendHeaders(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): boolean {
    if (!this.writer.headersCanFit(headers)) return false;
    if (endOfStream) stream.localEnded = true;
    if (this.#waitingHeaders.length === 0 && this.writer.hasHeaderSpace(headers)) {
      this.writer.headers(stream.id, endOfStream, headers);
      stream.announced = true;
      return true;
    }
    stream.headersWaiting++;
    this.#waitingHeaders.push({ stream, headers, endOfStream });
    return true;
  }

  /** Puts the stream at the end of those that are told to write when there is room. */
  enqueue(stream: Http2Stream): void {
    if (stream.queued) return;
    stream.queued = true;
    this.#waiting.push(stream);
  }

  /** The peer's WINDOW_UPDATE on the connection; false when it overflows. */
  widenConnection(increment: number): boolean {
    this.#window += increment;
    return this.#window <= MAX_WINDOW_BYTES;
  }

  /** The peer's WINDOW_UPDATE on a stream; false when it overflows. */
  widenStream(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    this.#reconsider(stream);
    return stream.sendWindow <= MAX_WINDOW_BYTES;
  }

  /** Applies the peer's SETTINGS to what is open already (RFC 9113 §6.9.2); false when a window overflows. */
  applySettings(settings: PeerSettings, streams: Iterable<Http2Stream>): boolean {
    this.writer.maxFrameSize = settings.maxFrameSize;
    this.writer.encoder.setMaxTableSize(settings.headerTableSize);
    const change = settings.initialWindowSize - this.#initialStreamWindow;
    this.#initialStreamWindow = settings.initialWindowSize;
    if (change === 0) return true;
    for (const stream of streams) if (!this.widenStream(stream, change)) return false;
    return true;
  }

  /** Lets the streams that waited write, each in its turn, until room or window is used up. */
  resume(): void {
    if (!this.writer.drainQueue() || !this.#resumeHeaders()) return;
    this.#serving = true;
    for (let turns = this.waiting; turns > 0 && this.#hasDataRoom(); turns--) {
      const stream = this.#waiting[this.#front++]!;
      stream.queued = false;
      if (!stream.closed) stream.handler.onWritable();
    }
    this.#serving = false;
    this.#cutQueue();
  }

  #hasDataRoom(): boolean {
    return this.#window > 0 && this.writer.dataSpace() >= MIN_DATA_BYTES;
  }

  #cutQueue(): void {
    if (this.#front < this.#waiting.length && this.#front < QUEUE_SLACK) return;
    this.#waiting.splice(0, this.#front);
    this.#front = 0;
  }

  #reconsider(stream: Http2Stream): void {
    if (!stream.awaitsWindow || stream.sendWindow <= 0) return;
    stream.awaitsWindow = false;
    this.enqueue(stream);
  }

  #sendEnd(stream: Http2Stream): void {
    if (stream.headersWaiting === 0) {
      this.writer.endOfStream(stream.id);
      return;
    }
    const last = this.#waitingHeaders.findLast((waiting) => waiting.stream === stream);
    if (last !== undefined) last.endOfStream = true;
  }

  #resumeHeaders(): boolean {
    let sent = 0;
    for (const { stream, headers, endOfStream } of this.#waitingHeaders) {
      if (!stream.closed && !this.writer.hasHeaderSpace(headers)) break;
      sent++;
      this.#sendWaiting(stream, headers, endOfStream);
    }
    if (sent > 0) this.#waitingHeaders.splice(0, sent);
    return this.#waitingHeaders.length === 0;
  }

  #sendWaiting(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): void {
    stream.headersWaiting--;
    if (stream.closed) return;
    this.writer.headers(stream.id, endOfStream, headers);
    stream.announced = true;
    if (!endOfStream) this.enqueue(stream);
    this.#onHeadersSent(stream);
  }
}
