/** What a reader of HTTP/2 frames reports. */

import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { FloodCause } from './http2-counters.ts';

/** Where frames go; every method may call stop() of the reader. */
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
