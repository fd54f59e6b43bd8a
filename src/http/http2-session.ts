/** The streams of one connection and their credit; stands between the frames and the public face. */

import type { AmbitError } from '../base/errors.ts';
import type { ByteStream } from '../io/byte-stream.ts';
import type { Task } from '../io/reactor.ts';
import type { NativeBuffer } from '../sys/native-buffer.ts';
import { FloodGuard } from './flood-guard.ts';
import { type HeaderList, headerValue } from './header-list.ts';
import type { FloodCause, Http2Counters } from './http2-counters.ts';
import { Http2ErrorCode } from './http2-error-code.ts';
import { DEFAULT_WINDOW_BYTES } from './http2-frame.ts';
import { Http2FrameReader } from './http2-frame-reader.ts';
import {
  type FloodKind,
  floodLimits,
  HEADER_BLOCK_FACTOR,
  MIN_EARNING_DATA_BYTES,
  PRIORITIES_PER_STREAM,
  WINDOW_UPDATES_PER_DATA,
  WINDOW_UPDATES_PER_STREAM,
} from './http2-limits.ts';
import { type AcceptedRequest, Http2Receiver, type ReceiverHost } from './http2-receiver.ts';
import { Http2Sender } from './http2-sender.ts';
import { type Http2Settings, PeerSettings, settingsEntries } from './http2-settings.ts';
import {
  Http2Stream,
  type Http2StreamHandler,
  idleHandler,
  type ResetOrigin,
  type StreamOwner,
} from './http2-stream.ts';
import { ReceiveWindow } from './receive-window.ts';
import { type StreamEnding, StreamTable } from './stream-table.ts';

/** How the session reaches the connection that it is part of. */
export interface SessionHost {
  onRequest(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): Http2StreamHandler;
  /** The peer has opened a stream beyond its limit. */
  onStreamRefused(): void;
  /** A stream has left the table. */
  onStreamGone(): void;
  onSettings(first: boolean): void;
  onSettingsAck(): void;
  onPingAck(high: number, low: number): void;
  onGoAway(lastStreamId: number, errorCode: number): void;
  onViolation(errorCode: number, what: string): void;
  onFlood(cause: FloodCause): void;
}

export interface SessionOptions {
  readonly role: 'client' | 'server';
  readonly settings: Http2Settings;
  readonly counters: Http2Counters;
}

interface StreamReset {
  readonly errorCode: number;
  readonly origin: ResetOrigin;
  readonly cause?: AmbitError | undefined;
}

export class Http2Session implements StreamOwner, ReceiverHost {
  readonly role: 'client' | 'server';
  readonly settings: Http2Settings;
  readonly counters: Http2Counters;
  readonly table: StreamTable;
  readonly sender: Http2Sender;
  readonly peer: PeerSettings;
  takesRequests = true;
  readonly #host: SessionHost;
  readonly #stream: ByteStream;
  readonly #reader: Http2FrameReader;
  readonly #guard: FloodGuard;
  readonly #window: ReceiveWindow;
  /** Until the peer has acknowledged a smaller window it may use the default one (RFC 9113 §6.9.2). */
  #streamWindow: number;
  readonly #resumeTask: Task = { run: () => this.#resume() };
  #resumePending = false;
  #settingsSeen = false;
  #ended = false;

  constructor(stream: ByteStream, host: SessionHost, options: SessionOptions) {
    this.#stream = stream;
    this.#host = host;
    this.role = options.role;
    this.settings = options.settings;
    this.counters = options.counters;
    this.table = new StreamTable(options.role);
    this.peer = new PeerSettings(options.role);
    this.sender = new Http2Sender(stream, {
      onQueueFull: () => this.flood('queuedReplies'),
      onHeadersSent: (sent) => this.#closeIfDone(sent),
    });
    this.#guard = new FloodGuard(stream.reactor, options.counters);
    this.#window = new ReceiveWindow(DEFAULT_WINDOW_BYTES);
    this.#streamWindow = Math.max(options.settings.streamWindow, DEFAULT_WINDOW_BYTES);
    this.#reader = new Http2FrameReader(new Http2Receiver(this), {
      expectPreface: options.role === 'server',
      maxFrameSize: options.settings.maxFrameSize,
      maxHeaderBlock: options.settings.maxHeaderListSize * HEADER_BLOCK_FACTOR,
    });
  }

  /** Sends what a connection begins with (RFC 9113 §3.4). */
  start(): void {
    const { writer } = this.sender;
    if (this.role === 'client') writer.preface();
    writer.settings(settingsEntries(this.settings, this.role));
    const increment = this.settings.connectionWindow - DEFAULT_WINDOW_BYTES;
    if (increment > 0) writer.windowUpdate(0, increment);
    this.#window.resize(Math.max(this.settings.connectionWindow, DEFAULT_WINDOW_BYTES));
  }

  readInput(): void {
    if (this.#ended) this.#stream.input.clear();
    else if (!this.#reader.read(this.#stream.input)) this.#stream.yieldInput();
  }

  /** A number for the header block that the peer has not ended yet; 0 for none. */
  get openHeaderBlock(): number {
    return this.#reader.openHeaderBlock;
  }

  /** Bytes received that no stream's user has given back yet. */
  get heldBytes(): number {
    return this.#window.held;
  }

  /** A request of ours; the caller has checked that the peer takes it. Undefined when the list is too large. */
  open(headers: HeaderList, handler: Http2StreamHandler, endOfStream: boolean): Http2Stream | undefined {
    const stream = new Http2Stream(this, {
      id: this.table.takeId(),
      handler,
      sendWindow: this.sender.initialStreamWindow,
      receiveWindow: this.#streamWindow,
      announced: false,
    });
    if (!this.sender.sendHeaders(stream, headers, endOfStream)) return undefined;
    this.#add(stream);
    return stream;
  }

  /** Ends everything: no frame is read any more, every open stream is told. */
  end(errorCode: number, cause: AmbitError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#reader.stop();
    for (const stream of this.table.all()) {
      this.#close(stream, 'reset-by-us', { errorCode, origin: 'connection', cause });
    }
  }

  /** The peer has said that it never handled these (RFC 9113 §6.8). */
  dropUnhandled(lastStreamId: number): void {
    for (const stream of this.table.all()) {
      if (stream.id <= lastStreamId) continue;
      this.#close(stream, 'reset-by-peer', { errorCode: Http2ErrorCode.refusedStream, origin: 'goaway' });
    }
  }

  // What streams ask for.

  dataBuffer(): NativeBuffer {
    return this.sender.dataBuffer();
  }

  dataOffset(): number {
    return this.sender.dataOffset();
  }

  writableBytes(stream: Http2Stream): number {
    return this.sender.writableBytes(stream);
  }

  sendData(stream: Http2Stream, length: number, endOfStream: boolean): void {
    this.sender.sendData(stream, length, endOfStream);
    const dribbled = length < MIN_EARNING_DATA_BYTES && !this.sender.hasWindow(stream);
    if (!dribbled) this.#guard.earn('windowUpdates', WINDOW_UPDATES_PER_DATA);
    if (endOfStream) this.#closeIfDone(stream);
  }

  sendHeaders(stream: Http2Stream, headers: HeaderList, endOfStream: boolean): void {
    if (this.role === 'server' && !stream.responded) this.#noteResponse(stream, headers);
    if (!this.sender.sendHeaders(stream, headers, endOfStream)) {
      this.resetStream(stream, Http2ErrorCode.internalError);
    } else if (endOfStream) {
      this.#closeIfDone(stream);
    }
  }

  resetStream(stream: Http2Stream, errorCode: number): void {
    if (stream.announced) this.sender.writer.rstStream(stream.id, errorCode);
    this.#close(stream, 'reset-by-us', undefined);
  }

  credit(stream: Http2Stream, bytes: number): void {
    this.creditConnection(bytes);
    if (stream.remoteEnded || stream.closed) return;
    const increment = stream.receiveWindow.giveBack(bytes);
    if (increment > 0) this.sender.writer.windowUpdate(stream.id, increment);
  }

  // What incoming frames ask for.

  takeWindow(bytes: number): boolean {
    return this.#window.take(bytes);
  }

  creditConnection(bytes: number): void {
    const increment = this.#window.giveBack(bytes);
    if (increment > 0 && !this.#ended) this.sender.writer.windowUpdate(0, increment);
  }

  admit(kind: FloodKind, events?: number): boolean {
    if (this.#guard.admit(kind, events)) return true;
    this.#host.onFlood(kind);
    return false;
  }

  acceptRequest(request: AcceptedRequest): void {
    const stream = new Http2Stream(this, {
      id: request.streamId,
      handler: idleHandler,
      sendWindow: this.sender.initialStreamWindow,
      receiveWindow: this.#streamWindow,
      announced: true,
    });
    stream.bodyRemaining = request.contentLength;
    this.#add(stream);
    this.#guard.earn('priorityFrames', PRIORITIES_PER_STREAM);
    stream.handler = this.#host.onRequest(stream, request.headers, request.endOfStream);
    if (request.endOfStream && !stream.closed) this.endRemote(stream);
  }

  rejectStream(streamId: number, errorCode: number): void {
    this.table.remember(streamId, 'reset-by-us');
    if (this.admit('provokedResets')) this.sender.writer.rstStream(streamId, errorCode);
  }

  refuseStream(streamId: number): void {
    this.counters.refusedStreams++;
    this.rejectStream(streamId, Http2ErrorCode.refusedStream);
    this.#host.onStreamRefused();
  }

  rejectTooLarge(streamId: number, endOfStream: boolean): void {
    const headers: HeaderList = [[':status', '431']];
    if (!this.sender.writer.hasHeaderSpace(headers)) {
      this.rejectStream(streamId, Http2ErrorCode.enhanceYourCalm);
      return;
    }
    this.sender.writer.headers(streamId, true, headers);
    // A complete response to a request that is not: RFC 9113 §8.1 wants NO_ERROR then.
    if (!endOfStream) this.rejectStream(streamId, Http2ErrorCode.noError);
    else if (this.admit('provokedResets')) this.table.remember(streamId, 'ended');
  }

  resetForViolation(stream: Http2Stream, errorCode: number): void {
    if (!this.admit('provokedResets')) return;
    this.sender.writer.rstStream(stream.id, errorCode);
    this.#close(stream, 'reset-by-us', { errorCode, origin: 'violation' });
  }

  resetByPeer(stream: Http2Stream, errorCode: number): void {
    this.#close(stream, 'reset-by-peer', { errorCode, origin: 'peer' });
  }

  endRemote(stream: Http2Stream): void {
    stream.remoteEnded = true;
    stream.handler.onEnd();
    this.#closeIfDone(stream);
  }

  resumeSoon(): void {
    if (this.#resumePending || this.#ended) return;
    this.#resumePending = true;
    this.#stream.reactor.defer(this.#resumeTask);
  }

  violation(errorCode: number, what: string): void {
    this.#host.onViolation(errorCode, what);
  }

  flood(cause: FloodCause): void {
    // A bucket counts its own floods; the others have none.
    if (!(cause in floodLimits)) this.counters.floods[cause]++;
    this.#host.onFlood(cause);
  }

  settingsReceived(bytes: Uint8Array, start: number, end: number): void {
    const error = this.peer.apply(bytes, start, end);
    if (error !== Http2ErrorCode.noError) {
      this.violation(error, 'a setting has a value that is not allowed');
      return;
    }
    if (!this.sender.applySettings(this.peer, this.table.all())) {
      this.violation(Http2ErrorCode.flowControlError, 'SETTINGS overflow a window');
      return;
    }
    this.sender.writer.settingsAck();
    this.resumeSoon();
    this.#host.onSettings(!this.#settingsSeen);
    this.#settingsSeen = true;
  }

  settingsAcknowledged(): void {
    const change = this.settings.streamWindow - this.#streamWindow;
    this.#streamWindow = this.settings.streamWindow;
    if (change !== 0) for (const stream of this.table.all()) stream.receiveWindow.resize(this.#streamWindow);
    this.#host.onSettingsAck();
  }

  pingReceived(ack: boolean, high: number, low: number): void {
    if (ack) this.#host.onPingAck(high, low);
    else this.sender.writer.ping(true, high, low);
  }

  goAwayReceived(lastStreamId: number, errorCode: number): void {
    this.#host.onGoAway(lastStreamId, errorCode);
  }

  #resume(): void {
    this.#resumePending = false;
    if (!this.#ended) this.sender.resume();
  }

  #add(stream: Http2Stream): void {
    this.table.add(stream);
    this.counters.streams++;
    this.#guard.earn('windowUpdates', WINDOW_UPDATES_PER_STREAM);
  }

  /** An answered request is work done in good faith: it makes room for one that is given up early. */
  #noteResponse(stream: Http2Stream, headers: HeaderList): void {
    if (headerValue(headers, ':status')?.charCodeAt(0) === 0x31) return;
    stream.responded = true;
    this.#guard.earn('rapidResets', 1);
  }

  #closeIfDone(stream: Http2Stream): void {
    if (!stream.localEnded || !stream.remoteEnded || stream.headersWaiting > 0) return;
    this.#close(stream, 'ended', undefined);
  }

  #close(stream: Http2Stream, ending: StreamEnding, reset: StreamReset | undefined): void {
    if (!this.table.remove(stream, ending)) return;
    this.counters.streamsClosed++;
    const { handler } = stream;
    stream.handler = idleHandler;
    if (reset !== undefined) handler.onReset(reset.errorCode, reset.origin, reset.cause);
    this.#host.onStreamGone();
  }
}
