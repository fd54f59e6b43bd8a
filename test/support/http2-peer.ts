/** One end of an HTTP/2 connection under test, over a memory stream, with a test as the other end. */

import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { AmbitError } from '../../src/base/errors.ts';
import type { HeaderList } from '../../src/http/header-list.ts';
import { Http2Connection } from '../../src/http/http2-connection.ts';
import { Http2Counters } from '../../src/http/http2-counters.ts';
import { FrameType } from '../../src/http/http2-frame.ts';
import { defaultHttp2Settings, type Http2Settings } from '../../src/http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler } from '../../src/http/http2-stream.ts';
import { Reactor } from '../../src/io/reactor.ts';
import type { NativeBuffer } from '../../src/sys/native-buffer.ts';
import { type Frame, HeaderCodec, PREFACE, parseFrames, SETTINGS_ACK, settings } from './http2-frames.ts';
import { MemoryStream } from './memory-stream.ts';

/** A reactor whose turns the test makes, and whose clock it moves. */
export function manualReactor(): Reactor {
  const reactor = new Reactor();
  after(() => reactor.close());
  return reactor;
}

/** Writes down what a stream tells its user; gives received bytes back unless told to keep them. */
export class StreamRecorder implements Http2StreamHandler {
  readonly events: string[] = [];
  stream: Http2Stream | undefined;
  received = '';
  keepBytes = false;
  onRoom: () => void = () => {};
  onBytes: () => void = () => {};

  onHeaders(headers: HeaderList, endOfStream: boolean): void {
    this.events.push(
      `headers ${headers.map((field) => field.join('=')).join(',')}${endOfStream ? ' end' : ''}`,
    );
  }

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    this.received += Buffer.from(buffer.bytes.slice(offset, offset + length)).toString('latin1');
    if (!this.keepBytes) this.stream?.consumed(length);
    this.onBytes();
  }

  onEnd(): void {
    this.events.push('end');
  }

  onReset(errorCode: number, origin: string): void {
    this.events.push(`reset ${errorCode} ${origin}`);
  }

  onWritable(): void {
    this.onRoom();
  }
}

/** Puts text into the next DATA frame, as far as there is room; returns how much. */
export function sendText(stream: Http2Stream, text: string, endOfStream = false): number {
  const count = Math.min(stream.writableBytes(), text.length);
  if (count === 0 && text.length > 0) return 0;
  if (count > 0) stream.dataBuffer.bytes.set(Buffer.from(text.slice(0, count)), stream.dataOffset());
  stream.commitData(count, endOfStream && count === text.length);
  return count;
}

export class Endpoint {
  readonly reactor: Reactor;
  readonly stream: MemoryStream;
  readonly counters = new Http2Counters();
  readonly connection: Http2Connection;
  /** Of the other side, that is, of the test. */
  readonly codec = new HeaderCodec();
  readonly requests: { stream: Http2Stream; headers: HeaderList; recorder: StreamRecorder }[] = [];
  readonly events: string[] = [];
  closedWith: AmbitError | undefined;
  /** What happens to a new request. */
  onRequest: (stream: Http2Stream, recorder: StreamRecorder) => void = () => {};

  constructor(role: 'client' | 'server', changes: Partial<Http2Settings> = {}) {
    this.reactor = manualReactor();
    this.stream = new MemoryStream(this.reactor);
    this.connection = new Http2Connection(this.stream, {
      role,
      settings: { ...defaultHttp2Settings, ...changes },
      counters: this.counters,
      events: {
        onReady: () => this.events.push('ready'),
        onGoAway: () => this.events.push('goaway'),
        onStreamRefused: () => this.events.push('refused'),
        onRequest: (stream, headers) => this.#onRequest(stream, headers),
        onClosed: (error) => {
          this.closedWith = error;
          this.events.push(`closed ${error?.code ?? ''}`.trim());
        },
      },
    });
    this.connection.onOpen();
  }

  #onRequest(stream: Http2Stream, headers: HeaderList): StreamRecorder {
    const recorder = new StreamRecorder();
    recorder.stream = stream;
    this.requests.push({ stream, headers, recorder });
    this.onRequest(stream, recorder);
    return recorder;
  }

  /** Exchanges SETTINGS, as a sound peer begins, and forgets what was sent for it. */
  greet(...entries: readonly (readonly [number, number])[]): this {
    const isServer = this.stream.handler === this.connection && this.#isServer();
    this.send(...(isServer ? [PREFACE] : []), settings(...entries), SETTINGS_ACK);
    this.take();
    return this;
  }

  #isServer(): boolean {
    this.stream.turn();
    const begin = this.stream.takeWritten();
    return !begin.subarray(0, PREFACE.length).equals(PREFACE);
  }

  send(...parts: readonly Uint8Array[]): void {
    this.stream.deliver(Buffer.concat(parts));
  }

  /** Frames sent since the last call. */
  take(): Frame[] {
    this.stream.turn();
    return parseFrames(this.stream.takeWritten());
  }

  /** The one GOAWAY among the frames sent since the last call. */
  takeGoAway(): { lastStreamId: number; errorCode: number; text: string } {
    const frames = this.take().filter((one) => one.type === FrameType.goAway);
    assert.equal(frames.length, 1, 'one GOAWAY was expected');
    const { payload } = frames[0]!;
    return {
      lastStreamId: payload.readUInt32BE(0),
      errorCode: payload.readUInt32BE(4),
      text: payload.toString('latin1', 8),
    };
  }

  /** Streams that were reset since the last call, with their error codes. */
  takeResets(): (readonly [streamId: number, errorCode: number])[] {
    return this.take()
      .filter((one) => one.type === FrameType.rstStream)
      .map((one) => [one.streamId, one.payload.readUInt32BE(0)] as const);
  }

  /** A request for a tunnel. */
  connect(streamId: number, endOfStream = false): Buffer {
    const headers: HeaderList = [
      [':method', 'CONNECT'],
      [':authority', '10.0.0.9:80'],
    ];
    return this.codec.headers(streamId, headers, endOfStream);
  }
}
