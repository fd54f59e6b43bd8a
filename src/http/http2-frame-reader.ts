/** Takes the incoming bytes of an HTTP/2 connection apart, however they are cut, and checks the form of each frame. */

import type { ByteQueue } from '../io/byte-queue.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import { HeaderFragments } from './header-fragments.ts';
import type { FloodCause } from './http2-counters.ts';
import { Http2ErrorCode } from './http2-error-code.ts';
import {
  CLIENT_PREFACE,
  FRAME_HEADER_BYTES,
  FrameFlag,
  FrameType,
  getUint31,
  getUint32,
} from './http2-frame.ts';
import {
  FRAMES_PER_HEADER_BLOCK,
  FRAMES_PER_TURN,
  HEADER_OCTETS_PER_FRAME,
  MAX_CONTINUATIONS,
  MAX_SETTINGS_ENTRIES,
  PORTION_MS,
} from './http2-limits.ts';

/** Where frames go; every method may call {@link Http2FrameReader.stop}. */
export interface FrameSink {
  /** A DATA frame began; `flowLength` is what it costs of the windows, `dataLength` that without padding. */
  onDataFrame(streamId: number, flowLength: number, dataLength: number, endOfStream: boolean): void;
  /** A piece of it, in place. */
  onDataChunk(buffer: NativeBuffer, offset: number, length: number): void;
  /** All of it has been delivered. */
  onDataFrameEnd(): void;
  /** A complete header block in bytes [start, end), valid during the call. */
  onHeaderBlock(block: HeaderBlock): void;
  onPriority(): void;
  onRstStream(streamId: number, errorCode: number): void;
  onSettings(bytes: Uint8Array, start: number, end: number): void;
  onSettingsAck(): void;
  onPing(ack: boolean, high: number, low: number): void;
  onGoAway(lastStreamId: number, errorCode: number): void;
  onWindowUpdate(streamId: number, increment: number): void;
  onUnknownFrame(): void;
  /** The form of a frame is wrong in a way that concerns one stream only. */
  onStreamViolation(streamId: number, errorCode: number): void;
  /** The connection cannot go on. */
  onViolation(errorCode: number, what: string): void;
  onFlood(cause: FloodCause): void;
}

/** One object per reader, filled anew for each block. */
export interface HeaderBlock {
  streamId: number;
  endOfStream: boolean;
  bytes: Uint8Array;
  start: number;
  end: number;
}

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
/** Exclusive flag, stream dependency and weight, which RFC 9113 §5.3.2 tells us to ignore. */
const PRIORITY_BYTES = 5;
const SETTING_BYTES = 6;
const MAX_SETTINGS_BYTES = MAX_SETTINGS_ENTRIES * SETTING_BYTES;
const GOAWAY_BYTES = 8;
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
  // The frame header that was read last.
  #length = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
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
   * PORTION_MS were reached: then there may be more.
   */
  read(input: ByteQueue): boolean {
    this.#frames = 0;
    this.#portionEndMs = 0;
    while (!this.#stopped && this.#advance(input)) if (this.#frames >= FRAMES_PER_TURN) return this.#stopped;
    return true;
  }

  /** One step; false when more input is needed for the next one. */
  #advance(input: ByteQueue): boolean {
    switch (this.#phase) {
      case HEADER:
        return this.#frame(input);
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

  #frame(input: ByteQueue): boolean {
    if (input.length < FRAME_HEADER_BYTES) return false;
    this.#frames++;
    const bytes = input.buffer.bytes;
    const at = input.start;
    this.#length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
    this.#type = bytes[at + 3]!;
    this.#flags = bytes[at + 4]!;
    this.#streamId = getUint31(bytes, at + 5);
    if (this.#type !== FrameType.data || this.#blockStreamId !== 0 || !this.#settingsSeen) {
      if (!this.#inOrder()) return false;
    }
    if (this.#length > this.#options.maxFrameSize) {
      return this.#violation(Http2ErrorCode.frameSizeError, 'a frame is larger than we allow');
    }
    return this.#dispatch(input);
  }

  /** RFC 9113 §3.4: SETTINGS come first; §6.10: nothing comes between the parts of a header block. */
  #inOrder(): boolean {
    const isAck = (this.#flags & FrameFlag.ack) !== 0;
    if (!this.#settingsSeen && (this.#type !== FrameType.settings || isAck)) {
      return this.#violation(Http2ErrorCode.protocolError, 'the first frame is not SETTINGS');
    }
    this.#settingsSeen = true;
    const continues = this.#type === FrameType.continuation;
    if (this.#blockStreamId !== (continues ? this.#streamId : 0) || (continues && this.#streamId === 0)) {
      return this.#violation(Http2ErrorCode.protocolError, 'a header block is interrupted or out of place');
    }
    return true;
  }

  #dispatch(input: ByteQueue): boolean {
    switch (this.#type) {
      case FrameType.data:
        return this.#data(input);
      case FrameType.headers:
        return this.#isPortionOver() ? this.#putOff() : this.#headers(input);
      case FrameType.continuation:
        return this.#continuation(input);
      case FrameType.pushPromise:
        return this.#violation(Http2ErrorCode.protocolError, 'PUSH_PROMISE although push is off');
      case FrameType.goAway:
        return this.#goAway(input);
      default:
        return this.#type > FrameType.continuation ? this.#unknown(input) : this.#control(input);
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
    if (this.#streamId === 0) return this.#violation(Http2ErrorCode.protocolError, 'DATA on stream 0');
    const prefix = this.#prefixBytes(input, 0);
    if (prefix < 0) return false;
    this.#phase = DATA;
    const endOfStream = (this.#flags & FrameFlag.endStream) !== 0;
    this.#sink.onDataFrame(this.#streamId, this.#length, this.#remaining, endOfStream);
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
      this.#sink.onDataChunk(buffer, offset, count);
      return true;
    }
    this.#skipPadding();
    this.#sink.onDataFrameEnd();
    return true;
  }

  #headers(input: ByteQueue): boolean {
    if (this.#streamId === 0) return this.#violation(Http2ErrorCode.protocolError, 'HEADERS on stream 0');
    const hasPriority = (this.#flags & FrameFlag.priority) !== 0;
    if (this.#prefixBytes(input, hasPriority ? PRIORITY_BYTES : 0) < 0) return false;
    this.#block.streamId = this.#streamId;
    this.#block.endOfStream = (this.#flags & FrameFlag.endStream) !== 0;
    this.#continuations = 0;
    this.#blocks++;
    return this.#beginFragment(input);
  }

  #continuation(input: ByteQueue): boolean {
    if (++this.#continuations > MAX_CONTINUATIONS) return this.#flood('headerBlocks');
    input.consume(FRAME_HEADER_BYTES);
    this.#remaining = this.#length;
    this.#padding = 0;
    return this.#beginFragment(input);
  }

  #beginFragment(input: ByteQueue): boolean {
    if (this.#fragments.length + this.#remaining > this.#options.maxHeaderBlock)
      return this.#flood('headerBlocks');
    const ends = (this.#flags & FrameFlag.endHeaders) !== 0;
    if (ends && this.#fragments.length === 0 && this.#remaining <= input.length)
      return this.#blockInPlace(input);
    this.#blockStreamId = this.#streamId;
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
    if ((this.#flags & FrameFlag.endHeaders) === 0) this.#skipPadding();
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
    const padded = (this.#flags & FrameFlag.padded) !== 0;
    const prefix = (padded ? 1 : 0) + extra;
    if (this.#length < prefix) {
      this.#violation(Http2ErrorCode.frameSizeError, 'a frame is too short for its flags');
      return -1;
    }
    if (input.length < FRAME_HEADER_BYTES + prefix) return -1;
    this.#padding = padded ? input.buffer.bytes[input.start + FRAME_HEADER_BYTES]! : 0;
    this.#remaining = this.#length - prefix - this.#padding;
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

  #goAway(input: ByteQueue): boolean {
    if (this.#streamId !== 0) return this.#violation(Http2ErrorCode.protocolError, 'GOAWAY on a stream');
    if (this.#length < GOAWAY_BYTES) {
      return this.#violation(Http2ErrorCode.frameSizeError, 'GOAWAY is too short');
    }
    if (input.length < FRAME_HEADER_BYTES + GOAWAY_BYTES) return false;
    const bytes = input.buffer.bytes;
    const at = input.start + FRAME_HEADER_BYTES;
    input.consume(FRAME_HEADER_BYTES + GOAWAY_BYTES);
    this.#padding = this.#length - GOAWAY_BYTES;
    this.#skipPadding();
    this.#sink.onGoAway(getUint31(bytes, at), getUint32(bytes, at + 4));
    return true;
  }

  #unknown(input: ByteQueue): boolean {
    input.consume(FRAME_HEADER_BYTES);
    this.#padding = this.#length;
    this.#skipPadding();
    this.#sink.onUnknownFrame();
    return true;
  }

  /** Frames of a small, fixed size: handled when they are here as a whole. */
  #control(input: ByteQueue): boolean {
    if (!this.#controlFrameIsSound()) return false;
    if (input.length < FRAME_HEADER_BYTES + this.#length) return false;
    const bytes = input.buffer.bytes;
    const at = input.start + FRAME_HEADER_BYTES;
    input.consume(FRAME_HEADER_BYTES + this.#length);
    this.#deliverControl(bytes, at);
    return true;
  }

  #controlFrameIsSound(): boolean {
    const onStream = this.#streamId !== 0;
    switch (this.#type) {
      case FrameType.settings:
        return this.#settingsAreSound(onStream);
      case FrameType.ping:
        return this.#expect(8, !onStream);
      case FrameType.rstStream:
        return this.#expect(4, onStream);
      case FrameType.windowUpdate:
        return this.#expect(4, true);
      default:
        // PRIORITY of a wrong size harms one stream only (RFC 9113 §6.3), so it is delivered as that.
        return this.#expect(this.#length > MAX_SETTINGS_BYTES ? PRIORITY_BYTES : this.#length, onStream);
    }
  }

  #settingsAreSound(onStream: boolean): boolean {
    const isAck = (this.#flags & FrameFlag.ack) !== 0;
    if (this.#length > MAX_SETTINGS_BYTES) return this.#flood('settingsEntries');
    return this.#expect(isAck ? 0 : this.#length - (this.#length % SETTING_BYTES), !onStream);
  }

  #expect(length: number, rightStream: boolean): boolean {
    if (!rightStream) {
      return this.#violation(Http2ErrorCode.protocolError, 'a frame is on the wrong kind of stream');
    }
    if (this.#length !== length) {
      return this.#violation(Http2ErrorCode.frameSizeError, 'a frame has the wrong size');
    }
    return true;
  }

  #deliverControl(bytes: Uint8Array, at: number): void {
    switch (this.#type) {
      case FrameType.settings:
        if ((this.#flags & FrameFlag.ack) !== 0) this.#sink.onSettingsAck();
        else this.#sink.onSettings(bytes, at, at + this.#length);
        return;
      case FrameType.ping:
        this.#sink.onPing(
          (this.#flags & FrameFlag.ack) !== 0,
          getUint32(bytes, at),
          getUint32(bytes, at + 4),
        );
        return;
      case FrameType.rstStream:
        this.#sink.onRstStream(this.#streamId, getUint32(bytes, at));
        return;
      case FrameType.windowUpdate:
        this.#sink.onWindowUpdate(this.#streamId, getUint31(bytes, at));
        return;
      default:
        if (this.#length === PRIORITY_BYTES) this.#sink.onPriority();
        else this.#sink.onStreamViolation(this.#streamId, Http2ErrorCode.frameSizeError);
    }
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
