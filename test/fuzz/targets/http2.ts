/** HTTP/2: frames, header blocks, and whole connections of both roles. */

import assert from 'node:assert/strict';
import type { HeaderList } from '../../../src/http/header-list.ts';
import { HpackDecoder } from '../../../src/http/hpack-decoder.ts';
import { HpackEncoder, maxEncodedSize } from '../../../src/http/hpack-encoder.ts';
import { Http2Connection } from '../../../src/http/http2-connection.ts';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { Http2FrameReader } from '../../../src/http/http2-frame-reader.ts';
import { defaultHttp2Settings } from '../../../src/http/http2-settings.ts';
import type { Http2Stream, Http2StreamHandler } from '../../../src/http/http2-stream.ts';
import { HUFFMAN_INVALID, huffmanDecode, huffmanEncode } from '../../../src/http/huffman.ts';
import { ByteQueue } from '../../../src/io/byte-queue.ts';
import { Reactor } from '../../../src/io/reactor.ts';
import type { NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { FrameRecorder } from '../../support/frame-recorder.ts';
import {
  data,
  frame,
  goAway,
  HeaderCodec,
  PREFACE,
  parseFrames,
  ping,
  rstStream,
  SETTINGS_ACK,
  settings,
  windowUpdate,
} from '../../support/http2-frames.ts';
import { MemoryStream } from '../../support/memory-stream.ts';
import { type FuzzTarget, kindOf, magnitude } from '../fuzz-target.ts';

const CONNECT: HeaderList = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.9:80'],
  ['baggage', 'k8s.namespace.name=shop'],
  ['forwarded', 'for="10.0.0.1:1234"'],
];
const OK: HeaderList = [[':status', '200']];
const QUEUE_BYTES = 64 * 1024;
/** Pieces that inputs are cut into, to be compared with the whole. */
const PIECES = [1, 7, 1000];

/** Frames of every kind. */
function frames(headers: HeaderList): Buffer[] {
  const codec = new HeaderCodec();
  return [
    settings([1, 4096], [3, 100], [4, 65_535], [5, 16_384]),
    SETTINGS_ACK,
    codec.headers(1, headers),
    data(1, 'hello'),
    frame(0x0, 0x8, 1, Buffer.from('\x03padded\0\0\0')),
    codec.headers(3, headers, true),
    frame(
      0x1,
      0x28,
      5,
      Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 16]), codec.block(headers), Buffer.alloc(2)]),
    ),
    frame(0x1, 0x0, 7, codec.block(headers).subarray(0, 3)),
    frame(0x9, 0x4, 7, codec.block(headers).subarray(3)),
    frame(0x2, 0, 3, Buffer.from([0, 0, 0, 1, 16])),
    windowUpdate(0, 1000),
    windowUpdate(1, 1000),
    ping(),
    ping('abcdefgh', true),
    rstStream(1, 8),
    frame(0xbe, 0, 0, Buffer.from('unknown')),
    data(1, 'late', true),
    goAway(0, 0, 'bye'),
  ];
}

/** Knows of DATA whose end does not come too, and stops the reader where the connection would end. */
class FrameLog extends FrameRecorder {
  reader: Http2FrameReader | undefined;

  override onDataFrame(streamId: number, flowLength: number, dataLength: number, endOfStream: boolean): void {
    this.events.push(`data begins ${streamId} ${flowLength} ${dataLength} ${endOfStream} `);
    super.onDataFrame(streamId, flowLength, dataLength, endOfStream);
  }

  override onDataChunk(buffer: NativeBuffer, offset: number, length: number): void {
    const text = Buffer.from(buffer.bytes.slice(offset, offset + length)).toString('hex');
    this.events[this.events.length - 1] += text;
    super.onDataChunk(buffer, offset, length);
  }

  override onViolation(errorCode: number, what = ''): void {
    this.events.push(`violation ${errorCode} ${what}`);
    this.reader?.stop();
  }

  override onFlood(cause: string): void {
    super.onFlood(cause);
    this.reader?.stop();
  }
}

const queue = new ByteQueue(QUEUE_BYTES);

function readFrames(input: Uint8Array, pieceLength: number): readonly string[] {
  const log = new FrameLog();
  const reader = new Http2FrameReader(log, {
    expectPreface: false,
    maxFrameSize: 16_384,
    maxHeaderBlock: 32_768,
  });
  log.reader = reader;
  queue.clear();
  for (let at = 0; at < input.length; at += pieceLength) {
    queue.compact();
    queue.append(input.subarray(at, at + pieceLength));
    while (!reader.read(queue));
  }
  return log.events;
}

export const frameTarget: FuzzTarget = {
  name: 'http2-frames',
  seeds: () => [Buffer.concat(frames(CONNECT)), ...frames(CONNECT)],
  run: (input) => {
    const whole = readFrames(input, input.length || 1);
    for (const length of PIECES) assert.deepEqual(readFrames(input, length), whole, `in pieces of ${length}`);
    const kinds = whole.map((line) => line.replaceAll(/[ \d][0-9a-f]*\d[0-9a-f]*/g, ''));
    return [...new Set(kinds)].join();
  },
};

const LIMITS = { tableSize: 4096, listSize: 16_384, fields: 200 };

export const hpackTarget: FuzzTarget = {
  name: 'hpack',
  // A byte for the length of each block, then the block.
  seeds: () => {
    const encoder = new HeaderCodec();
    const blocks = [CONNECT, OK, CONNECT].map((headers) => encoder.block(headers));
    const cut = blocks.map((block) => Buffer.concat([Buffer.from([block.length]), block]));
    return [Buffer.concat(cut), ...cut, Buffer.from([3, 0x3f, 0xe1, 0x1f, 4, 0x20, 0x82, 0x86, 0x84])];
  },
  run: (input) => {
    const decoder = new HpackDecoder(LIMITS);
    const outcomes: string[] = [];
    for (let at = 0; at < input.length && outcomes.at(-1) !== 'invalid'; ) {
      const end = Math.min(input.length, at + 1 + input[at]! * 4);
      const outcome = decoder.decode(input, at + 1, end);
      assert.ok(decoder.tableSize <= LIMITS.tableSize);
      if (outcome === 'ok') checkList(decoder.headers);
      outcomes.push(outcome === 'ok' ? `${magnitude(decoder.headers.length)}` : outcome);
      at = end;
    }
    return `${outcomes.slice(0, 8).join()} ${magnitude(decoder.tableSize)}`;
  },
};

/** What one side takes, the other can say, and it is taken again. */
function checkList(headers: HeaderList): void {
  const size = headers.reduce((total, [name, value]) => total + name.length + value.length + 32, 0);
  assert.ok(headers.length <= LIMITS.fields && size <= LIMITS.listSize);
  const bytes = new Uint8Array(maxEncodedSize(headers));
  const end = new HpackEncoder(4096).encode(headers, bytes, 0);
  const decoder = new HpackDecoder(LIMITS);
  assert.equal(decoder.decode(bytes, 0, end), 'ok');
  assert.deepEqual(decoder.headers, headers);
}

export const huffmanTarget: FuzzTarget = {
  name: 'huffman',
  seeds: () => [
    Buffer.from('f1e3c2e5f23a6ba0ab90f4ff', 'hex'),
    Buffer.from('9d29ad171863c78f0b97c8e9ae82ae43d3', 'hex'),
  ],
  run: (input) => {
    const out = new Uint8Array(input.length * 2);
    const length = huffmanDecode(input, 0, input.length, out);
    if (length === HUFFMAN_INVALID) return 'invalid';
    const again = new Uint8Array(input.length);
    const end = huffmanEncode(Buffer.from(out.subarray(0, length)).toString('latin1'), again, 0);
    assert.deepEqual(again.subarray(0, end), new Uint8Array(input));
    return `${magnitude(length)}`;
  },
};

let reactor: Reactor | undefined;

/** Sends every body back. */
class Echo implements Http2StreamHandler {
  readonly #stream: Http2Stream;
  #heard = '';

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  onHeaders(): void {
    this.#heard += 'h';
  }

  onData(buffer: NativeBuffer, offset: number, length: number): void {
    const count = Math.min(length, this.#stream.writableBytes());
    if (count > 0) {
      const { bytes } = this.#stream.dataBuffer;
      bytes.set(buffer.bytes.slice(offset, offset + count), this.#stream.dataOffset());
      this.#stream.commitData(count, false);
    }
    this.#stream.consumed(length);
  }

  /** Once, and not after a reset. */
  onEnd(): void {
    assert.doesNotMatch(this.#heard, /[er]/);
    this.#heard += 'e';
    this.#stream.endData();
  }

  onReset(): void {
    assert.doesNotMatch(this.#heard, /r/);
    this.#heard += 'r';
  }

  onWritable(): void {}
}

function converse(role: 'client' | 'server', input: Uint8Array): string {
  reactor ??= new Reactor();
  const stream = new MemoryStream(reactor);
  const counters = new Http2Counters();
  let closed = 'open';
  const connection = new Http2Connection(stream, {
    role,
    settings: { ...defaultHttp2Settings, maxConcurrentStreams: 10 },
    counters,
    events: {
      onReady() {},
      onRequest: (request) => {
        request.sendHeaders(OK, false);
        return new Echo(request);
      },
      onClosed: (error) => {
        closed = error === undefined ? 'closed' : `${error.code} ${kindOf(error.message)}`;
      },
    },
  });
  connection.onOpen();
  if (role === 'client') openTunnels(connection);
  stream.deliver(input);
  const open = connection.openStreams;
  // The bytes of a frame that is cut off are counted when it begins.
  if (closed === 'open' && endsWithFrame(input)) assert.equal(connection.heldBytes, 0, 'bytes are held');
  connection.close(0);
  stream.input.clear();
  stream.turn();
  if (!stream.closed) stream.close();
  const written = parseFrames(stream.takeWritten()).map(({ type }) => type);
  stream.release();
  assert.equal(connection.openStreams, 0);
  assert.equal(counters.streams, counters.streamsClosed);
  const floods = Object.entries(counters.floods).filter(([, count]) => count > 0);
  const kinds = [...floods, ...new Set(written)];
  return [role, closed, magnitude(open), magnitude(counters.streams), ...kinds].join();
}

function endsWithFrame(input: Uint8Array): boolean {
  const bytes = Buffer.from(input);
  const begin = bytes.subarray(0, PREFACE.length).equals(PREFACE) ? PREFACE.length : 0;
  return parseFrames(bytes).reduce((at, { payload }) => at + 9 + payload.length, begin) === bytes.length;
}

function openTunnels(connection: Http2Connection): void {
  for (let i = 0; i < 3; i++) {
    const handler = { stream: undefined as Http2Stream | undefined };
    const stream = connection.openStream(CONNECT, {
      onHeaders() {},
      onData: (_buffer, _offset, length) => handler.stream!.consumed(length),
      onEnd() {},
      onReset() {},
      onWritable() {},
    });
    handler.stream = stream;
  }
}

export const sessionTarget: FuzzTarget = {
  name: 'http2-session',
  // The first byte says which side we are.
  seeds: () => [
    Buffer.concat([Buffer.from([0]), PREFACE, ...frames(CONNECT)]),
    Buffer.concat([Buffer.from([1]), ...frames(OK)]),
    Buffer.concat([
      Buffer.from([1]),
      settings(),
      SETTINGS_ACK,
      new HeaderCodec().headers(1, OK),
      data(1, 'x'),
    ]),
  ],
  run: (input) => converse((input[0] ?? 0) % 2 === 0 ? 'server' : 'client', input.subarray(1)),
};
