/** Takes the incoming bytes of an HTTP/2 connection apart, however they are cut. */

import type { ByteQueue } from '../io/byte-queue.ts';
import {
  controlFrameFault,
  deliverControlFrame,
  type FrameFault,
  GOAWAY_BYTES,
  PRIORITY_BYTES,
} from './control-frames.ts';
import type { FrameSink, HeaderBlock } from './frame-sink.ts';
import { HeaderFragments } from './header-fragments.ts';
import type { FloodCause } from './http2-counters.ts';
import { Http2ErrorCode } from './http2-error-code.ts';
import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  FrameFlag,
  type FrameHeader,
  FrameType,
  getFrameHeader,
} from './http2-frame.ts';
import {
  DATA_OCTETS_PER_FRAME,
  FRAMES_PER_HEADER_BLOCK,
  FRAMES_PER_TURN,
  HEADER_OCTETS_PER_FRAME,
  MAX_CONTINUATIONS,
  PORTION_MS,
} from './http2-limits.ts';

export interface FrameReaderOptions {
  /** A server expects the client's preface first. */
  readonly expectPreface: boolean;
  readonly maxFrameSize: number;
  /** Encoded octets. */
  readonly maxHeaderBlock: number;
}

const PREFACE = 0;
const HEADER = 1;
const DATA = 2;
const FRAGMENT = 3;
const SKIP = 4;
const EMPTY = new Uint8Array(0);

/** A state machine over the input queue; needs the nine octets of a frame header, and small frames, in one piece. */
export class Http2FrameReader {
  readonly #sink: FrameSink;
  readonly #options: FrameReaderOptions;
  readonly #block: HeaderBlock = { streamId: 0, endOfStream: false, bytes: EMPTY, start: 0, end: 0 };
  #phase: number;
  #prefaceMatched = 0;
  #settingsSeen = false;
  #stopped = false;
  /** Since the reading began. */
  #frames = 0;
  /** When header blocks have taken long enough; 0 before the first one. */
  #portionEndMs = 0;
  /** The header that was read last. */
  readonly #frame: FrameHeader = { length: 0, type: 0, flags: 0, streamId: 0 };
  // Octets of its payload still to come, without and with padding.
  #remaining = 0;
  #padding = 0;
  // The header block that END_HEADERS has not ended yet; 0 for none.
  #blockStreamId = 0;
  #continuations = 0;
  #blocks = 0;
  readonly #fragments = new HeaderFragments();

  constructor(sink: FrameSink, options: FrameReaderOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#phase = options.expectPreface ? PREFACE : HEADER;
  }

  /** A number for the header block that END_HEADERS has not ended yet; 0 for none. */
  get openHeaderBlock(): number {
    return this.#blockStreamId === 0 ? 0 : this.#blocks;
  }

  /** No frame is reported any more. */
  stop(): void {
    this.#stopped = true;
    this.#fragments.clear();
  }

  /**
   * Consumes what is complete; DATA and header fragments are consumed as they come. False when FRAMES_PER_TURN or
   * PORTION_MS were reached and some input is left: nobody comes back for an empty queue, and the end of a frame that is
   * told by itself must not wait there.
   */
  read(input: ByteQueue): boolean {
    this.#frames = 0;
    this.#portionEndMs = 0;
    while (!this.#stopped && this.#advance(input)) {
      if (this.#frames >= FRAMES_PER_TURN && input.length > 0) return this.#stopped;
    }
    return true;
  }

  /** One step; false when more input is needed for the next one. */
  #advance(input: ByteQueue): boolean {
    switch (this.#phase) {
      case HEADER:
        return this.#nextFrame(input);
      case DATA:
        return this.#dataPayload(input);
      case FRAGMENT:
        return this.#fragmentPayload(input);
      case SKIP:
        return this.#skipPayload(input);
      default:
        return this.#preface(input);
    }
  }

  #preface(input: ByteQueue): boolean {
    const count = Math.min(input.length, CLIENT_PREFACE.length - this.#prefaceMatched);
    const bytes = input.buffer.bytes;
    for (let i = 0; i < count; i++) {
      if (bytes[input.start + i] !== CLIENT_PREFACE[this.#prefaceMatched + i]) {
        return this.#violation(Http2ErrorCode.protocolError, 'the client preface is wrong');
      }
    }
    input.consume(count);
    this.#prefaceMatched += count;
    if (this.#prefaceMatched < CLIENT_PREFACE.length) return false;
    this.#phase = HEADER;
    return true;
  }

  #nextFrame(input: ByteQueue): boolean {
    if (input.length < FRAME_HEADER_BYTES) return false;
    this.#frames++;
    getFrameHeader(input.buffer.bytes, input.start, this.#frame);
    if (this.#frame.type !== FrameType.data || this.#blockStreamId !== 0 || !this.#settingsSeen) {
      if (!this.#inOrder()) return false;
    }
    if (this.#frame.length > this.#options.maxFrameSize) {
      return this.#violation(Http2ErrorCode.frameSizeError, 'a frame is larger than we allow');
    }
    return this.#dispatch(input);
  }

  /** RFC 9113 §3.4: SETTINGS come first; §6.10: nothing comes between the parts of a header block. */
  #inOrder(): boolean {
    const { type, flags, streamId } = this.#frame;
    const isAck = (flags & FrameFlag.ack) !== 0;
    if (!this.#settingsSeen && (type !== FrameType.settings || isAck)) {
      return this.#violation(Http2ErrorCode.protocolError, 'the first frame is not SETTINGS');
    }
    this.#settingsSeen = true;
    const continues = type === FrameType.continuation;
    if (this.#blockStreamId !== (continues ? streamId : 0) || (continues && streamId === 0)) {
      return this.#violation(Http2ErrorCode.protocolError, 'a header block is interrupted or out of place');
    }
    return true;
  }

  #dispatch(input: ByteQueue): boolean {
    switch (this.#frame.type) {
      case FrameType.data:
        return this.#data(input);
      case FrameType.headers:
        return this.#isPortionOver() ? this.#putOff() : this.#headers(input);
      case FrameType.continuation:
        return this.#continuation(input);
      case FrameType.pushPromise:
        return this.#violation(Http2ErrorCode.protocolError, 'PUSH_PROMISE although push is off');
      default:
        return this.#frame.type > FrameType.continuation ? this.#unknown(input) : this.#control(input);
    }
  }

  #isPortionOver(): boolean {
    return this.#portionEndMs > 0 && performance.now() >= this.#portionEndMs;
  }

  /**
   * The frame is looked at again in the next portion. Not sooner, behind the request before: its reset, which may follow at
   * once, must be seen before an application has answered, or a flood of them looks like calls.
   */
  #putOff(): boolean {
    this.#frames = FRAMES_PER_TURN;
    return true;
  }

  #data(input: ByteQueue): boolean {
    if (this.#frame.streamId === 0) return this.#violation(Http2ErrorCode.protocolError, 'DATA on stream 0');
    const prefix = this.#prefixBytes(input, 0);
    if (prefix < 0) return false;
    this.#phase = DATA;
    const endOfStream = (this.#frame.flags & FrameFlag.endStream) !== 0;
    this.#sink.onDataFrame(this.#frame.streamId, this.#frame.length, this.#remaining, endOfStream);
    return true;
  }

  #dataPayload(input: ByteQueue): boolean {
    if (this.#remaining > 0) {
      const count = Math.min(this.#remaining, input.length);
      if (count === 0) return false;
      const buffer = input.buffer;
      const offset = input.start;
      input.consume(count);
      this.#remaining -= count;
      this.#frames += count / DATA_OCTETS_PER_FRAME;
      this.#sink.onDataChunk(buffer, offset, count);
      return true;
    }
    this.#skipPadding();
    this.#sink.onDataFrameEnd();
    return true;
  }

  #headers(input: ByteQueue): boolean {
    if (this.#frame.streamId === 0)
      return this.#violation(Http2ErrorCode.protocolError, 'HEADERS on stream 0');
    const hasPriority = (this.#frame.flags & FrameFlag.priority) !== 0;
    if (this.#prefixBytes(input, hasPriority ? PRIORITY_BYTES : 0) < 0) return false;
    this.#block.streamId = this.#frame.streamId;
    this.#block.endOfStream = (this.#frame.flags & FrameFlag.endStream) !== 0;
    this.#continuations = 0;
    this.#blocks++;
    return this.#beginFragment(input);
  }

  #continuation(input: ByteQueue): boolean {
    if (++this.#continuations > MAX_CONTINUATIONS) return this.#flood('headerBlocks');
    input.consume(FRAME_HEADER_BYTES);
    this.#remaining = this.#frame.length;
    this.#padding = 0;
    return this.#beginFragment(input);
  }

  #beginFragment(input: ByteQueue): boolean {
    if (this.#fragments.length + this.#remaining > this.#options.maxHeaderBlock)
      return this.#flood('headerBlocks');
    const ends = (this.#frame.flags & FrameFlag.endHeaders) !== 0;
    if (ends && this.#fragments.length === 0 && this.#remaining <= input.length)
      return this.#blockInPlace(input);
    this.#blockStreamId = this.#frame.streamId;
    this.#fragments.expect(this.#remaining);
    this.#phase = FRAGMENT;
    return true;
  }

  /** The usual case: one HEADERS frame, all of it here. */
  #blockInPlace(input: ByteQueue): boolean {
    const start = input.start;
    const bytes = input.buffer.bytes;
    input.consume(this.#remaining);
    this.#finishBlock(bytes, start, start + this.#remaining);
    return true;
  }

  #fragmentPayload(input: ByteQueue): boolean {
    const count = Math.min(this.#remaining, input.length);
    if (count === 0 && this.#remaining > 0) return false;
    this.#fragments.add(input.buffer.bytes.subarray(input.start, input.start + count));
    input.consume(count);
    this.#remaining -= count;
    if (this.#remaining > 0) return false;
    if ((this.#frame.flags & FrameFlag.endHeaders) === 0) this.#skipPadding();
    else this.#finishBlock(this.#fragments.bytes, 0, this.#fragments.length);
    return true;
  }

  #finishBlock(bytes: Uint8Array, start: number, end: number): void {
    const block = this.#block;
    this.#frames += FRAMES_PER_HEADER_BLOCK + (end - start) / HEADER_OCTETS_PER_FRAME;
    block.bytes = bytes;
    block.start = start;
    block.end = end;
    this.#blockStreamId = 0;
    this.#fragments.clear();
    this.#skipPadding();
    if (this.#portionEndMs === 0) this.#portionEndMs = performance.now() + PORTION_MS;
    this.#sink.onHeaderBlock(block);
    block.bytes = EMPTY;
  }

  /**
   * Consumes the frame header, the padding length and `extra` octets behind it, and works out `#remaining` and
   * `#padding`. Returns -1 when they are not all here yet, or wrong.
   */
  #prefixBytes(input: ByteQueue, extra: number): number {
    const padded = (this.#frame.flags & FrameFlag.padded) !== 0;
    const prefix = (padded ? 1 : 0) + extra;
    if (this.#frame.length < prefix) {
      this.#violation(Http2ErrorCode.frameSizeError, 'a frame is too short for its flags');
      return -1;
    }
    if (input.length < FRAME_HEADER_BYTES + prefix) return -1;
    this.#padding = padded ? input.buffer.bytes[input.start + FRAME_HEADER_BYTES]! : 0;
    this.#remaining = this.#frame.length - prefix - this.#padding;
    if (this.#remaining < 0) {
      this.#violation(Http2ErrorCode.protocolError, 'padding is longer than its frame');
      return -1;
    }
    input.consume(FRAME_HEADER_BYTES + prefix);
    return prefix;
  }

  #skipPadding(): void {
    this.#remaining = this.#padding;
    this.#padding = 0;
    this.#phase = this.#remaining > 0 ? SKIP : HEADER;
  }

  #skipPayload(input: ByteQueue): boolean {
    const count = Math.min(this.#remaining, input.length);
    input.consume(count);
    this.#remaining -= count;
    if (this.#remaining > 0) return false;
    this.#phase = HEADER;
    return true;
  }

  #unknown(input: ByteQueue): boolean {
    input.consume(FRAME_HEADER_BYTES);
    this.#padding = this.#frame.length;
    this.#skipPadding();
    this.#sink.onUnknownFrame();
    return true;
  }

  /** Frames of a small size: handled when they are here, but for what GOAWAY says to people. */
  #control(input: ByteQueue): boolean {
    const frame = this.#frame;
    const fault = controlFrameFault(frame);
    if (fault !== undefined) return this.#refuse(fault);
    const needed = frame.type === FrameType.goAway ? GOAWAY_BYTES : frame.length;
    if (input.length < FRAME_HEADER_BYTES + needed) return false;
    const bytes = input.buffer.bytes;
    const at = input.start + FRAME_HEADER_BYTES;
    input.consume(FRAME_HEADER_BYTES + needed);
    this.#padding = frame.length - needed;
    this.#skipPadding();
    deliverControlFrame(frame, bytes, at, this.#sink);
    return true;
  }

  #refuse(fault: FrameFault): false {
    if (fault.kind === 'flood') return this.#flood(fault.cause);
    return this.#violation(fault.errorCode, fault.what);
  }

  #violation(errorCode: number, what: string): false {
    this.stop();
    this.#sink.onViolation(errorCode, what);
    return false;
  }

  #flood(cause: FloodCause): false {
    this.stop();
    this.#sink.onFlood(cause);
    return false;
  }
}
