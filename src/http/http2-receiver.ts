/** The receiving half of a connection: what each frame means for the streams (RFC 9113 §5, §6, §8). */

import type { NativeBuffer } from '../sys/native-buffer.ts';
import type { FrameSink, HeaderBlock } from './frame-sink.ts';
import { type HeaderList, headerValue } from './header-list.ts';
import { type HeaderBlockOutcome, HpackDecoder } from './hpack-decoder.ts';
import type { FloodCause, Http2Counters } from './http2-counters.ts';
import { Http2ErrorCode } from './http2-error-code.ts';
import { type FloodKind, INSERTIONS_PER_BLOCK, MAX_HEADER_FIELDS } from './http2-limits.ts';
import type { Http2Sender } from './http2-sender.ts';
import { HEADER_TABLE_BYTES, type Http2Settings } from './http2-settings.ts';
import type { Http2Stream } from './http2-stream.ts';
import { contentLength, messageFault } from './message-rules.ts';
import type { StreamTable } from './stream-table.ts';

/** A request that passed all checks. */
export interface AcceptedRequest {
  readonly streamId: number;
  readonly headers: HeaderList;
  readonly endOfStream: boolean;
  /** -1 when the request says nothing. */
  readonly contentLength: number;
}

/** The session, as far as incoming frames concern it. */
export interface ReceiverHost {
  readonly role: 'client' | 'server';
  readonly settings: Http2Settings;
  readonly counters: Http2Counters;
  readonly table: StreamTable;
  readonly sender: Http2Sender;
  /** False after our last GOAWAY: what the peer opens now is ignored. */
  readonly takesRequests: boolean;
  /** False when the connection's window is overrun. */
  takeWindow(bytes: number): boolean;
  creditConnection(bytes: number): void;
  credit(stream: Http2Stream, bytes: number): void;
  /** Counts against a flood limit; false when that ended the connection. */
  admit(kind: FloodKind, events?: number): boolean;
  acceptRequest(request: AcceptedRequest): void;
  /** Resets a stream that is not in the table. */
  rejectStream(streamId: number, errorCode: number): void;
  /** Resets a stream that the peer has opened beyond its limit. */
  refuseStream(streamId: number): void;
  /** Answers a request whose fields are too large, without opening the stream. */
  rejectTooLarge(streamId: number, endOfStream: boolean): void;
  /** Resets an open stream because of what the peer did on it. */
  resetForViolation(stream: Http2Stream, errorCode: number): void;
  resetByPeer(stream: Http2Stream, errorCode: number): void;
  /** The peer has ended its direction. */
  endRemote(stream: Http2Stream): void;
  resumeSoon(): void;
  violation(errorCode: number, what: string): void;
  flood(cause: FloodCause): void;
  settingsReceived(bytes: Uint8Array, start: number, end: number): void;
  settingsAcknowledged(): void;
  pingReceived(ack: boolean, high: number, low: number): void;
  goAwayReceived(lastStreamId: number, errorCode: number): void;
}

export class Http2Receiver implements FrameSink {
  readonly #host: ReceiverHost;
  readonly #decoder: HpackDecoder;
  // The DATA frame that is coming in; without a stream when its bytes are dropped.
  #dataStream: Http2Stream | undefined;
  #dataEndsStream = false;

  constructor(host: ReceiverHost) {
    this.#host = host;
    this.#decoder = new HpackDecoder({
      tableSize: HEADER_TABLE_BYTES,
      listSize: host.settings.maxHeaderListSize,
      fields: MAX_HEADER_FIELDS,
    });
  }

  onDataFrame(streamId: number, flowLength: number, dataLength: number, endOfStream: boolean): void {
    const host = this.#host;
    this.#dataStream = undefined;
    this.#dataEndsStream = endOfStream;
    if (!host.takeWindow(flowLength)) {
      host.violation(Http2ErrorCode.flowControlError, 'DATA overruns the window of the connection');
      return;
    }
    if (dataLength === 0 && !endOfStream && !host.admit('emptyFrames')) return;
    const stream = host.table.find(streamId);
    if (stream !== undefined) {
      this.#dataFor(stream, flowLength, dataLength);
      return;
    }
    host.creditConnection(flowLength);
    this.#stray(streamId);
  }

  #dataFor(stream: Http2Stream, flowLength: number, dataLength: number): void {
    const fault = this.#dataFault(stream, flowLength, dataLength);
    if (fault !== Http2ErrorCode.noError) {
      this.#host.creditConnection(flowLength);
      this.#host.resetForViolation(stream, fault);
      return;
    }
    if (flowLength > dataLength) this.#host.credit(stream, flowLength - dataLength);
    this.#dataStream = stream;
  }

  #dataFault(stream: Http2Stream, flowLength: number, dataLength: number): number {
    if (stream.remoteEnded) return Http2ErrorCode.streamClosed;
    if (!stream.receiveWindow.take(flowLength)) return Http2ErrorCode.flowControlError;
    if (this.#host.role === 'client' && !stream.responded) return Http2ErrorCode.protocolError;
    if (stream.bodyRemaining >= 0) {
      if (dataLength > stream.bodyRemaining) return Http2ErrorCode.protocolError;
      stream.bodyRemaining -= dataLength;
    }
    return Http2ErrorCode.noError;
  }

  onDataChunk(buffer: NativeBuffer, offset: number, length: number): void {
    const stream = this.#dataStream;
    if (stream === undefined) return;
    if (stream.closed) this.#host.creditConnection(length);
    else stream.handler.onData(buffer, offset, length);
  }

  onDataFrameEnd(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (stream !== undefined && this.#dataEndsStream && !stream.closed) this.#end(stream);
  }

  onHeaderBlock(block: HeaderBlock): void {
    const host = this.#host;
    // Decoded in any case: the peer's later blocks build on this one (RFC 9113 §4.3).
    const outcome = this.#decoder.decode(block.bytes, block.start, block.end);
    if (outcome === 'invalid') {
      host.violation(Http2ErrorCode.compressionError, 'a header block cannot be decoded');
      return;
    }
    if (outcome === 'bomb') return host.flood('headerBombs');
    const needless = this.#decoder.insertions - INSERTIONS_PER_BLOCK;
    if (needless > 0 && !host.admit('tableInsertions', needless)) return;
    if (outcome === 'too-large') host.counters.headerListsTooLarge++;
    const stream = host.table.find(block.streamId);
    if (stream !== undefined) this.#furtherHeaders(stream, block.endOfStream, outcome);
    else if (host.table.peerMayOpen(block.streamId)) this.#newStream(block, outcome);
    else this.#stray(block.streamId);
  }

  #newStream(block: HeaderBlock, outcome: HeaderBlockOutcome): void {
    const host = this.#host;
    const { streamId, endOfStream } = block;
    host.table.notePeerId(streamId);
    if (!host.takesRequests) {
      host.counters.refusedStreams++;
      host.table.remember(streamId, 'reset-by-us');
      host.admit('glitches');
    } else if (host.table.size >= host.settings.maxConcurrentStreams) {
      host.refuseStream(streamId);
    } else if (outcome === 'too-large') {
      host.rejectTooLarge(streamId, endOfStream);
    } else {
      this.#request(streamId, endOfStream);
    }
  }

  #request(streamId: number, endOfStream: boolean): void {
    const headers = this.#decoder.headers;
    const length = contentLength(headers);
    const contradiction = endOfStream && length !== undefined && length > 0;
    if (messageFault('request', headers) !== undefined || length === undefined || contradiction) {
      this.#host.counters.malformedMessages++;
      this.#host.rejectStream(streamId, Http2ErrorCode.protocolError);
      return;
    }
    this.#host.acceptRequest({ streamId, headers, endOfStream, contentLength: length });
  }

  #furtherHeaders(stream: Http2Stream, endOfStream: boolean, outcome: HeaderBlockOutcome): void {
    const headers = this.#decoder.headers;
    const fault = this.#headersFault(stream, headers, endOfStream, outcome);
    if (fault !== Http2ErrorCode.noError) {
      this.#host.counters.malformedMessages++;
      this.#host.resetForViolation(stream, fault);
      return;
    }
    if (this.#host.role === 'client' && !stream.responded) {
      if (!isInformational(headers)) stream.responded = true;
      else if (!this.#host.admit('glitches')) return;
    }
    stream.handler.onHeaders(headers, endOfStream);
    if (endOfStream && !stream.closed) this.#end(stream);
  }

  #headersFault(
    stream: Http2Stream,
    headers: HeaderList,
    endOfStream: boolean,
    outcome: HeaderBlockOutcome,
  ): number {
    if (stream.remoteEnded) return Http2ErrorCode.streamClosed;
    if (outcome === 'too-large') return Http2ErrorCode.enhanceYourCalm;
    if (this.#host.role === 'server' || stream.responded) {
      const sound = endOfStream && messageFault('trailers', headers) === undefined;
      return sound ? Http2ErrorCode.noError : Http2ErrorCode.protocolError;
    }
    const sound =
      messageFault('response', headers) === undefined && !(endOfStream && isInformational(headers));
    return sound ? Http2ErrorCode.noError : Http2ErrorCode.protocolError;
  }

  /** RFC 9113 §8.1.1: a body shorter than announced is malformed. */
  #end(stream: Http2Stream): void {
    if (stream.bodyRemaining > 0) this.#host.resetForViolation(stream, Http2ErrorCode.protocolError);
    else this.#host.endRemote(stream);
  }

  /** DATA or HEADERS on a stream that is not open (RFC 9113 §5.1). */
  #stray(streamId: number): void {
    switch (this.#host.table.fateOf(streamId)) {
      case 'idle':
        this.#host.violation(Http2ErrorCode.protocolError, 'a frame on a stream that was never opened');
        return;
      case 'ended':
        this.#host.violation(Http2ErrorCode.streamClosed, 'a frame on a stream that the sender had ended');
        return;
      case 'reset-by-us':
        // It was on its way when our RST_STREAM was.
        return;
      default:
        this.#host.rejectStream(streamId, Http2ErrorCode.streamClosed);
    }
  }

  onRstStream(streamId: number, errorCode: number): void {
    const host = this.#host;
    const stream = host.table.find(streamId);
    if (stream === undefined) {
      if (host.table.fateOf(streamId) !== 'idle') host.admit('glitches');
      else host.violation(Http2ErrorCode.protocolError, 'RST_STREAM on a stream that was never opened');
      return;
    }
    const early = host.role === 'server' && !stream.responded;
    if (early && !host.admit('rapidResets')) return;
    host.resetByPeer(stream, errorCode);
  }

  onWindowUpdate(streamId: number, increment: number): void {
    const host = this.#host;
    if (!host.admit('windowUpdates')) return;
    if (streamId !== 0) {
      this.#widenStream(streamId, increment);
      return;
    }
    if (increment === 0) host.violation(Http2ErrorCode.protocolError, 'WINDOW_UPDATE of 0');
    else if (host.sender.widenConnection(increment)) host.resumeSoon();
    else host.violation(Http2ErrorCode.flowControlError, 'WINDOW_UPDATE overflows the window');
  }

  #widenStream(streamId: number, increment: number): void {
    const host = this.#host;
    const stream = host.table.find(streamId);
    if (stream === undefined) {
      if (host.table.fateOf(streamId) !== 'idle') return;
      host.violation(Http2ErrorCode.protocolError, 'WINDOW_UPDATE on a stream that was never opened');
    } else if (increment === 0) {
      host.resetForViolation(stream, Http2ErrorCode.protocolError);
    } else if (host.sender.widenStream(stream, increment)) {
      if (stream.queued) host.resumeSoon();
    } else {
      host.resetForViolation(stream, Http2ErrorCode.flowControlError);
    }
  }

  onPriority(): void {
    this.#host.admit('priorityFrames');
  }

  onUnknownFrame(): void {
    this.#host.admit('glitches');
  }

  onStreamViolation(streamId: number, errorCode: number): void {
    const stream = this.#host.table.find(streamId);
    if (stream !== undefined) this.#host.resetForViolation(stream, errorCode);
    else this.#host.admit('glitches');
  }

  onSettings(bytes: Uint8Array, start: number, end: number): void {
    if (this.#host.admit('settingsFrames')) this.#host.settingsReceived(bytes, start, end);
  }

  onSettingsAck(): void {
    if (this.#host.admit('settingsFrames')) this.#host.settingsAcknowledged();
  }

  onPing(ack: boolean, high: number, low: number): void {
    if (this.#host.admit('pings')) this.#host.pingReceived(ack, high, low);
  }

  onGoAway(lastStreamId: number, errorCode: number): void {
    if (this.#host.admit('glitches')) this.#host.goAwayReceived(lastStreamId, errorCode);
  }

  onViolation(errorCode: number, what: string): void {
    this.#host.violation(errorCode, what);
  }

  onFlood(cause: FloodCause): void {
    this.#host.flood(cause);
  }
}

function isInformational(headers: HeaderList): boolean {
  return headerValue(headers, ':status')?.charCodeAt(0) === 0x31;
}
