/** HTTP/2 frames written and read by hand, so that a test can send what no library would. */

import type { HeaderList } from '../../src/http/header-list.ts';
import { HpackDecoder } from '../../src/http/hpack-decoder.ts';
import { HpackEncoder, maxEncodedSize } from '../../src/http/hpack-encoder.ts';
import { FrameFlag, FrameType } from '../../src/http/http2-frame.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, i * 4);
  return bytes;
}

export function settings(...entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  });
  return frame(FrameType.settings, 0, 0, payload);
}

export const SETTINGS_ACK = frame(FrameType.settings, FrameFlag.ack, 0);

export function data(streamId: number, payload: Uint8Array | string, endOfStream = false): Buffer {
  return frame(FrameType.data, endOfStream ? FrameFlag.endStream : 0, streamId, Buffer.from(payload));
}

export function rstStream(streamId: number, errorCode: number): Buffer {
  return frame(FrameType.rstStream, 0, streamId, uint32(errorCode));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(FrameType.windowUpdate, 0, streamId, uint32(increment));
}

export function ping(payload = 'abcdefgh', ack = false): Buffer {
  return frame(FrameType.ping, ack ? FrameFlag.ack : 0, 0, Buffer.from(payload));
}

export function goAway(lastStreamId: number, errorCode: number, text = ''): Buffer {
  return frame(FrameType.goAway, 0, 0, Buffer.concat([uint32(lastStreamId, errorCode), Buffer.from(text)]));
}

/** One side's header compression: blocks have to be used in order. */
export class HeaderCodec {
  readonly #encoder = new HpackEncoder(4096);
  readonly #decoder = new HpackDecoder({ tableSize: 4096, listSize: 1 << 20, fields: 10_000 });

  block(headers: HeaderList): Buffer {
    const out = Buffer.alloc(maxEncodedSize(headers));
    return out.subarray(0, this.#encoder.encode(headers, out, 0));
  }

  headers(streamId: number, headers: HeaderList, endOfStream = false): Buffer {
    const flags = FrameFlag.endHeaders | (endOfStream ? FrameFlag.endStream : 0);
    return frame(FrameType.headers, flags, streamId, this.block(headers));
  }

  decode(frameOfBlock: Frame): HeaderList {
    const outcome = this.#decoder.decode(frameOfBlock.payload, 0, frameOfBlock.payload.length);
    if (outcome !== 'ok') throw new Error(`header block is ${outcome}`);
    return this.#decoder.headers;
  }
}

/** Takes frames off the front; a preface and an incomplete frame at the end are left out. */
export function parseFrames(bytes: Buffer): Frame[] {
  const frames: Frame[] = [];
  let at = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0;
  while (at + 9 <= bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) break;
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return frames;
}
