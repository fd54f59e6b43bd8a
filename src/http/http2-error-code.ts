/** Error codes of RST_STREAM and GOAWAY (RFC 9113 §7). */

export const Http2ErrorCode = {
  noError: 0x0,
  protocolError: 0x1,
  internalError: 0x2,
  flowControlError: 0x3,
  settingsTimeout: 0x4,
  streamClosed: 0x5,
  frameSizeError: 0x6,
  refusedStream: 0x7,
  cancel: 0x8,
  compressionError: 0x9,
  connectError: 0xa,
  enhanceYourCalm: 0xb,
  inadequateSecurity: 0xc,
  http11Required: 0xd,
} as const;

const names = new Map<number, string>(
  Object.entries(Http2ErrorCode).map(([name, code]) => [
    code,
    name
      .replace(/[A-Z]|11/g, '_$&')
      .toUpperCase()
      .replace('_11_', '_1_1_'),
  ]),
);

/** `REFUSED_STREAM`; an unknown code in hexadecimal. */
export function http2ErrorName(code: number): string {
  return names.get(code) ?? `0x${code.toString(16)}`;
}
