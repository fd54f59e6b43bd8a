/** The frame layout of HTTP/2 (RFC 9113 §4.1): types, flags, the nine-octet header. */

export const FrameType = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goAway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const;

export const FrameFlag = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const;

export const FRAME_HEADER_BYTES = 9;

/** RFC 9113 §4.2: what every peer takes, and the most that SETTINGS_MAX_FRAME_SIZE may say. */
export const MIN_MAX_FRAME_BYTES = 16_384;
export const MAX_MAX_FRAME_BYTES = 16_777_215;

/** RFC 9113 §6.9.1. */
export const MAX_WINDOW_BYTES = 0x7fff_ffff;
/** RFC 9113 §6.9.2: windows before any SETTINGS or WINDOW_UPDATE. */
export const DEFAULT_WINDOW_BYTES = 65_535;
/** RFC 9113 §5.1.1: stream identifiers have 31 bits. */
export const MAX_STREAM_ID = 0x7fff_ffff;

/** What a client sends first (RFC 9113 §3.4). */
export const CLIENT_PREFACE: Uint8Array = Uint8Array.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', (character) =>
  character.charCodeAt(0),
);

/** The nine octets in front of each payload; `length` is that of the payload. */
export interface FrameHeader {
  length: number;
  type: number;
  flags: number;
  streamId: number;
}

export function getFrameHeader(bytes: Uint8Array, offset: number, into: FrameHeader): void {
  into.length = (bytes[offset]! << 16) | (bytes[offset + 1]! << 8) | bytes[offset + 2]!;
  into.type = bytes[offset + 3]!;
  into.flags = bytes[offset + 4]!;
  into.streamId = getUint31(bytes, offset + 5);
}

/** Writes a frame header but for the stream; the payload belongs at `offset + FRAME_HEADER_BYTES`. */
export function putFrameHeader(
  bytes: Uint8Array,
  offset: number,
  length: number,
  typeAndFlags: number,
): void {
  bytes[offset] = length >>> 16;
  bytes[offset + 1] = length >>> 8;
  bytes[offset + 2] = length;
  bytes[offset + 3] = typeAndFlags >>> 8;
  bytes[offset + 4] = typeAndFlags;
}

/** The second half of the header. */
export function putStreamId(bytes: Uint8Array, offset: number, streamId: number): void {
  putUint32(bytes, offset + 5, streamId);
}

export function putUint32(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value >>> 24;
  bytes[offset + 1] = value >>> 16;
  bytes[offset + 2] = value >>> 8;
  bytes[offset + 3] = value;
}

export function getUint32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! << 24) | (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!) >>>
    0
  );
}

/** As {@link getUint32} without the reserved bit in front. */
export function getUint31(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset]! & 0x7f) << 24) |
    (bytes[offset + 1]! << 16) |
    (bytes[offset + 2]! << 8) |
    bytes[offset + 3]!
  );
}
