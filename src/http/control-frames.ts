/** Control frames of HTTP/2: whether their form is right, and what they say (RFC 9113 §6.3 to §6.9). */

import type { FrameSink } from './frame-sink.ts';
import type { FloodCause } from './http2-counters.ts';
import { Http2ErrorCode } from './http2-error-code.ts';
import { FrameFlag, type FrameHeader, FrameType, getUint31, getUint32 } from './http2-frame.ts';
import { MAX_SETTINGS_ENTRIES } from './http2-limits.ts';

/** Exclusive flag, stream dependency and weight, which RFC 9113 §5.3.2 tells us to ignore. */
export const PRIORITY_BYTES = 5;
/** What every GOAWAY begins with; words for people may follow. */
export const GOAWAY_BYTES = 8;
const RST_STREAM_BYTES = 4;
const PING_BYTES = 8;
const WINDOW_UPDATE_BYTES = 4;
const SETTING_BYTES = 6;
const MAX_SETTINGS_BYTES = MAX_SETTINGS_ENTRIES * SETTING_BYTES;

/** Why the connection cannot go on. */
export type FrameFault =
  | { readonly kind: 'violation'; readonly errorCode: number; readonly what: string }
  | { readonly kind: 'flood'; readonly cause: FloodCause };

const WRONG_STREAM: FrameFault = {
  kind: 'violation',
  errorCode: Http2ErrorCode.protocolError,
  what: 'a frame is on the wrong kind of stream',
};
const WRONG_SIZE: FrameFault = {
  kind: 'violation',
  errorCode: Http2ErrorCode.frameSizeError,
  what: 'a frame has the wrong size',
};
const TOO_MANY_SETTINGS: FrameFault = { kind: 'flood', cause: 'settingsEntries' };

/** What is wrong with the form of a control frame, by its header; nothing that passes is too long to be waited for. */
export function controlFrameFault(frame: FrameHeader): FrameFault | undefined {
  const { type, length, streamId } = frame;
  const onStream = streamId !== 0;
  switch (type) {
    case FrameType.settings:
      return settingsFault(frame);
    case FrameType.ping:
      return fault(!onStream, length === PING_BYTES);
    case FrameType.goAway:
      return fault(!onStream, length >= GOAWAY_BYTES);
    case FrameType.rstStream:
      return fault(onStream, length === RST_STREAM_BYTES);
    case FrameType.windowUpdate:
      return fault(true, length === WINDOW_UPDATE_BYTES);
    default:
      // PRIORITY of a wrong size harms one stream only (RFC 9113 §6.3), and is told when it is delivered.
      return fault(onStream, length <= MAX_SETTINGS_BYTES);
  }
}

function settingsFault({ length, flags, streamId }: FrameHeader): FrameFault | undefined {
  if (length > MAX_SETTINGS_BYTES) return TOO_MANY_SETTINGS;
  const isAck = (flags & FrameFlag.ack) !== 0;
  return fault(streamId === 0, isAck ? length === 0 : length % SETTING_BYTES === 0);
}

function fault(rightStream: boolean, rightSize: boolean): FrameFault | undefined {
  if (!rightStream) return WRONG_STREAM;
  return rightSize ? undefined : WRONG_SIZE;
}

/** Reports a control frame without {@link controlFrameFault}; its payload begins at `at`. */
export function deliverControlFrame(
  { type, flags, length, streamId }: FrameHeader,
  bytes: Uint8Array,
  at: number,
  sink: FrameSink,
): void {
  const isAck = (flags & FrameFlag.ack) !== 0;
  switch (type) {
    case FrameType.settings:
      if (isAck) sink.onSettingsAck();
      else sink.onSettings(bytes, at, at + length);
      return;
    case FrameType.ping:
      sink.onPing(isAck, getUint32(bytes, at), getUint32(bytes, at + 4));
      return;
    case FrameType.goAway:
      sink.onGoAway(getUint31(bytes, at), getUint32(bytes, at + 4));
      return;
    case FrameType.rstStream:
      sink.onRstStream(streamId, getUint32(bytes, at));
      return;
    case FrameType.windowUpdate:
      sink.onWindowUpdate(streamId, getUint31(bytes, at));
      return;
    default:
      if (length === PRIORITY_BYTES) sink.onPriority();
      else sink.onStreamViolation(streamId, Http2ErrorCode.frameSizeError);
  }
}
