/** The session as a server: what a peer sees on the wire for everything that it may send. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { HeaderField, HeaderList } from '../../../src/http/header-list.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { FrameFlag, FrameType } from '../../../src/http/http2-frame.ts';
import { REMEMBERED_STREAMS } from '../../../src/http/http2-limits.ts';
import { SettingId } from '../../../src/http/http2-settings.ts';
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
import { Endpoint, sendText } from '../../support/http2-peer.ts';

const MIB = 1024 * 1024;
const code = Http2ErrorCode;
const ok: HeaderList = [[':status', '200']];

function server(changes = {}): Endpoint {
  return new Endpoint('server', changes).greet();
}

/** A server with stream 1 open, whose request is answered with 200. */
function withTunnel(changes = {}): Endpoint {
  const endpoint = server(changes);
  endpoint.onRequest = (stream) => stream.sendHeaders(ok, false);
  endpoint.send(endpoint.connect(1));
  endpoint.take();
  return endpoint;
}

describe('the beginning of a connection', () => {
  test('announces the limits of the settings and widens the connection window', () => {
    const endpoint = new Endpoint('server');
    const [first, second] = endpoint.take();
    assert.equal(first!.type, FrameType.settings);
    const entries = new Map<number, number>();
    for (let at = 0; at < first!.payload.length; at += 6) {
      entries.set(first!.payload.readUInt16BE(at), first!.payload.readUInt32BE(at + 2));
    }
    assert.equal(entries.get(SettingId.maxConcurrentStreams), 200);
    assert.equal(entries.get(SettingId.initialWindowSize), 4 * MIB);
    assert.equal(entries.get(SettingId.maxFrameSize), MIB);
    assert.equal(entries.get(SettingId.maxHeaderListSize), 65_536);
    assert.equal(entries.has(SettingId.enablePush), false);
    assert.equal(second!.type, FrameType.windowUpdate);
    assert.equal(second!.payload.readUInt32BE(0), 16 * MIB - 65_535);
  });

  test('acknowledges SETTINGS and is ready', () => {
    const endpoint = new Endpoint('server');
    endpoint.take();
    endpoint.send(PREFACE, settings([SettingId.enableConnectProtocol, 1], [0x77, 5]));
    const acks = endpoint.take().filter((one) => one.type === FrameType.settings);
    assert.equal(acks.length, 1);
    assert.equal(acks[0]!.flags, FrameFlag.ack);
    assert.deepEqual(endpoint.events, ['ready']);
  });

  const wrongSettings: readonly (readonly [string, number, number, number])[] = [
    ['push of 2', SettingId.enablePush, 2, code.protocolError],
    ['a window of 2^31', SettingId.initialWindowSize, 2 ** 31, code.flowControlError],
    ['frames of 16383', SettingId.maxFrameSize, 16_383, code.protocolError],
    ['frames of 2^24', SettingId.maxFrameSize, 2 ** 24, code.protocolError],
    ['a connect protocol of 2', SettingId.enableConnectProtocol, 2, code.protocolError],
  ];
  for (const [what, id, value, error] of wrongSettings) {
    test(`refuses ${what}`, () => {
      const endpoint = server();
      endpoint.send(settings([id, value]));
      assert.equal(endpoint.takeGoAway().errorCode, error);
      assert.equal(endpoint.counters.protocolErrors, 1);
    });
  }
});

describe('requests', () => {
  test('are handed over with their fields, their data and their end', () => {
    const endpoint = server();
    endpoint.send(endpoint.connect(1), data(1, 'hel'), data(1, 'lo', true));
    const [request] = endpoint.requests;
    assert.deepEqual(request!.headers, [
      [':method', 'CONNECT'],
      [':authority', '10.0.0.9:80'],
    ]);
    assert.equal(request!.recorder.received, 'hello');
    assert.deepEqual(request!.recorder.events, ['end']);
  });

  test('are answered with headers and data, and end when both sides have ended', () => {
    const endpoint = withTunnel();
    const { stream } = endpoint.requests[0]!;
    sendText(stream, 'abc');
    stream.endData();
    const frames = endpoint.take();
    assert.deepEqual(
      frames.map((one) => [one.type, one.flags, one.streamId, one.payload.toString()]),
      [
        [FrameType.data, 0, 1, 'abc'],
        [FrameType.data, FrameFlag.endStream, 1, ''],
      ],
    );
    assert.equal(endpoint.connection.openStreams, 1);
    endpoint.send(data(1, '', true));
    assert.equal(endpoint.connection.openStreams, 0);
    assert.equal(stream.closed, true);
    assert.equal(endpoint.counters.streamsClosed, 1);
  });

  test('may end with trailers', () => {
    const endpoint = withTunnel();
    endpoint.send(endpoint.codec.headers(1, [['x-sum', '9']], true));
    assert.deepEqual(endpoint.requests[0]!.recorder.events, ['headers x-sum=9 end', 'end']);
  });

  test('beyond the limit are refused, without harm to the others', () => {
    const endpoint = server({ maxConcurrentStreams: 2 });
    endpoint.send(endpoint.connect(1), endpoint.connect(3), endpoint.connect(5));
    assert.deepEqual(endpoint.takeResets(), [[5, code.refusedStream]]);
    assert.equal(endpoint.requests.length, 2);
    assert.equal(endpoint.counters.refusedStreams, 1);
    assert.equal(endpoint.events.at(-1), 'refused');
    endpoint.send(rstStream(1, code.cancel), endpoint.connect(7));
    assert.equal(endpoint.requests.length, 3);
  });

  test('with too many fields are answered with 431', () => {
    const endpoint = server({ maxHeaderListSize: 1000 });
    const long: HeaderField = ['x-long', 'a'.repeat(900)];
    endpoint.send(
      endpoint.codec.headers(1, [[':method', 'CONNECT'], [':authority', 'a:1'], long, ['x', '']]),
    );
    const [answer, reset] = endpoint.take();
    assert.deepEqual(endpoint.codec.decode(answer!), [[':status', '431']]);
    assert.equal(reset!.payload.readUInt32BE(0), code.noError);
    assert.equal(endpoint.counters.headerListsTooLarge, 1);
    endpoint.send(endpoint.connect(3));
    assert.equal(endpoint.requests.length, 1);
  });

  const request = (...fields: readonly HeaderField[]): HeaderList => fields;
  const get = request([':method', 'GET'], [':scheme', 'https'], [':path', '/'], [':authority', 'a']);
  const malformed: readonly (readonly [why: string, headers: HeaderList])[] = [
    ['no method', request([':scheme', 'https'], [':path', '/'])],
    ['no path', request([':method', 'GET'], [':scheme', 'https'])],
    ['an empty path', request([':method', 'GET'], [':scheme', 'https'], [':path', ''])],
    ['CONNECT without authority', request([':method', 'CONNECT'])],
    ['CONNECT with a path', request([':method', 'CONNECT'], [':authority', 'a:1'], [':path', '/'])],
    ['CONNECT with a scheme', request([':method', 'CONNECT'], [':authority', 'a:1'], [':scheme', 'https'])],
    ['a pseudo field twice', request(...get, [':path', '/'])],
    ['an unknown pseudo field', request([':proto', 'x'], ...get)],
    ['a response pseudo field', request([':status', '200'], ...get)],
    [
      'a pseudo field behind a regular one',
      request([':method', 'GET'], ['a', 'b'], [':path', '/'], [':scheme', 'https']),
    ],
    ['an upper-case name', request(...get, ['X-A', '1'])],
    ['an empty name', request(...get, ['', '1'])],
    ['a blank in a name', request(...get, ['x a', '1'])],
    ['a line feed in a value', request(...get, ['x-a', 'b\nc'])],
    ['a NUL in a value', request(...get, ['x-a', 'b\0c'])],
    ['a blank before a value', request(...get, ['x-a', ' b'])],
    ['connection', request(...get, ['connection', 'close'])],
    ['transfer-encoding', request(...get, ['transfer-encoding', 'chunked'])],
    ['te other than trailers', request(...get, ['te', 'gzip'])],
    ['another host than its authority', request(...get, ['host', 'b'])],
    ['two lengths', request(...get, ['content-length', '1'], ['content-length', '2'])],
    ['a length that is no number', request(...get, ['content-length', '+1'])],
  ];
  for (const [why, headers] of malformed) {
    test(`are malformed with ${why}`, () => {
      const endpoint = server();
      endpoint.send(endpoint.codec.headers(1, headers));
      assert.deepEqual(endpoint.takeResets(), [[1, code.protocolError]]);
      assert.equal(endpoint.requests.length, 0);
      assert.equal(endpoint.counters.malformedMessages, 1);
      endpoint.send(endpoint.codec.headers(3, get, true));
      assert.equal(endpoint.requests.length, 1);
    });
  }

  test('whose body is longer or shorter than content-length are reset', () => {
    const endpoint = server();
    const headers = [...get, ['content-length', '3'] as const];
    endpoint.send(endpoint.codec.headers(1, headers), data(1, 'abcd'));
    endpoint.send(endpoint.codec.headers(3, headers), data(3, 'ab', true));
    endpoint.send(endpoint.codec.headers(5, headers), data(5, 'abc', true));
    endpoint.send(endpoint.codec.headers(7, headers, true));
    assert.deepEqual(endpoint.takeResets(), [
      [1, code.protocolError],
      [3, code.protocolError],
      [7, code.protocolError],
    ]);
    assert.deepEqual(endpoint.requests[2]!.recorder.events, ['end']);
  });

  test('without a handler for them are refused', () => {
    const endpoint = server();
    endpoint.onRequest = (stream) => stream.reset(code.refusedStream);
    endpoint.send(endpoint.connect(1), data(1, 'x'));
    assert.deepEqual(endpoint.takeResets(), [[1, code.refusedStream]]);
    assert.equal(endpoint.connection.openStreams, 0);
  });
});

describe('frames in states that do not allow them', () => {
  const violations: readonly (readonly [
    what: string,
    frames: (peer: Endpoint) => Uint8Array[],
    error: number,
  ])[] = [
    ['DATA on an idle stream', () => [data(1, 'x')], code.protocolError],
    ['RST_STREAM on an idle stream', () => [rstStream(1, 0)], code.protocolError],
    ['WINDOW_UPDATE on an idle stream', () => [windowUpdate(1, 1)], code.protocolError],
    ['an even stream', (peer) => [peer.connect(2)], code.protocolError],
    ['a stream lower than the last one', (peer) => [peer.connect(5), peer.connect(3)], code.protocolError],
    ['DATA on a stream that ended', (peer) => [peer.connect(1, true), data(1, 'x')], code.streamClosed],
    ['HEADERS on a stream that ended', (peer) => [peer.connect(1, true), peer.connect(1)], code.streamClosed],
    ['a header block that cannot be decoded', () => [frame(1, 4, 1, Buffer.of(0x80))], code.compressionError],
    ['a window update of 0 on the connection', () => [windowUpdate(0, 0)], code.protocolError],
    ['a window update that overflows', () => [windowUpdate(0, 0x7fff_ffff)], code.flowControlError],
  ];
  for (const [what, frames, error] of violations) {
    test(`${what} ends the connection`, () => {
      const endpoint = server();
      endpoint.onRequest = (stream) => {
        stream.sendHeaders(ok, true);
      };
      endpoint.send(...frames(endpoint));
      assert.equal(endpoint.takeGoAway().errorCode, error);
      assert.equal(endpoint.stream.outputShut, true);
      assert.deepEqual(endpoint.events, ['ready', 'closed AMBIT_HTTP2_DOWNSTREAM_VIOLATION']);
      endpoint.send(ping());
      assert.deepEqual(endpoint.take(), [], 'nothing is answered any more');
    });
  }

  test('DATA behind the end of a stream that we have not ended resets it', () => {
    const endpoint = withTunnel();
    endpoint.send(data(1, 'x', true), data(1, 'y'));
    assert.deepEqual(endpoint.takeResets(), [[1, code.streamClosed]]);
    assert.deepEqual(endpoint.requests[0]!.recorder.events, ['end', `reset ${code.streamClosed} violation`]);
  });

  test('trailers without an end, or with pseudo fields, reset the stream', () => {
    for (const trailers of [
      { headers: [['x-a', '1']] as HeaderList, end: false },
      { headers: [[':path', '/']] as HeaderList, end: true },
    ]) {
      const endpoint = withTunnel();
      endpoint.send(endpoint.codec.headers(1, trailers.headers, trailers.end));
      assert.deepEqual(endpoint.takeResets(), [[1, code.protocolError]]);
    }
  });

  test('a window update of 0, or one that overflows, resets the stream', () => {
    const endpoint = withTunnel();
    endpoint.send(windowUpdate(1, 0));
    assert.deepEqual(endpoint.takeResets(), [[1, code.protocolError]]);
    endpoint.send(endpoint.connect(3), windowUpdate(3, 0x7fff_ffff));
    assert.deepEqual(endpoint.takeResets(), [[3, code.flowControlError]]);
  });

  test('PRIORITY of a wrong size resets the stream', () => {
    const endpoint = withTunnel();
    endpoint.send(frame(FrameType.priority, 0, 1, uint32(0)));
    assert.deepEqual(endpoint.takeResets(), [[1, code.frameSizeError]]);
  });

  test('late frames on a stream that we reset are ignored, and their window is given back', () => {
    const endpoint = withTunnel({ connectionWindow: 65_535 });
    endpoint.requests[0]!.stream.reset(code.cancel);
    assert.deepEqual(endpoint.takeResets(), [[1, code.cancel]]);
    endpoint.send(data(1, Buffer.alloc(20_000)), data(1, Buffer.alloc(20_000), true));
    const updates = endpoint.take();
    assert.deepEqual(
      updates.map((one) => [one.type, one.streamId, one.payload.readUInt32BE(0)]),
      [[FrameType.windowUpdate, 0, 40_000]],
    );
  });

  test('frames on a stream that the peer reset, or that closed long ago, are answered with a reset', () => {
    const endpoint = server();
    endpoint.onRequest = (stream) => stream.sendHeaders(ok, true);
    endpoint.send(endpoint.connect(1), rstStream(1, code.cancel), data(1, 'x'));
    assert.deepEqual(endpoint.takeResets(), [[1, code.streamClosed]]);
    endpoint.send(endpoint.connect(3, true));
    for (let i = 0; i < REMEMBERED_STREAMS; i++) endpoint.send(endpoint.connect(5 + 2 * i, true));
    endpoint.take();
    endpoint.send(data(3, 'x'));
    assert.deepEqual(endpoint.takeResets(), [[3, code.streamClosed]]);
  });

  test('unknown frames, PRIORITY and PING acknowledgements change nothing', () => {
    const endpoint = withTunnel();
    endpoint.send(
      frame(0x0c, 0xff, 0, Buffer.from('origin')),
      frame(0xaa, 1, 1, Buffer.from('grease')),
      frame(FrameType.priority, 0, 9, Buffer.alloc(5)),
      ping('12345678', true),
      data(1, 'still here'),
    );
    assert.deepEqual(endpoint.take(), []);
    assert.equal(endpoint.requests[0]!.recorder.received, 'still here');
  });

  test('PING is answered with its own payload', () => {
    const endpoint = server();
    const payload = Buffer.from('ff00fe0180047f08', 'hex');
    endpoint.send(frame(FrameType.ping, 0, 0, payload));
    const [pong] = endpoint.take();
    assert.equal(pong!.flags, FrameFlag.ack);
    assert.deepEqual(pong!.payload, payload);
  });
});

describe('flow control towards us', () => {
  test('window updates come when half of a window is used, not before', () => {
    const endpoint = withTunnel({ streamWindow: 100_000, connectionWindow: 400_000 });
    endpoint.send(data(1, Buffer.alloc(49_999)));
    assert.deepEqual(endpoint.take(), []);
    endpoint.send(data(1, Buffer.alloc(1)));
    const updates = endpoint.take();
    assert.deepEqual(
      updates.map((one) => [one.streamId, one.payload.readUInt32BE(0)]),
      [[1, 50_000]],
    );
  });

  test('bytes that the user keeps are not given back', () => {
    const endpoint = server({ streamWindow: 100_000, connectionWindow: 100_000 });
    endpoint.onRequest = (stream, recorder) => {
      recorder.keepBytes = true;
      stream.sendHeaders(ok, false);
    };
    endpoint.send(endpoint.connect(1), data(1, Buffer.alloc(100_000)));
    assert.equal(endpoint.connection.heldBytes, 100_000);
    endpoint.take();
    endpoint.requests[0]!.stream.consumed(100_000);
    const updates = endpoint.take();
    assert.deepEqual(
      updates.map((one) => [one.streamId, one.payload.readUInt32BE(0)]),
      [
        [0, 100_000],
        [1, 100_000],
      ],
    );
    assert.equal(endpoint.connection.heldBytes, 0);
  });

  test('a stream over its window is reset, a connection over its window is closed', () => {
    const endpoint = server({ streamWindow: 70_000, connectionWindow: 200_000 });
    endpoint.onRequest = (_, recorder) => {
      recorder.keepBytes = true;
    };
    endpoint.send(endpoint.connect(1), data(1, Buffer.alloc(70_001)));
    assert.deepEqual(endpoint.takeResets(), [[1, code.flowControlError]]);
    for (let id = 3; id < 9; id += 2) endpoint.send(endpoint.connect(id), data(id, Buffer.alloc(70_000)));
    assert.equal(endpoint.takeGoAway().errorCode, code.flowControlError);
  });

  test('padding counts, and is given back at once', () => {
    const endpoint = server({ streamWindow: 70_000, connectionWindow: 65_535 });
    endpoint.onRequest = (_, recorder) => {
      recorder.keepBytes = true;
    };
    const padded = frame(
      FrameType.data,
      FrameFlag.padded,
      1,
      Buffer.concat([Buffer.of(255), Buffer.from('ab'), Buffer.alloc(255)]),
    );
    endpoint.send(endpoint.connect(1));
    for (let i = 0; i < 200; i++) endpoint.send(padded);
    assert.equal(endpoint.connection.heldBytes, 400);
    const given = endpoint.take().filter((one) => one.streamId === 0);
    assert.ok(given.length > 0);
  });

  test('a window smaller than the default holds once the peer has acknowledged it', () => {
    const endpoint = new Endpoint('server', { streamWindow: 1000 });
    endpoint.onRequest = (_, recorder) => {
      recorder.keepBytes = true;
    };
    endpoint.send(PREFACE, settings(), endpoint.connect(1), data(1, Buffer.alloc(1500)));
    endpoint.take();
    assert.equal(endpoint.requests[0]!.recorder.received.length, 1500);
    endpoint.send(SETTINGS_ACK, data(1, 'x'));
    assert.deepEqual(endpoint.takeResets(), [[1, code.flowControlError]]);
  });
});

describe('flow control towards the peer', () => {
  test('no more is sent than the stream window, and the rest after an update', () => {
    const endpoint = withTunnel();
    const { stream, recorder } = endpoint.requests[0]!;
    assert.equal(sendText(stream, 'x'.repeat(20_000)), 16_384, 'frames are no larger than the peer allows');
    for (let i = 0; i < 9; i++) sendText(stream, 'x'.repeat(20_000));
    const sent = endpoint.take().reduce((sum, one) => sum + one.payload.length, 0);
    assert.equal(sent, 65_535);
    assert.equal(stream.writableBytes(), 0);
    let told = 0;
    recorder.onRoom = () => {
      told++;
    };
    endpoint.send(windowUpdate(1, 10));
    assert.equal(told, 0, 'the connection window is used up too');
    endpoint.send(windowUpdate(0, 7));
    assert.equal(told, 1);
    assert.equal(stream.writableBytes(), 7);
  });

  test('a smaller initial window makes the window of open streams negative', () => {
    const endpoint = withTunnel();
    const { stream, recorder } = endpoint.requests[0]!;
    sendText(stream, 'x'.repeat(1000));
    endpoint.send(settings([SettingId.initialWindowSize, 400]));
    assert.equal(stream.sendWindow, -600);
    assert.equal(stream.writableBytes(), 0);
    let told = 0;
    recorder.onRoom = () => {
      told++;
    };
    endpoint.send(windowUpdate(1, 600));
    assert.equal(told, 0);
    endpoint.send(windowUpdate(1, 5));
    assert.equal(told, 1);
    assert.equal(stream.writableBytes(), 5);
    endpoint.send(settings([SettingId.initialWindowSize, 500]));
    assert.equal(stream.writableBytes(), 105);
  });

  test('an initial window that overflows an open stream ends the connection', () => {
    const endpoint = withTunnel();
    endpoint.send(windowUpdate(1, 0x7fff_ffff - 65_535), settings([SettingId.initialWindowSize, 65_536]));
    assert.equal(endpoint.takeGoAway().errorCode, code.flowControlError);
  });

  test('streams share the output in turns while the kernel takes little', () => {
    const endpoint = server();
    endpoint.send(windowUpdate(0, 100 * MIB), settings([SettingId.initialWindowSize, 50 * MIB]));
    const served: number[] = [];
    endpoint.onRequest = (stream, recorder) => {
      stream.sendHeaders(ok, false);
      recorder.onRoom = () => {
        let count = 0;
        while (count < 60_000) {
          const sent = sendText(stream, 'x'.repeat(60_000));
          if (sent === 0) return;
          count += sent;
        }
        served.push(stream.id);
        assert.ok(stream.writableBytes() === 0 || stream.id > 0);
      };
    };
    for (let id = 1; id <= 11; id += 2) endpoint.send(endpoint.connect(id));
    endpoint.stream.blocked = true;
    for (const { stream } of endpoint.requests) assert.equal(stream.writableBytes(), 0);
    for (let round = 0; round < 6; round++) {
      endpoint.stream.unblock();
      endpoint.stream.blocked = true;
      for (const { stream } of endpoint.requests) stream.writableBytes();
    }
    for (let id = 1; id <= 11; id += 2) {
      const turns = served.filter((one) => one === id).length;
      assert.ok(turns >= 2, `stream ${id} had ${turns} turns of ${served.length}: ${served}`);
    }
  });

  test('the end of a stream that had to wait for the kernel is sent before the connection says that it ends', () => {
    const endpoint = withTunnel();
    endpoint.send(goAway(0, code.noError), data(1, '', true));
    endpoint.take();
    endpoint.stream.blocked = true;
    endpoint.requests[0]!.stream.endData();
    assert.equal(endpoint.connection.openStreams, 0);
    endpoint.stream.unblock();
    assert.deepEqual(
      endpoint.take().map(({ type }) => type),
      [FrameType.data, FrameType.goAway],
    );
  });

  test('a stream that comes by does not pass one that waits', () => {
    const endpoint = withTunnel();
    endpoint.send(endpoint.connect(3), settings([SettingId.initialWindowSize, MIB]));
    const [first, second] = endpoint.requests as [
      (typeof endpoint.requests)[0],
      (typeof endpoint.requests)[0],
    ];
    while (first.stream.writableBytes() > 0) sendText(first.stream, 'x'.repeat(20_000));
    assert.equal(first.stream.sendWindow > 0, true, 'it is the connection window that is used up');
    const order: string[] = [];
    first.recorder.onRoom = () => order.push(`first ${first.stream.writableBytes()}`);
    second.recorder.onRoom = () => order.push(`second ${second.stream.writableBytes()}`);
    second.recorder.onBytes = () => order.push(`second asks and gets ${second.stream.writableBytes()}`);
    endpoint.send(windowUpdate(0, 5000), data(3, 'x'));
    assert.deepEqual(order, ['second asks and gets 0', 'first 5000', 'second 5000']);
  });

  test('answers wait for room in the order in which they were given, and DATA waits behind them', () => {
    const endpoint = server();
    endpoint.stream.blocked = true;
    const filler: HeaderList = [...ok, ['x-fill', 'ÿ'.repeat(6000)]];
    const count = 60;
    endpoint.onRequest = (stream) => {
      stream.sendHeaders([...filler, ['x-id', String(stream.id)]], false);
      stream.endData();
    };
    for (let i = 0; i < count; i++) endpoint.send(endpoint.connect(2 * i + 1, true));
    assert.equal(endpoint.connection.openStreams > 0, true, 'some wait');
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      endpoint.stream.unblock();
      for (const one of endpoint.take()) {
        if (one.type !== FrameType.headers) continue;
        ids.push(endpoint.codec.decode(one).find(([name]) => name === 'x-id')![1]);
      }
    }
    assert.deepEqual(
      ids,
      Array.from({ length: count }, (_, i) => String(2 * i + 1)),
    );
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('a header list over the frame size of the peer is continued', () => {
    const endpoint = server();
    endpoint.onRequest = (stream) => {
      stream.sendHeaders([...ok, ['x-long', 'ÿ'.repeat(40_000)]], true);
    };
    endpoint.send(endpoint.connect(1, true));
    const frames = endpoint.take();
    assert.deepEqual(
      frames.map((one) => [one.type, one.flags, one.payload.length]),
      [
        [FrameType.headers, FrameFlag.endStream, 16_384],
        [FrameType.continuation, 0, 16_384],
        [FrameType.continuation, FrameFlag.endHeaders, frames[2]!.payload.length],
      ],
    );
    const block = Buffer.concat(frames.map((one) => one.payload));
    const headers = endpoint.codec.decode({ ...frames[0]!, payload: block });
    assert.equal(headers[1]![1], 'ÿ'.repeat(40_000));
  });
});

describe('resets', () => {
  test('of the peer end the stream with its code', () => {
    const endpoint = withTunnel();
    endpoint.send(rstStream(1, code.connectError));
    assert.deepEqual(endpoint.requests[0]!.recorder.events, [`reset ${code.connectError} peer`]);
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('of ours are not told to the one who asked for them', () => {
    const endpoint = withTunnel();
    endpoint.requests[0]!.stream.reset(code.cancel);
    endpoint.requests[0]!.stream.reset(code.cancel);
    assert.deepEqual(endpoint.takeResets(), [[1, code.cancel]]);
    assert.deepEqual(endpoint.requests[0]!.recorder.events, []);
    assert.equal(endpoint.requests[0]!.stream.writableBytes(), 0);
  });
});

describe('the end of a connection', () => {
  test('drains: 2^31-1 first, the last stream after a round trip, then waits for the streams', () => {
    const endpoint = withTunnel();
    endpoint.connection.startDrain();
    const [announcement, question] = endpoint.take();
    assert.equal(announcement!.payload.readUInt32BE(0), 0x7fff_ffff);
    endpoint.send(endpoint.connect(3));
    assert.equal(endpoint.requests.length, 2, 'a request that was on its way is served');
    endpoint.send(frame(FrameType.ping, FrameFlag.ack, 0, question!.payload));
    assert.deepEqual({ ...endpoint.takeGoAway(), text: '' }, { lastStreamId: 3, errorCode: 0, text: '' });
    endpoint.send(endpoint.connect(5), data(5, 'ignored', true));
    assert.equal(endpoint.requests.length, 2);
    assert.deepEqual(endpoint.take(), []);
    endpoint.send(data(1, 'last words', true));
    assert.equal(endpoint.requests[0]!.recorder.received, 'last words');
    for (const { stream } of endpoint.requests) stream.endData();
    endpoint.send(data(3, '', true));
    assert.equal(endpoint.stream.outputShut, true);
    assert.deepEqual(endpoint.events, ['ready', 'closed']);
    assert.equal(endpoint.counters.connectionsClosed, 1);
  });

  test('resets every stream when the stream below is lost', () => {
    const endpoint = withTunnel();
    endpoint.stream.close();
    assert.deepEqual(endpoint.requests[0]!.recorder.events, [`reset ${code.internalError} connection`]);
    assert.deepEqual(endpoint.events, ['ready', 'closed AMBIT_HTTP2_CLOSED_BY_PEER']);
  });

  test('is no error when no stream was open', () => {
    const endpoint = server();
    endpoint.connection.onInputEnd();
    assert.deepEqual(endpoint.events, ['ready', 'closed']);
  });

  test('close() tells the peer why, and the streams that it is over', () => {
    const endpoint = withTunnel();
    endpoint.connection.close(code.internalError);
    assert.deepEqual(endpoint.takeGoAway(), { lastStreamId: 1, errorCode: code.internalError, text: '' });
    assert.deepEqual(endpoint.requests[0]!.recorder.events, [`reset ${code.internalError} connection`]);
    assert.equal(endpoint.connection.openStreams, 0);
  });

  test('comes when the client says GOAWAY and has no streams left', () => {
    const endpoint = withTunnel();
    endpoint.send(goAway(0, 0));
    assert.deepEqual(endpoint.events, ['ready', 'goaway']);
    endpoint.requests[0]!.stream.endData();
    endpoint.send(data(1, '', true));
    assert.deepEqual(endpoint.events, ['ready', 'goaway', 'closed']);
  });
});

test('random frames never get an exception out of the connection', () => {
  const oneFrame = fc
    .tuple(
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 7 }),
      fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.constant(Buffer.from('8286418c', 'hex'))),
    )
    .map(([type, flags, streamId, payload]) => frame(type, flags, streamId, payload));
  const script = fc.array(fc.oneof(oneFrame, fc.constant('connect' as const)), { maxLength: 30 });
  fc.assert(
    fc.property(script, (steps) => {
      const endpoint = server();
      endpoint.onRequest = (stream) => {
        stream.sendHeaders(ok, false);
        sendText(stream, 'hello', true);
      };
      let next = 1;
      for (const step of steps) {
        endpoint.send(step === 'connect' ? endpoint.connect(next) : step);
        if (step === 'connect') next += 2;
      }
      assert.equal(endpoint.reactor.handlerFailures, 0);
      endpoint.stream.close();
      assert.equal(endpoint.connection.openStreams, 0);
    }),
    { numRuns: 300 },
  );
});
