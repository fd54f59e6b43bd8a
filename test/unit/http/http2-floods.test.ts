/** The catalogue of HTTP/2 attacks, one by one: which counter moves, what the attacker is told, who is left alone. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HeaderList } from '../../../src/http/header-list.ts';
import type { FloodCause } from '../../../src/http/http2-counters.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameFlag, FrameType } from '../../../src/http/http2-frame.ts';
import {
  floodLimits,
  INSERTIONS_PER_BLOCK,
  MAX_CONTINUATIONS,
  MAX_HEADER_FIELDS,
  MAX_QUEUED_REPLIES,
  MAX_SETTINGS_ENTRIES,
} from '../../../src/http/http2-limits.ts';
import { SettingId } from '../../../src/http/http2-settings.ts';
import {
  data,
  frame,
  HeaderCodec,
  ping,
  rstStream,
  settings,
  windowUpdate,
} from '../../support/http2-frames.ts';
import { Endpoint, sendText } from '../../support/http2-peer.ts';

const ok: HeaderList = [[':status', '200']];
const code = Http2ErrorCode;

function server(answer = true): Endpoint {
  const endpoint = new Endpoint('server').greet();
  endpoint.onRequest = (stream) => {
    if (answer) stream.sendHeaders(ok, false);
  };
  return endpoint;
}

const TUNNEL: HeaderList = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.9:80'],
];

/** A request with so many fields that are not in the header table, and are to be put there. */
function newFields(count: number): Buffer {
  const fields = Array.from({ length: count }, (_, i) => [`x-${i}`, 'y'] as const);
  return new HeaderCodec().block([...TUNNEL, ...fields]);
}

function assertFlood(endpoint: Endpoint, cause: FloodCause): void {
  const { errorCode, text } = endpoint.takeGoAway();
  assert.equal(errorCode, code.enhanceYourCalm);
  assert.equal(text, `flood: ${cause}`);
  assert.equal(endpoint.counters.floods[cause], 1);
  assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_FLOOD');
  assert.equal(endpoint.stream.outputShut, true);
  assert.equal(endpoint.connection.openStreams, 0);
  assert.equal(endpoint.counters.streams, endpoint.counters.streamsClosed);
}

/** Sends until the connection is closed; returns how often. */
function attack(endpoint: Endpoint, limit: number, next: (i: number) => Uint8Array): number {
  for (let i = 0; i < limit; i++) {
    endpoint.send(next(i));
    if (endpoint.events.some((event) => event.startsWith('closed'))) return i + 1;
  }
  return limit;
}

describe('an attacker is cut off', () => {
  test('who resets requests before they are answered (CVE-2023-44487)', () => {
    const endpoint = server(false);
    const count = attack(endpoint, 5000, (i) =>
      Buffer.concat([endpoint.connect(2 * i + 1), rstStream(2 * i + 1, code.cancel)]),
    );
    assert.ok(count > floodLimits.rapidResets.burst && count < floodLimits.rapidResets.burst * 1.2);
    assertFlood(endpoint, 'rapidResets');
  });

  test('who makes us reset streams (MadeYouReset, CVE-2025-8671)', () => {
    const endpoint = server();
    attack(endpoint, 5000, (i) => Buffer.concat([endpoint.connect(2 * i + 1), windowUpdate(2 * i + 1, 0)]));
    assertFlood(endpoint, 'provokedResets');
  });

  test('who sends malformed requests', () => {
    const endpoint = server();
    attack(endpoint, 5000, (i) => endpoint.codec.headers(2 * i + 1, [[':method', 'CONNECT']]));
    assertFlood(endpoint, 'provokedResets');
  });

  test('who opens streams beyond the limit', () => {
    const endpoint = server();
    attack(endpoint, 5000, (i) => endpoint.connect(2 * i + 1));
    assertFlood(endpoint, 'provokedResets');
    assert.ok(endpoint.counters.refusedStreams > 500);
  });

  test('who sends SETTINGS without end (CVE-2019-9515)', () => {
    const endpoint = server();
    attack(endpoint, 1000, () => settings());
    assertFlood(endpoint, 'settingsFrames');
  });

  test('who sends PING without end (CVE-2019-9512)', () => {
    const endpoint = server();
    attack(endpoint, 10_000, () => ping());
    assertFlood(endpoint, 'pings');
  });

  test('who sends PING and does not read the answers', () => {
    const endpoint = server();
    endpoint.stream.blocked = true;
    const count = attack(endpoint, 10_000, () => ping());
    assert.ok(count > MAX_QUEUED_REPLIES && count < MAX_QUEUED_REPLIES + 100);
    assert.equal(endpoint.counters.floods.queuedReplies, 1);
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_FLOOD');
  });

  test('who sends PRIORITY without end (CVE-2019-9513)', () => {
    const endpoint = server();
    attack(endpoint, 10_000, () => frame(FrameType.priority, 0, 1, Buffer.alloc(5)));
    assertFlood(endpoint, 'priorityFrames');
  });

  test('who sends empty DATA without end (CVE-2019-9518)', () => {
    const endpoint = server();
    endpoint.send(endpoint.connect(1));
    attack(endpoint, 10_000, () => data(1, ''));
    assertFlood(endpoint, 'emptyFrames');
  });

  test('who sends DATA with nothing but padding', () => {
    const endpoint = server();
    endpoint.send(endpoint.connect(1));
    const padding = frame(
      FrameType.data,
      FrameFlag.padded,
      1,
      Buffer.concat([Buffer.of(9), Buffer.alloc(9)]),
    );
    attack(endpoint, 10_000, () => padding);
    assertFlood(endpoint, 'emptyFrames');
  });

  test('who sends WINDOW_UPDATE without end (CVE-2019-9511, -9517)', () => {
    const endpoint = server();
    attack(endpoint, 20_000, () => windowUpdate(0, 1));
    assertFlood(endpoint, 'windowUpdates');
  });

  test('who opens a window of one octet again and again (CVE-2019-9511, data dribble)', () => {
    const endpoint = new Endpoint('server').greet([SettingId.initialWindowSize, 0]);
    endpoint.onRequest = (stream, recorder) => {
      stream.sendHeaders(ok, false);
      recorder.onRoom = () => void sendText(stream, 'a great many bytes');
      recorder.onRoom();
    };
    endpoint.send(endpoint.connect(1));
    attack(endpoint, 20_000, () => windowUpdate(1, 1));
    assert.equal(endpoint.counters.floods.windowUpdates, 1);
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_FLOOD');
  });

  test('who fills the header table anew with each request', () => {
    const endpoint = server();
    const block = newFields(MAX_HEADER_FIELDS - TUNNEL.length);
    const count = attack(endpoint, 1000, (i) =>
      frame(FrameType.headers, FrameFlag.endHeaders, 2 * i + 1, block),
    );
    const needless = MAX_HEADER_FIELDS - INSERTIONS_PER_BLOCK;
    assert.ok(count >= floodLimits.tableInsertions.burst / needless && count < 200, `${count} requests`);
    assertFlood(endpoint, 'tableInsertions');
  });

  test('who sends frames of unknown types without end (CVE-2026-48619)', () => {
    const endpoint = server();
    attack(endpoint, 20_000, () => frame(0x0c, 0, 0, Buffer.from('origin')));
    assertFlood(endpoint, 'glitches');
  });

  test('who sends header blocks without end (CVE-2024-27983, CVE-2024-28182)', () => {
    const endpoint = server();
    endpoint.send(frame(FrameType.headers, 0, 1, Buffer.of(0x82)));
    const count = attack(endpoint, 1000, () => frame(FrameType.continuation, 0, 1));
    assert.equal(count, MAX_CONTINUATIONS + 1);
    assertFlood(endpoint, 'headerBlocks');
  });

  test('who sends large SETTINGS (CVE-2020-11080)', () => {
    const endpoint = server();
    endpoint.send(settings(...Array.from({ length: MAX_SETTINGS_ENTRIES + 1 }, () => [0x99, 1] as const)));
    assertFlood(endpoint, 'settingsEntries');
  });
});

describe('a client cuts off a server', () => {
  const ORIGIN = 0x0c;
  const ALTSVC = 0x0a;
  const floods: readonly (readonly [string, Uint8Array, FloodCause])[] = [
    ['ORIGIN (CVE-2026-48619)', frame(ORIGIN, 0, 0, Buffer.from('origin')), 'glitches'],
    ['ALTSVC (CVE-2018-1000168)', frame(ALTSVC, 0, 0, Buffer.alloc(2)), 'glitches'],
    ['SETTINGS', settings(), 'settingsFrames'],
    ['PING', ping(), 'pings'],
    ['WINDOW_UPDATE', windowUpdate(0, 1), 'windowUpdates'],
  ];
  for (const [what, bytes, cause] of floods) {
    test(`that sends ${what} without end`, () => {
      const endpoint = new Endpoint('client').greet();
      attack(endpoint, 20_000, () => bytes);
      assertFlood(endpoint, cause);
    });
  }

  test('that begins an answer with fields that are malformed HPACK (CVE-2025-59465)', () => {
    const endpoint = new Endpoint('client').greet();
    endpoint.send(frame(FrameType.headers, FrameFlag.endHeaders, 1, Buffer.alloc(16, 0xff)));
    assert.equal(endpoint.takeGoAway().errorCode, code.compressionError);
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_UPSTREAM_VIOLATION');
  });
});

describe('an HPACK bomb', () => {
  test('is not decoded to its end, and its sender is cut off', () => {
    const endpoint = server();
    const entry: HeaderList = [
      [':method', 'CONNECT'],
      [':authority', 'a:1'],
      ['x-bomb', 'b'.repeat(4000)],
    ];
    endpoint.send(endpoint.codec.headers(1, entry));
    const bomb = Buffer.concat([endpoint.codec.block(entry.slice(0, 2)), Buffer.alloc(30_000, 0x80 | 62)]);
    endpoint.send(frame(FrameType.headers, FrameFlag.endHeaders, 3, bomb));
    assert.equal(endpoint.requests.length, 1);
    assertFlood(endpoint, 'headerBombs');
  });

  test('that is a small one costs its request, is counted, and is cut off when it comes again and again', () => {
    const endpoint = server();
    const fields = Array.from({ length: 2 * MAX_HEADER_FIELDS }, () => ['x-small', 'bomb'] as const);
    const list: HeaderList = [[':method', 'CONNECT'], [':authority', 'a:1'], ...fields];
    const count = attack(endpoint, 3000, (i) => endpoint.codec.headers(2 * i + 1, list));
    assert.ok(count >= floodLimits.provokedResets.burst / 2);
    assert.equal(endpoint.requests.length, 0);
    assert.ok(endpoint.counters.headerListsTooLarge >= count - 1);
    assertFlood(endpoint, 'provokedResets');
  });

  test('made of many small fields is as large', () => {
    const endpoint = server();
    const small = Array.from({ length: MAX_HEADER_FIELDS + 1 }, (_, i) => [`x-${i}`, ''] as const);
    endpoint.send(endpoint.codec.headers(1, [[':method', 'CONNECT'], [':authority', 'a:1'], ...small]));
    assert.equal(endpoint.requests.length, 0);
    assert.equal(endpoint.counters.headerListsTooLarge, 1);
  });
});

describe('a busy peer is left alone', () => {
  test('that resets every tunnel once it is answered', () => {
    const endpoint = server();
    for (let i = 0; i < 20_000; i++) {
      const id = 2 * i + 1;
      endpoint.send(endpoint.connect(id), rstStream(id, i % 2 === 0 ? code.cancel : code.noError));
    }
    assert.deepEqual(endpoint.events, ['ready']);
    assert.equal(endpoint.counters.streams, 20_000);
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('that has a few new header fields for each request', () => {
    const endpoint = server();
    const block = newFields(INSERTIONS_PER_BLOCK - TUNNEL.length);
    for (let i = 0; i < 20_000; i++) {
      const id = 2 * i + 1;
      endpoint.send(frame(FrameType.headers, FrameFlag.endHeaders, id, block), rstStream(id, code.noError));
    }
    assert.deepEqual(endpoint.events, ['ready']);
    assert.equal(endpoint.counters.tableInsertions, 0);
  });

  test('whose applications give up half of their connections before they are answered', () => {
    const endpoint = server();
    endpoint.onRequest = (stream) => {
      if (stream.id % 4 === 1) stream.sendHeaders(ok, false);
    };
    for (let i = 0; i < 20_000; i++) {
      const id = 2 * i + 1;
      endpoint.send(endpoint.connect(id), rstStream(id, code.cancel));
    }
    assert.deepEqual(endpoint.events, ['ready']);
    assert.equal(endpoint.counters.rapidResets, 10_000);
  });

  test('that opens and ends thousands of tunnels, with PRIORITY and small window updates for each', () => {
    const endpoint = server();
    endpoint.onRequest = (stream) => {
      stream.sendHeaders(ok, false);
      sendText(stream, 'x');
    };
    for (let i = 0; i < 10_000; i++) {
      const id = 2 * i + 1;
      endpoint.send(
        frame(FrameType.priority, 0, id, Buffer.alloc(5)),
        endpoint.connect(id),
        data(id, 'question'),
        windowUpdate(id, 1),
        windowUpdate(0, 1),
        data(id, '', true),
      );
      endpoint.requests.at(-1)!.stream.endData();
      if (i % 100 === 0) endpoint.take();
    }
    assert.deepEqual(endpoint.events, ['ready']);
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('that answers a lot of DATA with a lot of window updates', () => {
    const endpoint = server();
    endpoint.send(endpoint.connect(1));
    const { stream } = endpoint.requests[0]!;
    for (let i = 0; i < 20_000; i++) {
      assert.equal(sendText(stream, 'x'), 1);
      endpoint.send(windowUpdate(1, 1), windowUpdate(0, 1));
      if (i % 100 === 0) endpoint.take();
    }
    assert.deepEqual(endpoint.events, ['ready']);
  });

  test('that sends one octet per DATA frame', () => {
    const endpoint = server();
    endpoint.send(endpoint.connect(1));
    for (let i = 0; i < 20_000; i++) endpoint.send(data(1, 'k'));
    assert.deepEqual(endpoint.events, ['ready']);
    assert.equal(endpoint.requests[0]!.recorder.received.length, 20_000);
  });
});
