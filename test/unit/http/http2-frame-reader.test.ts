import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameFlag, FrameType } from '../../../src/http/http2-frame.ts';
import { Http2FrameReader } from '../../../src/http/http2-frame-reader.ts';
import {
  FRAMES_PER_HEADER_BLOCK,
  FRAMES_PER_TURN,
  MAX_CONTINUATIONS,
  MAX_SETTINGS_ENTRIES,
  PORTION_MS,
} from '../../../src/http/http2-limits.ts';
import { ByteQueue } from '../../../src/io/byte-queue.ts';
import { FrameRecorder } from '../../support/frame-recorder.ts';
import {
  data,
  frame,
  goAway,
  PREFACE,
  ping,
  rstStream,
  SETTINGS_ACK,
  settings,
  uint32,
  windowUpdate,
} from '../../support/http2-frames.ts';

const MAX_FRAME = 20_000;

function readerInto(recorder: FrameRecorder): Http2FrameReader {
  return new Http2FrameReader(recorder, {
    expectPreface: true,
    maxFrameSize: MAX_FRAME,
    maxHeaderBlock: 4000,
  });
}

function read(bytes: Uint8Array, cuts: readonly number[] = []): string[] {
  const recorder = new FrameRecorder();
  const reader = readerInto(recorder);
  const input = new ByteQueue(64 * 1024);
  let at = 0;
  for (const cut of [...cuts, bytes.length]) {
    const to = Math.min(bytes.length, Math.max(at, cut));
    input.expand();
    input.compact();
    input.append(bytes.subarray(at, to));
    at = to;
    // A portion may end early where the machine is slow.
    while (!reader.read(input)) assert.ok(input.length > 0, 'nobody comes back for an empty queue');
    input.settle();
  }
  return recorder.events;
}

function afterSettings(...frames: readonly Uint8Array[]): string[] {
  return read(Buffer.concat([PREFACE, settings(), ...frames])).slice(1);
}

const padded = (streamId: number, text: string, padding: number): Buffer =>
  frame(
    FrameType.data,
    FrameFlag.padded,
    streamId,
    Buffer.concat([Buffer.of(padding), Buffer.from(text), Buffer.alloc(padding)]),
  );

const soundFrame = fc.oneof(
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.string({ maxLength: 200 }), fc.boolean())
    .map((one) => data(...one)),
  fc
    .tuple(fc.integer({ min: 1, max: 9 }), fc.string({ maxLength: 50 }), fc.integer({ min: 0, max: 255 }))
    .map((one) => padded(...one)),
  fc.uint8Array({ maxLength: 300 }).map((block) => frame(FrameType.headers, FrameFlag.endHeaders, 3, block)),
  fc
    .array(fc.uint8Array({ maxLength: 100 }), { minLength: 2, maxLength: MAX_CONTINUATIONS })
    .map((parts) =>
      Buffer.concat(
        parts.map((part, i) =>
          frame(
            i === 0 ? FrameType.headers : FrameType.continuation,
            i === parts.length - 1 ? FrameFlag.endHeaders : 0,
            5,
            part,
          ),
        ),
      ),
    ),
  fc.constant(frame(FrameType.priority, 0, 3, Buffer.alloc(5))),
  fc.tuple(fc.nat(), fc.nat()).map(([streamId, code]) => rstStream((streamId % 99) + 1, code)),
  fc.constantFrom(SETTINGS_ACK, settings([4, 100], [1, 0]), ping('12345678'), ping('12345678', true)),
  fc.nat({ max: 1000 }).map((increment) => windowUpdate(0, increment)),
  fc.string({ maxLength: 40 }).map((text) => goAway(7, 0, text)),
  fc
    .tuple(fc.integer({ min: 10, max: 255 }), fc.uint8Array({ maxLength: 300 }))
    .map(([type, payload]) => frame(type, 0xff, 1, payload)),
);

test('events do not depend on how the input is cut', () => {
  const frames = fc.array(soundFrame, { maxLength: 12 });
  const cuts = fc.array(fc.nat({ max: 3000 }), { maxLength: 30 });
  fc.assert(
    fc.property(frames, cuts, (list, positions) => {
      const bytes = Buffer.concat([PREFACE, settings(), ...list]);
      const whole = read(bytes);
      assert.ok(
        !whole.some((event) => event.startsWith('violation') || event.startsWith('flood')),
        `${whole}`,
      );
      const sorted = [...positions].sort((a, b) => a - b);
      assert.deepEqual(read(bytes, sorted), whole);
    }),
  );
});

test('one octet at a time gives the same events', () => {
  const bytes = Buffer.concat([
    PREFACE,
    settings([3, 9]),
    padded(1, 'hello', 7),
    ping(),
    goAway(0, 2, 'bye'),
  ]);
  const everywhere = Array.from(bytes, (_, i) => i);
  assert.deepEqual(read(bytes, everywhere), read(bytes));
});

test('random bytes behind the preface are read to some end without an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (bytes, sound) => {
      read(Buffer.concat([PREFACE, ...(sound ? [settings()] : []), bytes]), [30, 40, 80, 200]);
    }),
    { numRuns: 2000 },
  );
});

test('a DATA frame larger than the input queue is delivered in pieces', () => {
  const payload = Buffer.alloc(MAX_FRAME, 'x');
  assert.deepEqual(afterSettings(data(1, payload, true)), [
    `data 1 ${MAX_FRAME} ${MAX_FRAME} true ${payload.toString('hex')}`,
  ]);
});

test('an end of stream at the very end of a portion is told when nothing comes behind it', () => {
  const [full, small] = [Buffer.alloc(16_384), Array.from({ length: FRAMES_PER_TURN - 2 }, () => ping())];
  for (const frames of [
    [...Array(3).fill(data(1, full)), data(1, full, true)],
    [...small, data(1, '', true)],
  ]) {
    const recorder = new FrameRecorder();
    const reader = readerInto(recorder);
    const input = new ByteQueue(128 * 1024);
    input.append(Buffer.concat([PREFACE, settings(), ...frames]));
    assert.equal(reader.read(input), true);
    assert.match(recorder.events.at(-1)!, /^data 1 \d+ \d+ true/);
  }
});

test('64 KiB of DATA end the portion, in frames of any size', () => {
  for (const size of [1000, 16_384, MAX_FRAME]) {
    const recorder = new FrameRecorder();
    const reader = readerInto(recorder);
    const input = new ByteQueue(256 * 1024);
    const frames = Array.from({ length: Math.ceil(150_000 / size) }, () => data(1, Buffer.alloc(size)));
    input.append(Buffer.concat([PREFACE, settings(), ...frames]));
    const portions: number[] = [];
    for (let isLast = false; !isLast; ) {
      const before = input.length;
      isLast = reader.read(input);
      portions.push(before - input.length);
    }
    assert.ok(portions.length > 1, `all at once of ${size}`);
    assert.ok(Math.max(...portions) <= 65_536 + MAX_FRAME, `${portions}`);
    assert.ok(Math.min(...portions.slice(0, -1)) > 57_000, `${portions}`);
    assert.equal(recorder.events.length, frames.length + 1);
  }
});

const { protocolError, frameSizeError } = Http2ErrorCode;
const wrongFrames: readonly (readonly [what: string, bytes: Uint8Array, outcome: string])[] = [
  ['DATA on stream 0', data(0, 'x'), `violation ${protocolError}`],
  ['HEADERS on stream 0', frame(FrameType.headers, 4, 0), `violation ${protocolError}`],
  ['a frame over the size limit', data(1, Buffer.alloc(MAX_FRAME + 1)), `violation ${frameSizeError}`],
  [
    'padding longer than DATA',
    frame(0, FrameFlag.padded, 1, Buffer.of(5, 1, 2)),
    `violation ${protocolError}`,
  ],
  ['padded DATA without a length', frame(0, FrameFlag.padded, 1), `violation ${frameSizeError}`],
  ['HEADERS too short for priority', frame(1, 0x24, 1, Buffer.of(1, 2)), `violation ${frameSizeError}`],
  ['PRIORITY of 4 octets', frame(2, 0, 3, uint32(0)), `stream violation 3 ${frameSizeError}`],
  ['PRIORITY on stream 0', frame(2, 0, 0, Buffer.alloc(5)), `violation ${protocolError}`],
  ['RST_STREAM of 3 octets', frame(3, 0, 1, Buffer.alloc(3)), `violation ${frameSizeError}`],
  ['RST_STREAM on stream 0', rstStream(0, 0), `violation ${protocolError}`],
  ['SETTINGS on a stream', frame(4, 0, 1), `violation ${protocolError}`],
  ['SETTINGS of 7 octets', frame(4, 0, 0, Buffer.alloc(7)), `violation ${frameSizeError}`],
  ['an acknowledgement with settings', frame(4, 1, 0, Buffer.alloc(6)), `violation ${frameSizeError}`],
  ['PUSH_PROMISE', frame(5, 4, 1, uint32(2)), `violation ${protocolError}`],
  ['PING of 7 octets', frame(6, 0, 0, Buffer.alloc(7)), `violation ${frameSizeError}`],
  ['PING on a stream', frame(6, 0, 1, Buffer.alloc(8)), `violation ${protocolError}`],
  ['GOAWAY on a stream', frame(7, 0, 1, Buffer.alloc(8)), `violation ${protocolError}`],
  ['GOAWAY of 7 octets', frame(7, 0, 0, Buffer.alloc(7)), `violation ${frameSizeError}`],
  ['WINDOW_UPDATE of 5 octets', frame(8, 0, 0, Buffer.alloc(5)), `violation ${frameSizeError}`],
  ['CONTINUATION out of the blue', frame(9, 4, 1), `violation ${protocolError}`],
  ['CONTINUATION on stream 0', frame(9, 4, 0), `violation ${protocolError}`],
  [
    'a header block interrupted by PING',
    Buffer.concat([frame(1, 0, 1), ping()]),
    `violation ${protocolError}`,
  ],
  [
    'a header block continued on another stream',
    Buffer.concat([frame(1, 0, 1), frame(9, 4, 3)]),
    `violation ${protocolError}`,
  ],
  [
    'too many CONTINUATION frames',
    Buffer.concat([frame(1, 0, 1), ...Array.from({ length: MAX_CONTINUATIONS + 1 }, () => frame(9, 0, 1))]),
    'flood headerBlocks',
  ],
  ['a header block over the limit', frame(1, 4, 1, Buffer.alloc(4001)), 'flood headerBlocks'],
  [
    'header fragments over the limit',
    Buffer.concat([frame(1, 0, 1, Buffer.alloc(3000)), frame(9, 4, 1, Buffer.alloc(1001))]),
    'flood headerBlocks',
  ],
  [
    'too many settings',
    frame(4, 0, 0, Buffer.alloc((MAX_SETTINGS_ENTRIES + 1) * 6)),
    'flood settingsEntries',
  ],
];

for (const [what, bytes, outcome] of wrongFrames) {
  test(`${what} is found wrong, and nothing behind it is read`, () => {
    const events = afterSettings(bytes, ping());
    const ends = !outcome.startsWith('stream');
    assert.deepEqual(events, ends ? [outcome] : [outcome, events[1]]);
  });
}

test('a wrong preface, and anything before SETTINGS, is a violation', () => {
  assert.deepEqual(read(Buffer.from('GET / HTTP/1.1\r\n\r\n')), [`violation ${protocolError}`]);
  assert.deepEqual(read(Buffer.concat([PREFACE, ping()])), [`violation ${protocolError}`]);
  assert.deepEqual(read(Buffer.concat([PREFACE, SETTINGS_ACK])), [`violation ${protocolError}`]);
});

for (const [what, frames, expected] of [
  ['frames', ping(), FRAMES_PER_TURN],
  [
    'requests',
    frame(FrameType.headers, FrameFlag.endHeaders, 1),
    FRAMES_PER_TURN / (FRAMES_PER_HEADER_BLOCK + 1),
  ],
] as const) {
  test(`a burst of ${what} is read in portions, so that other connections get their turn`, () => {
    const recorder = new FrameRecorder();
    const reader = readerInto(recorder);
    const count = Math.ceil(expected * 3.5);
    const input = new ByteQueue(65_536);
    input.append(Buffer.concat([PREFACE, settings(), ...Array.from({ length: count }, () => frames)]));
    const portions: number[] = [];
    let whole = false;
    while (!whole) {
      const before = recorder.events.length;
      whole = reader.read(input);
      portions.push(recorder.events.length - before);
    }
    // More of them where the machine is slow.
    assert.ok(portions.length >= 4);
    // The SETTINGS of the beginning are one more.
    assert.ok(Math.max(...portions) <= Math.ceil(expected) + 1);
    assert.equal(recorder.events.length, count + 1);
    assert.equal(input.length, 0);
  });
}

/** An application that takes longer to be called than a portion may take. */
class SlowRecorder extends FrameRecorder {
  override onHeaderBlock(block: Parameters<FrameRecorder['onHeaderBlock']>[0]): void {
    super.onHeaderBlock(block);
    const endMs = performance.now() + 2 * PORTION_MS;
    while (performance.now() < endMs);
  }
}

test('a request that takes long ends the portion, but not before the reset behind it', () => {
  const recorder = new SlowRecorder();
  const reader = readerInto(recorder);
  const requests = [1, 3, 5].flatMap((id) => [
    frame(FrameType.headers, FrameFlag.endHeaders, id),
    rstStream(id, 8),
  ]);
  const input = new ByteQueue(65_536);
  input.append(Buffer.concat([PREFACE, settings(), ...requests]));
  const portions = Array.from({ length: 3 }, () => {
    const isLast = reader.read(input);
    return [isLast, ...recorder.events.splice(0)];
  });
  assert.deepEqual(portions, [
    [false, 'settings ', 'headers 1 false ', 'rst 1 8'],
    [false, 'headers 3 false ', 'rst 3 8'],
    [true, 'headers 5 false ', 'rst 5 8'],
  ]);
});
