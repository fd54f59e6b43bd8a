/** What a reader of HTTP/2 frames reports, as text. */

import assert from 'node:assert/strict';
import type { FrameSink } from '../../src/http/frame-sink.ts';

/** Writes down every event as text; DATA is written as a whole, however it was cut. */
export class FrameRecorder implements FrameSink {
  readonly events: string[] = [];
  #chunks: Buffer[] = [];
  #dataHeader = '';

  onDataFrame(streamId: number, flow: number, length: number, end: boolean): void {
    this.#dataHeader = `data ${streamId} ${flow} ${length} ${end}`;
    this.#chunks = [];
  }

  onDataChunk(buffer: { readonly bytes: Uint8Array }, offset: number, length: number): void {
    assert.ok(length > 0);
    this.#chunks.push(Buffer.from(buffer.bytes.slice(offset, offset + length)));
  }

  onDataFrameEnd(): void {
    this.events.push(`${this.#dataHeader} ${Buffer.concat(this.#chunks).toString('hex')}`);
  }

  onHeaderBlock({
    streamId,
    endOfStream,
    bytes,
    start,
    end,
  }: {
    streamId: number;
    endOfStream: boolean;
    bytes: Uint8Array;
    start: number;
    end: number;
  }): void {
    const block = Buffer.from(bytes.slice(start, end)).toString('hex');
    this.events.push(`headers ${streamId} ${endOfStream} ${block}`);
  }

  onSettings(bytes: Uint8Array, start: number, end: number): void {
    this.events.push(`settings ${Buffer.from(bytes.slice(start, end)).toString('hex')}`);
  }

  onPriority(): void {
    this.events.push('priority');
  }

  onRstStream(streamId: number, code: number): void {
    this.events.push(`rst ${streamId} ${code}`);
  }

  onSettingsAck(): void {
    this.events.push('ack');
  }

  onPing(ack: boolean, high: number, low: number): void {
    this.events.push(`ping ${ack} ${high} ${low}`);
  }

  onGoAway(last: number, code: number): void {
    this.events.push(`goaway ${last} ${code}`);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    this.events.push(`window ${streamId} ${increment}`);
  }

  onUnknownFrame(): void {
    this.events.push('unknown');
  }

  onStreamViolation(streamId: number, code: number): void {
    this.events.push(`stream violation ${streamId} ${code}`);
  }

  onViolation(code: number): void {
    this.events.push(`violation ${code}`);
  }

  onFlood(cause: string): void {
    this.events.push(`flood ${cause}`);
  }
}
