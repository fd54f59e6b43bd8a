/** What we tell a peer about ourselves in SETTINGS, and what a peer told us. */

import { Http2ErrorCode } from './http2-error-code.ts';
import {
  DEFAULT_WINDOW_BYTES,
  getUint32,
  MAX_MAX_FRAME_BYTES,
  MAX_STREAM_ID,
  MAX_WINDOW_BYTES,
  MIN_MAX_FRAME_BYTES,
} from './http2-frame.ts';

/** RFC 9113 §6.5.2, RFC 8441 §3. */
export const SettingId = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  enableConnectProtocol: 0x8,
} as const;

/** One side of a connection: what it advertises and how it watches the other side. */
export interface Http2Settings {
  /** Streams that the peer may have open at once; a client says nothing about it. */
  readonly maxConcurrentStreams: number;
  /** Receive window of each stream, in bytes. */
  readonly streamWindow: number;
  /** Receive window of the connection, in bytes; larger than a stream's, or one stuck stream stops all others. */
  readonly connectionWindow: number;
  /** Largest frame we take. Frames are handled in pieces, so it costs no memory. */
  readonly maxFrameSize: number;
  /** Largest header list we take, counted as RFC 9113 §6.5.2 does. */
  readonly maxHeaderListSize: number;
  /** A PING goes out this long after the last one was answered. */
  readonly keepAliveIntervalMs: number;
  /** With nothing received for this long after a PING, the connection is dead. */
  readonly keepAliveTimeoutMs: number;
}

/** Size of both compression tables, ours and the one we use towards a peer, in bytes. */
export const HEADER_TABLE_BYTES = 4096;
/** What we assume a peer allows until its SETTINGS arrive (RFC 9113 §6.5.2 recommends no less). */
export const ASSUMED_CONCURRENT_STREAMS = 100;

export const defaultHttp2Settings: Http2Settings = {
  maxConcurrentStreams: 200,
  streamWindow: 4 * 1024 * 1024,
  connectionWindow: 16 * 1024 * 1024,
  maxFrameSize: 1024 * 1024,
  maxHeaderListSize: 64 * 1024,
  keepAliveIntervalMs: 10_000,
  keepAliveTimeoutMs: 20_000,
};

/** Pairs of identifier and value, as they go into our first SETTINGS frame. */
export function settingsEntries(settings: Http2Settings, role: 'client' | 'server'): readonly number[] {
  return [
    SettingId.headerTableSize,
    HEADER_TABLE_BYTES,
    // A server must not send it (RFC 9113 §6.5.2 leaves it only 0), a client turns push off.
    ...(role === 'client'
      ? [SettingId.enablePush, 0]
      : [SettingId.maxConcurrentStreams, settings.maxConcurrentStreams]),
    SettingId.initialWindowSize,
    settings.streamWindow,
    SettingId.maxFrameSize,
    settings.maxFrameSize,
    SettingId.maxHeaderListSize,
    settings.maxHeaderListSize,
  ];
}

/** The values in force at the other side. */
export class PeerSettings {
  readonly #role: 'client' | 'server';
  maxConcurrentStreams = ASSUMED_CONCURRENT_STREAMS;
  initialWindowSize = DEFAULT_WINDOW_BYTES;
  maxFrameSize = MIN_MAX_FRAME_BYTES;
  headerTableSize = HEADER_TABLE_BYTES;
  #received = false;

  /** @param role our own role. */
  constructor(role: 'client' | 'server') {
    this.#role = role;
  }

  /** Applies the payload of a SETTINGS frame; returns the error code of a value that is not allowed, or 0. */
  apply(bytes: Uint8Array, start: number, end: number): number {
    // No limit unless the peer names one (RFC 9113 §6.5.2); before it has spoken we assume one.
    if (!this.#received) {
      this.#received = true;
      this.maxConcurrentStreams = MAX_STREAM_ID;
    }
    for (let at = start; at < end; at += 6) {
      const id = (bytes[at]! << 8) | bytes[at + 1]!;
      const error = this.#set(id, getUint32(bytes, at + 2));
      if (error !== Http2ErrorCode.noError) return error;
    }
    return Http2ErrorCode.noError;
  }

  #set(id: number, value: number): number {
    switch (id) {
      case SettingId.headerTableSize:
        this.headerTableSize = value;
        return Http2ErrorCode.noError;
      case SettingId.enablePush:
        return value === 0 || (value === 1 && this.#role === 'server')
          ? Http2ErrorCode.noError
          : Http2ErrorCode.protocolError;
      case SettingId.maxConcurrentStreams:
        this.maxConcurrentStreams = value;
        return Http2ErrorCode.noError;
      case SettingId.initialWindowSize:
        this.initialWindowSize = value;
        return value > MAX_WINDOW_BYTES ? Http2ErrorCode.flowControlError : Http2ErrorCode.noError;
      case SettingId.maxFrameSize:
        this.maxFrameSize = value;
        return value < MIN_MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES
          ? Http2ErrorCode.protocolError
          : Http2ErrorCode.noError;
      case SettingId.enableConnectProtocol:
        return value <= 1 ? Http2ErrorCode.noError : Http2ErrorCode.protocolError;
      default:
        return Http2ErrorCode.noError;
    }
  }
}
