import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { grpcErrors } from '../../../src/xds/grpc/errors.ts';
import { GrpcChannel, type GrpcChannelOptions } from '../../../src/xds/grpc/grpc-channel.ts';
import { isMetadata, parseGrpcTimeout } from '../../../src/xds/grpc/grpc-metadata.ts';
import { GrpcServer, type ServerCredentials } from '../../../src/xds/grpc/grpc-server.ts';
import {
  decodeGrpcMessage,
  encodeGrpcMessage,
  errorOfStatus,
  GRPC_STATUS,
  statusOfError,
} from '../../../src/xds/grpc/grpc-status.ts';
import { MessageAssembler } from '../../../src/xds/grpc/message-framing.ts';
import { eventually } from '../../support/eventually.ts';
import { makeAuthority, type TestAuthority } from './certificates.ts';

const NO_METADATA = new Map<string, string>();
const MAX_REQUEST_BYTES = 100_000;

let authority: TestAuthority;
let credentials: ServerCredentials;
let server: GrpcServer;
let port = 0;
let abortedWith: unknown;
let stalled = 0;

before(async () => {
  authority = makeAuthority();
  credentials = authority.issue(['DNS:localhost', 'DNS:control-plane.test', 'IP:127.0.0.1']);
  server = new GrpcServer({ credentials });
  server.addUnary('/test/Echo', async (request) => request, MAX_REQUEST_BYTES);
  server.addUnary('/test/Metadata', async (_request, call) =>
    Buffer.from(JSON.stringify([...call.metadata])),
  );
  server.addUnary('/test/Refuse', async () => {
    throw grpcErrors.AMBIT_GRPC_PERMISSION_DENIED('not you, % 3 of them: ñ');
  });
  server.addUnary('/test/Break', async () => {
    throw new TypeError('a secret');
  });
  server.addUnary('/test/Hang', async (_request, call) => {
    await once(call.signal, 'abort');
    abortedWith = call.signal.reason;
    throw call.signal.reason;
  });
  server.addStream('/test/Echoes', async (requests, responses) => {
    for await (const request of requests) await responses.write(request);
  });
  server.addStream('/test/Count', async (_requests, responses) => {
    for (let i = 0; i < 3; i++) await responses.write(Buffer.from(String(i)));
    throw grpcErrors.AMBIT_GRPC_ABORTED('enough');
  });
  server.addStream('/test/Flood', async (_requests, responses) => {
    for (stalled = 0; stalled < 10_000; stalled++) await responses.write(Buffer.alloc(64 * 1024));
  });
  port = await server.listen({ host: '127.0.0.1', port: 0 });
});

after(() => server.close(100));

function channelTo(options: Partial<GrpcChannelOptions> = {}): GrpcChannel {
  const roots = () => ({ kind: 'pem', pem: authority.rootPem }) as const;
  return new GrpcChannel({ target: { host: '127.0.0.1', port }, roots, ...options });
}

async function withChannel<T>(action: (channel: GrpcChannel) => Promise<T>): Promise<T> {
  const channel = channelTo();
  try {
    return await action(channel);
  } finally {
    channel.close();
  }
}

async function collect(messages: AsyncIterable<Uint8Array>): Promise<string[]> {
  const all: string[] = [];
  for await (const one of messages) all.push(Buffer.from(one).toString());
  return all;
}

test('a unary call brings the response', () =>
  withChannel(async (channel) => {
    const response = await channel.unary('/test/Echo', Buffer.from('hello'), { metadata: NO_METADATA });
    assert.equal(Buffer.from(response).toString(), 'hello');
  }));

test('an empty message is a message', () =>
  withChannel(async (channel) => {
    const response = await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
    assert.equal(response.length, 0);
  }));

test('calls share one connection', () =>
  withChannel(async (channel) => {
    const connections = server.counters.connections;
    const calls = Array.from({ length: 20 }, (_, i) =>
      channel.unary('/test/Echo', Buffer.from(String(i)), { metadata: NO_METADATA }),
    );
    const responses = await Promise.all(calls);
    assert.deepEqual(
      responses.map((one) => Number(Buffer.from(one).toString())),
      calls.map((_, i) => i),
    );
    assert.equal(server.counters.connections, connections + 1);
  }));

test('metadata of the caller arrives, and nothing that is the protocol’s own', () =>
  withChannel(async (channel) => {
    const metadata = new Map([
      ['authorization', 'Bearer abc'],
      ['clusterid', 'Kubernetes'],
    ]);
    const response = await channel.unary('/test/Metadata', new Uint8Array(0), { metadata });
    assert.deepEqual(JSON.parse(Buffer.from(response).toString()), [...metadata]);
  }));

test('a status arrives with its message, whatever characters that has', () =>
  withChannel(async (channel) => {
    await assert.rejects(channel.unary('/test/Refuse', new Uint8Array(0), { metadata: NO_METADATA }), {
      code: 'AMBIT_GRPC_PERMISSION_DENIED',
      message: 'PERMISSION_DENIED: not you, % 3 of them: ñ',
    });
  }));

test('a handler that breaks is answered with INTERNAL, without its message', () =>
  withChannel(async (channel) => {
    await assert.rejects(channel.unary('/test/Break', new Uint8Array(0), { metadata: NO_METADATA }), {
      code: 'AMBIT_GRPC_INTERNAL',
      message: 'INTERNAL: internal error',
    });
  }));

test('a method that nobody serves is UNIMPLEMENTED', () =>
  withChannel(async (channel) => {
    await assert.rejects(channel.unary('/test/Nothing', Buffer.alloc(70_000), { metadata: NO_METADATA }), {
      code: 'AMBIT_GRPC_UNIMPLEMENTED',
    });
  }));

test('a request over the limit is RESOURCE_EXHAUSTED, and the connection goes on', () =>
  withChannel(async (channel) => {
    const tooLarge = channel.unary('/test/Echo', Buffer.alloc(MAX_REQUEST_BYTES + 1), {
      metadata: NO_METADATA,
    });
    await assert.rejects(tooLarge, { code: 'AMBIT_GRPC_RESOURCE_EXHAUSTED' });
    const fits = await channel.unary('/test/Echo', Buffer.alloc(MAX_REQUEST_BYTES), {
      metadata: NO_METADATA,
    });
    assert.equal(fits.length, MAX_REQUEST_BYTES);
  }));

test('a deadline ends the call at both ends', () =>
  withChannel(async (channel) => {
    abortedWith = undefined;
    const call = channel.unary('/test/Hang', new Uint8Array(0), { metadata: NO_METADATA, timeoutMs: 50 });
    await assert.rejects(call, { code: 'AMBIT_GRPC_DEADLINE_EXCEEDED' });
    await eventually('the handler is told', () => abortedWith instanceof AmbitError);
  }));

test('a caller that gives up ends the call at both ends', () =>
  withChannel(async (channel) => {
    abortedWith = undefined;
    const giveUp = new AbortController();
    const options = { metadata: NO_METADATA, signal: giveUp.signal };
    const call = channel.unary('/test/Hang', new Uint8Array(0), options);
    setTimeout(() => giveUp.abort(), 20);
    await assert.rejects(call, { code: 'AMBIT_GRPC_CANCELLED' });
    await eventually('the handler is told', () => abortedWith instanceof AmbitError);
  }));

test('a stream carries messages both ways until the client ends it', () =>
  withChannel(async (channel) => {
    const call = await channel.open('/test/Echoes', { metadata: NO_METADATA });
    const received = collect(call.messages());
    for (const word of ['one', 'two', 'three']) await call.write(Buffer.from(word));
    call.end();
    assert.deepEqual(await received, ['one', 'two', 'three']);
  }));

test('a stream that the server ends brings its messages, then its status', () =>
  withChannel(async (channel) => {
    const call = await channel.open('/test/Count', { metadata: NO_METADATA });
    const received: string[] = [];
    const reading = (async () => {
      for await (const one of call.messages()) received.push(Buffer.from(one).toString());
    })();
    await assert.rejects(reading, { code: 'AMBIT_GRPC_ABORTED', message: 'ABORTED: enough' });
    assert.deepEqual(received, ['0', '1', '2']);
  }));

test('a client that does not read holds the server back', () =>
  withChannel(async (channel) => {
    const call = await channel.open('/test/Flood', { metadata: NO_METADATA });
    const messages = call.messages();
    await messages.next();
    let before = -1;
    await eventually('the server stops writing', () => {
      const still = stalled === before;
      before = stalled;
      return still;
    });
    assert.ok(stalled < 1000, `${stalled} messages of 64 KiB were written`);
    call.cancel(grpcErrors.AMBIT_GRPC_CANCELLED('done'));
    await assert.rejects(collect(messages), { code: 'AMBIT_GRPC_CANCELLED' });
  }));

test('a server whose certificate is from another authority is not talked to', async () => {
  const other = makeAuthority('another root');
  const channel = channelTo({ roots: () => ({ kind: 'pem', pem: other.rootPem }) });
  await assert.rejects(channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA }), {
    code: 'AMBIT_GRPC_UNAVAILABLE',
  });
});

test('the server name to expect can be another than the address', async () => {
  const target = { host: '127.0.0.1', port, serverName: 'control-plane.test' };
  const channel = channelTo({ target });
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  channel.close();
  const wrong = channelTo({ target: { ...target, serverName: 'elsewhere.test' } });
  await assert.rejects(wrong.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA }), {
    code: 'AMBIT_GRPC_UNAVAILABLE',
    message: /elsewhere\.test/,
  });
});

test('an address where nobody listens, or nobody answers, is UNAVAILABLE in time', async () => {
  const closed = channelTo({ target: { host: '127.0.0.1', port: 1 } });
  const call = { metadata: NO_METADATA };
  await assert.rejects(closed.unary('/test/Echo', new Uint8Array(0), call), {
    code: 'AMBIT_GRPC_UNAVAILABLE',
  });
  const { createServer } = await import('node:net');
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const target = { host: '127.0.0.1', port: (silent.address() as { port: number }).port };
  const mute = channelTo({ target, connectTimeoutMs: 100 });
  await assert.rejects(mute.unary('/test/Echo', new Uint8Array(0), call), { code: 'AMBIT_GRPC_UNAVAILABLE' });
  silent.close();
});

test('credentials can be replaced while the server runs', async () => {
  const own = new GrpcServer({ credentials });
  own.addUnary('/test/Echo', async (request) => request);
  const ownPort = await own.listen({ host: '127.0.0.1', port: 0 });
  const next = makeAuthority('next root');
  let pem = authority.rootPem;
  const target = { host: '127.0.0.1', port: ownPort };
  const channel = channelTo({ target, roots: () => ({ kind: 'pem', pem }) });
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  own.setSecureContext(next.issue(['IP:127.0.0.1']));
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  channel.renew();
  await assert.rejects(channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA }), {
    code: 'AMBIT_GRPC_UNAVAILABLE',
  });
  pem = next.rootPem;
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  channel.close();
  await own.close(100);
});

test('a channel connects anew after the server went away and came back', async () => {
  const first = new GrpcServer({ credentials });
  first.addUnary('/test/Echo', async (request) => request);
  const samePort = await first.listen({ host: '127.0.0.1', port: 0 });
  const channel = channelTo({ target: { host: '127.0.0.1', port: samePort } });
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  await first.close(100);
  await assert.rejects(channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA }), {
    code: 'AMBIT_GRPC_UNAVAILABLE',
  });
  const second = new GrpcServer({ credentials });
  second.addUnary('/test/Echo', async (request) => request);
  await second.listen({ host: '127.0.0.1', port: samePort });
  await channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA });
  channel.close();
  await second.close(100);
});

test('a server that stops ends its calls with UNAVAILABLE', async () => {
  const own = new GrpcServer({ credentials });
  own.addStream('/test/Wait', async (requests) => {
    for await (const _ of requests);
  });
  const ownPort = await own.listen({ host: '127.0.0.1', port: 0 });
  const channel = channelTo({ target: { host: '127.0.0.1', port: ownPort } });
  const call = await channel.open('/test/Wait', { metadata: NO_METADATA });
  const reading = collect(call.messages());
  await eventually('the call is under way', () => own.counters.calls === 1);
  const closing = own.close(5000);
  await assert.rejects(reading, { code: 'AMBIT_GRPC_UNAVAILABLE' });
  await closing;
  channel.close();
});

test('a connection that has become old ends its streams, so that the client chooses a server anew', async () => {
  const own = new GrpcServer({ credentials, maxAgeMs: 300 });
  own.addStream('/test/Wait', async (requests) => {
    for await (const _ of requests);
  });
  const ownPort = await own.listen({ host: '127.0.0.1', port: 0 });
  const channel = channelTo({ target: { host: '127.0.0.1', port: ownPort } });
  const wait = async () => collect((await channel.open('/test/Wait', { metadata: NO_METADATA })).messages());
  await assert.rejects(wait(), { code: 'AMBIT_GRPC_UNAVAILABLE' });
  await assert.rejects(wait(), { code: 'AMBIT_GRPC_UNAVAILABLE' });
  assert.equal(own.counters.connections, 2);
  channel.close();
  await own.close(100);
});

test('a peer that does not answer a PING is given up', async () => {
  const { createServer } = await import('node:net');
  let frozen = false;
  const relay = createServer((downstream) => {
    const out = connectTcp({ host: '127.0.0.1', port });
    downstream.on('data', (chunk) => frozen || out.write(chunk)).on('error', () => {});
    out.on('data', (chunk) => frozen || downstream.write(chunk)).on('error', () => {});
    downstream.on('close', () => out.destroy());
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const target = { host: '127.0.0.1', port: (relay.address() as { port: number }).port };
  const channel = channelTo({ target, keepAlive: { intervalMs: 20, timeoutMs: 50 } });
  const call = await channel.open('/test/Echoes', { metadata: NO_METADATA });
  const messages = call.messages();
  await call.write(Buffer.from('x'));
  await messages.next();
  frozen = true;
  await assert.rejects(messages.next(), { code: 'AMBIT_GRPC_UNAVAILABLE' });
  await eventually('the session is forgotten', () => channel.state === 'idle');
  channel.close();
  relay.close();
});

test('what is not gRPC is answered, and harms nothing', async () => {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.rootPem });
  session.on('error', () => {});
  const get = session.request({ ':path': '/' });
  const [headers] = await once(get, 'response');
  assert.equal(headers['grpc-status'], String(GRPC_STATUS.UNKNOWN));
  get.resume();
  const compressed = session.request({
    ':method': 'POST',
    ':path': '/test/Echo',
    'content-type': 'application/grpc',
    'grpc-encoding': 'gzip',
  });
  const [refusal] = await once(compressed, 'response');
  assert.equal(refusal['grpc-status'], String(GRPC_STATUS.UNIMPLEMENTED));
  session.destroy();
  const noise = connectTls({ host: '127.0.0.1', port, ca: authority.rootPem, ALPNProtocols: ['h2'] });
  noise.on('error', () => {}).resume();
  await once(noise, 'secureConnect');
  noise.write('GET / HTTP/1.1\r\n\r\n');
  await once(noise, 'close');
  const raw = connectTcp({ host: '127.0.0.1', port });
  raw.on('error', () => {}).resume();
  raw.write(Buffer.from('not TLS at all, not TLS at all, not TLS at all'));
  await once(raw, 'close');
  await withChannel((channel) => channel.unary('/test/Echo', new Uint8Array(0), { metadata: NO_METADATA }));
});

test('messages are found again however the bytes are cut', () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 6 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 9 })), (sent, cuts) => {
      const bytes = Buffer.concat(
        sent.flatMap((one) => {
          const prefix = Buffer.alloc(5);
          prefix.writeUInt32BE(one.length, 1);
          return [prefix, one];
        }),
      );
      const assembler = new MessageAssembler(50);
      const received: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = cuts[i % Math.max(1, cuts.length)] ?? bytes.length;
        received.push(...assembler.push(bytes.subarray(at, at + length)));
        at += length;
      }
      assert.deepEqual(
        received.map((one) => Buffer.from(one)),
        sent.map((one) => Buffer.from(one)),
      );
      assert.ok(assembler.atBoundary);
    }),
  );
});

test('any bytes give messages or an error of the catalogue', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        for (const message of new MessageAssembler(64).push(bytes)) assert.ok(message.length <= 64);
      } catch (thrown) {
        assert.ok(thrown instanceof AmbitError, String(thrown));
      }
    }),
  );
});

test('grpc-message survives percent encoding, and never breaks on what is not one', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (message) => {
      const encoded = encodeGrpcMessage(message);
      assert.match(encoded, /^[\x20-\x7e]*$/);
      assert.equal(decodeGrpcMessage(encoded), message);
    }),
  );
  assert.equal(decodeGrpcMessage('100% sure %zz %C3'), '100% sure %zz \ufffd');
});

test('every status has an error, and every error its status', () => {
  for (const [name, code] of Object.entries(GRPC_STATUS)) {
    if (name === 'OK') continue;
    const error = errorOfStatus({ code, message: 'why' });
    assert.equal(error.code, `AMBIT_GRPC_${name}`);
    assert.deepEqual(statusOfError(error), { code, message: 'why' });
  }
  assert.equal(errorOfStatus({ code: 99, message: '' }).code, 'AMBIT_GRPC_UNKNOWN');
});

test('grpc-timeout is read in every unit', () => {
  assert.equal(parseGrpcTimeout('10S'), 10_000);
  assert.equal(parseGrpcTimeout('1500u'), 2);
  assert.equal(parseGrpcTimeout('2H'), 7_200_000);
  assert.equal(parseGrpcTimeout('99999999H'), 2 ** 31 - 1);
  for (const wrong of [undefined, '', '10', 'S', '-1S', '123456789m', '1s']) {
    assert.equal(parseGrpcTimeout(wrong), undefined);
  }
});

test('only names and values that a header can hold are metadata', () => {
  assert.ok(isMetadata('x-tenant', 'a b'));
  for (const [name, value] of [
    ['X', 'y'],
    ['', 'y'],
    ['te', 'y'],
    ['grpc-x', 'y'],
    ['x', 'a\r\nb'],
    [':path', '/'],
  ] as const) {
    assert.ok(!isMetadata(name, value), name);
  }
});
