/** The session as a client, and the clocks of both roles. */

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { HeaderList } from '../../../src/http/header-list.ts';
import type { Http2Connection } from '../../../src/http/http2-connection.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameFlag, FrameType, MAX_STREAM_ID } from '../../../src/http/http2-frame.ts';
import { OUTPUT_STALL_MS } from '../../../src/http/http2-limits.ts';
import { SettingId } from '../../../src/http/http2-settings.ts';
import type { Http2Stream } from '../../../src/http/http2-stream.ts';
import { StreamTable } from '../../../src/http/stream-table.ts';
import {
  data,
  frame,
  goAway,
  PREFACE,
  ping,
  rstStream,
  SETTINGS_ACK,
  settings,
} from '../../support/http2-frames.ts';
import { Endpoint, StreamRecorder, sendText } from '../../support/http2-peer.ts';

const code = Http2ErrorCode;
const request: HeaderList = [
  [':method', 'CONNECT'],
  [':authority', '10.0.0.9:80'],
];
const ok: HeaderList = [[':status', '200']];

function client(...entries: readonly (readonly [number, number])[]): Endpoint {
  return new Endpoint('client').greet(...entries);
}

function open(connection: Http2Connection): { stream: Http2Stream; recorder: StreamRecorder } {
  const recorder = new StreamRecorder();
  const stream = connection.openStream(request, recorder);
  assert.ok(stream !== undefined);
  recorder.stream = stream;
  return { stream, recorder };
}

/** Time stands still but for `advance`. */
function stopClock(context: TestContext, endpoint: Endpoint): { advance(ms: number): void } {
  let nowMs = performance.now();
  context.mock.method(performance, 'now', () => nowMs);
  return {
    advance: (ms) => {
      for (let left = ms; left > 0; left -= 100) {
        nowMs += Math.min(left, 100);
        endpoint.stream.turn();
      }
    },
  };
}

describe('a client', () => {
  test('begins with the preface and SETTINGS that switch push off', () => {
    const endpoint = new Endpoint('client');
    endpoint.stream.turn();
    const bytes = endpoint.stream.takeWritten();
    assert.deepEqual(bytes.subarray(0, PREFACE.length), PREFACE);
    assert.equal(bytes[PREFACE.length + 3], FrameType.settings);
    assert.ok(bytes.includes(Buffer.from('000200000000', 'hex')), 'ENABLE_PUSH = 0');
  });

  test('opens streams before the SETTINGS of the server are there', () => {
    const endpoint = new Endpoint('client');
    const { stream } = open(endpoint.connection);
    assert.equal(stream.id, 1);
    assert.equal(endpoint.connection.maxPeerStreams, 100);
    const headers = endpoint.take().find((one) => one.type === FrameType.headers);
    assert.deepEqual(endpoint.codec.decode(headers!), request);
  });

  test('hears the response, its data, its trailers and its end', () => {
    const endpoint = client();
    const { stream, recorder } = open(endpoint.connection);
    const { codec } = endpoint;
    endpoint.send(
      codec.headers(1, [[':status', '103']]),
      codec.headers(1, ok),
      data(1, 'hello'),
      codec.headers(1, [['x-sum', '5']], true),
    );
    assert.deepEqual(recorder.events, [
      'headers :status=103',
      'headers :status=200',
      'headers x-sum=5 end',
      'end',
    ]);
    assert.equal(recorder.received, 'hello');
    stream.endData();
    assert.equal(endpoint.connection.openStreams, 0);
  });

  const wrongAnswers: readonly (readonly [what: string, frames: (peer: Endpoint) => Uint8Array[]])[] = [
    ['DATA before a response', () => [data(1, 'x')]],
    ['a response without status', (peer) => [peer.codec.headers(1, [['a', 'b']])]],
    ['status 101', (peer) => [peer.codec.headers(1, [[':status', '101']])]],
    ['a status of four digits', (peer) => [peer.codec.headers(1, [[':status', '2000']])]],
    ['an informational response that ends', (peer) => [peer.codec.headers(1, [[':status', '100']], true)]],
    ['a request pseudo field', (peer) => [peer.codec.headers(1, [...ok, [':path', '/']])]],
  ];
  for (const [what, frames] of wrongAnswers) {
    test(`resets a stream on ${what}`, () => {
      const endpoint = client();
      const { recorder } = open(endpoint.connection);
      endpoint.send(...frames(endpoint));
      assert.deepEqual(endpoint.takeResets(), [[1, code.protocolError]]);
      assert.equal(recorder.events.at(-1), `reset ${code.protocolError} violation`);
    });
  }

  test('closes the connection when the server opens a stream or pushes', () => {
    for (const attempt of [
      (endpoint: Endpoint) => endpoint.codec.headers(2, ok),
      () => frame(FrameType.pushPromise, FrameFlag.endHeaders, 1, Buffer.alloc(4)),
      () => settings([SettingId.enablePush, 1]),
    ]) {
      const endpoint = client();
      open(endpoint.connection);
      endpoint.send(attempt(endpoint));
      assert.equal(endpoint.takeGoAway().errorCode, code.protocolError);
      assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_UPSTREAM_VIOLATION');
    }
  });

  test('opens no more streams than the server allows, and hears when it allows more', () => {
    const endpoint = client([SettingId.maxConcurrentStreams, 2]);
    open(endpoint.connection);
    const second = open(endpoint.connection);
    assert.equal(endpoint.connection.acceptsStreams, false);
    assert.equal(endpoint.connection.openStream(request, new StreamRecorder()), undefined);
    second.stream.reset(code.cancel);
    assert.equal(endpoint.connection.acceptsStreams, true);
  });

  test('does not announce a stream that was given up before its request could be sent', () => {
    const endpoint = client();
    endpoint.stream.blocked = true;
    endpoint.stream.output.end = endpoint.stream.output.capacity - 100;
    const { stream } = open(endpoint.connection);
    assert.equal(stream.writableBytes(), 0);
    stream.reset(code.cancel);
    endpoint.stream.output.clear();
    endpoint.stream.unblock();
    assert.deepEqual(endpoint.take(), []);
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('may end its direction while its request still waits for room', () => {
    const endpoint = client();
    endpoint.stream.blocked = true;
    endpoint.stream.output.end = endpoint.stream.output.capacity - 100;
    const { stream } = open(endpoint.connection);
    stream.endData();
    endpoint.stream.output.clear();
    endpoint.stream.unblock();
    const [headers] = endpoint.take();
    assert.equal(headers!.type, FrameType.headers);
    assert.equal(headers!.flags, FrameFlag.endHeaders | FrameFlag.endStream);
  });

  test('refuses header lists that no output could hold', () => {
    const endpoint = client();
    const huge: HeaderList = [...request, ['x-huge', 'x'.repeat(300_000)]];
    assert.equal(endpoint.connection.openStream(huge, new StreamRecorder()), undefined);
    assert.equal(endpoint.connection.openStreams, 0);
  });
});

describe('GOAWAY of the server', () => {
  test('drops what it never handled, and lets the rest finish', () => {
    const endpoint = client();
    const handled = open(endpoint.connection);
    const unhandled = open(endpoint.connection);
    endpoint.send(goAway(1, code.noError));
    assert.deepEqual(unhandled.recorder.events, [`reset ${code.refusedStream} goaway`]);
    assert.equal(endpoint.connection.acceptsStreams, false);
    assert.equal(endpoint.connection.isLeaving, true);
    endpoint.send(endpoint.codec.headers(1, ok), data(1, 'late', true));
    assert.equal(handled.recorder.received, 'late');
    handled.stream.endData();
    assert.deepEqual(endpoint.events, ['ready', 'goaway', 'closed']);
  });

  test('in two steps drops nothing at the first one', () => {
    const endpoint = client();
    const first = open(endpoint.connection);
    const second = open(endpoint.connection);
    endpoint.send(goAway(MAX_STREAM_ID, code.noError));
    assert.deepEqual([...first.recorder.events, ...second.recorder.events], []);
    endpoint.send(goAway(1, code.noError));
    assert.deepEqual(second.recorder.events, [`reset ${code.refusedStream} goaway`]);
    endpoint.send(goAway(3, code.noError));
    assert.deepEqual(first.recorder.events, []);
    assert.deepEqual(endpoint.events, ['ready', 'goaway']);
  });

  test('with an error is the error of the connection', () => {
    const endpoint = client();
    endpoint.send(goAway(0, code.enhanceYourCalm, 'too many'));
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_CLOSED_BY_PEER');
    assert.match(endpoint.closedWith!.message, /ENHANCE_YOUR_CALM/);
  });
});

describe('draining a client', () => {
  test('takes no new streams, says GOAWAY, and closes after the last stream', () => {
    const endpoint = client();
    const { stream, recorder } = open(endpoint.connection);
    endpoint.connection.startDrain();
    assert.deepEqual(endpoint.takeGoAway(), { lastStreamId: 0, errorCode: 0, text: '' });
    assert.equal(endpoint.connection.acceptsStreams, false);
    endpoint.send(endpoint.codec.headers(1, ok));
    sendText(stream, 'more', true);
    endpoint.send(data(1, 'answer', true));
    assert.equal(recorder.received, 'answer');
    assert.deepEqual(endpoint.events, ['ready', 'closed']);
  });

  test('of an unused connection closes it at once', () => {
    const endpoint = client();
    endpoint.connection.startDrain();
    assert.deepEqual(endpoint.events, ['ready', 'closed']);
    assert.equal(endpoint.stream.outputShut, true);
  });
});

describe('clocks', () => {
  test('a peer that sends nothing for 20 s after a PING is dead', (context) => {
    const endpoint = new Endpoint('server').greet();
    const clock = stopClock(context, endpoint);
    endpoint.send(endpoint.connect(1));
    clock.advance(10_500);
    assert.equal(endpoint.take().filter((one) => one.type === FrameType.ping).length, 1);
    clock.advance(19_000);
    assert.deepEqual(endpoint.events, ['ready']);
    clock.advance(1000);
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_UNRESPONSIVE');
    assert.equal(endpoint.counters.keepAliveTimeouts, 1);
    assert.equal(endpoint.stream.closed, true);
    assert.equal(endpoint.requests[0]!.recorder.events.length, 1);
  });

  test('a peer that sends anything at all is alive', (context) => {
    const endpoint = new Endpoint('server').greet();
    const clock = stopClock(context, endpoint);
    for (let i = 0; i < 20; i++) {
      clock.advance(10_500);
      assert.equal(endpoint.take().filter((one) => one.type === FrameType.ping).length, 1);
      endpoint.send(i % 2 === 0 ? ping('anything') : settings());
      endpoint.take();
    }
    assert.deepEqual(endpoint.events, ['ready']);
  });

  test('a peer that gives signs of life and takes nothing of what is sent is cut after a while', (context) => {
    const endpoint = new Endpoint('server').greet();
    const clock = stopClock(context, endpoint);
    endpoint.stream.outputBlockedSinceMs = endpoint.reactor.nowMs;
    for (let i = 0; i < 5; i++) {
      assert.equal(endpoint.closedWith, undefined);
      clock.advance(OUTPUT_STALL_MS / 5);
      endpoint.send(ping());
    }
    clock.advance(10_000);
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_UNRESPONSIVE');
    assert.equal(endpoint.counters.outputStalls, 1);
    assert.equal(endpoint.stream.closed, true);
  });

  test('a peer that never ends a header block is cut, and one that takes its time for many is not', (context) => {
    const endpoint = new Endpoint('server').greet();
    const clock = stopClock(context, endpoint);
    for (const id of [1, 3, 5]) {
      const block = endpoint.connect(id).subarray(9);
      endpoint.send(frame(FrameType.headers, 0, id, block.subarray(0, 1)));
      clock.advance(9000);
      endpoint.send(frame(FrameType.continuation, FrameFlag.endHeaders, id, block.subarray(1)));
    }
    assert.equal(endpoint.requests.length, 3);
    endpoint.send(frame(FrameType.headers, 0, 7, Buffer.of(0x82)));
    for (let i = 0; i < 5; i++) {
      endpoint.send(frame(FrameType.continuation, 0, 7));
      clock.advance(4000);
    }
    assert.equal(endpoint.closedWith?.code, 'AMBIT_HTTP2_UNRESPONSIVE');
    assert.equal(endpoint.counters.headerTimeouts, 1);
  });

  test('SETTINGS must come, and ours be acknowledged, within 10 s', (context) => {
    for (const greeting of [[], [PREFACE], [PREFACE, settings()]]) {
      const endpoint = new Endpoint('server');
      const clock = stopClock(context, endpoint);
      if (greeting.length > 0) endpoint.send(...greeting);
      clock.advance(9900);
      assert.equal(endpoint.closedWith, undefined);
      clock.advance(200);
      assert.equal(endpoint.takeGoAway().errorCode, code.settingsTimeout);
      assert.equal(endpoint.counters.settingsTimeouts, 1);
      context.mock.restoreAll();
    }
  });

  test('the connection lingers after its last word until the peer has closed, but no longer than 1 s', (context) => {
    const endpoint = client();
    endpoint.connection.close(code.noError);
    assert.equal(endpoint.stream.closed, false);
    endpoint.connection.onInputEnd();
    assert.equal(endpoint.stream.closed, true);
    const silent = client();
    const clock = stopClock(context, silent);
    silent.connection.close(code.noError);
    clock.advance(900);
    assert.equal(silent.stream.closed, false);
    clock.advance(200);
    assert.equal(silent.stream.closed, true);
    assert.deepEqual(silent.events, ['ready', 'closed']);
  });
});

test('identifiers run out after 2^30 streams, and the table says so', () => {
  const table = new StreamTable('client');
  assert.equal(table.takeId(), 1);
  assert.equal(table.exhausted, false);
  const full = new StreamTable('client', MAX_STREAM_ID);
  assert.equal(full.takeId(), MAX_STREAM_ID);
  assert.equal(full.exhausted, true);
});

test('a reset that the server sends at the limit of the client is a reset of the peer', () => {
  const endpoint = client();
  const { recorder } = open(endpoint.connection);
  endpoint.send(rstStream(1, code.refusedStream), SETTINGS_ACK);
  assert.deepEqual(recorder.events, [`reset ${code.refusedStream} peer`]);
});
