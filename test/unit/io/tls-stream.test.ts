/** TLS streams against each other, against node:tls and against the openssl command. */

import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createNetServer, connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from 'node:tls';
import type { AmbitError } from '../../../src/base/errors.ts';
import type { SocketAddress } from '../../../src/base/ip.ts';
import { Lane } from '../../../src/io/lane.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { TlsStream } from '../../../src/io/tls-stream.ts';
import { TlsContext, type TlsContextOptions } from '../../../src/sys/tls-context.ts';
import { type Leaf, makeIntermediate, makeLeaf, makeRoot } from '../../support/certificates.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';
import { StreamRecorder } from '../../support/stream-recorder.ts';

const reactor = testReactor();
const root = makeRoot('root');
const otherRoot = makeRoot('other root');
const intermediate = makeIntermediate(root, 'intermediate');
const server = makeLeaf(intermediate, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/server' });
const client = makeLeaf(intermediate, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/client' });

function contextFor(
  role: 'client' | 'server',
  leaf: Leaf | undefined,
  more: Partial<TlsContextOptions> = {},
): TlsContext {
  return new TlsContext({
    role,
    certificateChainPem: leaf?.chainPem,
    privateKeyPem: leaf?.privateKeyPem,
    trustedRootsPem: root.certificatePem,
    alpn: ['h2'],
    requirePeerCertificate: true,
    ...more,
  });
}

const serverContext = contextFor('server', server);
const clientContext = contextFor('client', client);

/** Accepts TLS; the recorders of the connections, in order. */
function listen(context: TlsContext): { address: SocketAddress; streams: StreamRecorder<TlsStream>[] } {
  const streams: StreamRecorder<TlsStream>[] = [];
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    const recorder = new StreamRecorder<TlsStream>();
    recorder.stream = TlsStream.server(socket, context, recorder);
    streams.push(recorder);
  });
  after(() => listener.close());
  return { address: listener.localAddress, streams };
}

function dial(remote: SocketAddress, context: TlsContext): StreamRecorder<TlsStream> {
  const recorder = new StreamRecorder<TlsStream>();
  recorder.stream = TlsStream.client(TcpSocket.connect(reactor, remote, {}), context, recorder);
  return recorder;
}

interface Pair {
  readonly near: StreamRecorder<TlsStream>;
  readonly far: StreamRecorder<TlsStream>;
}

/** Two streams joined with each other, opened or failed. */
async function join2(near: TlsContext, far: TlsContext): Promise<Pair> {
  const { address: remote, streams } = listen(far);
  const dialled = dial(remote, near);
  const settled = (one: StreamRecorder): boolean => one.opened || one.closed > 0;
  await until(() => streams.length === 1 && settled(dialled) && settled(streams[0]!), 'the handshake');
  return { near: dialled, far: streams[0]! };
}

/** A peer that connects and says nothing, begun before the other tests because it takes its time. */
const silence = ((): { server: StreamRecorder<TlsStream>[]; client: StreamRecorder<TlsStream> } => {
  const { address: remote, streams } = listen(serverContext);
  const mute = netConnect({ host: '127.0.0.1', port: remote.port });
  const deaf = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, () => {});
  after(() => {
    mute.destroy();
    deaf.close();
  });
  return { server: streams, client: dial(deaf.localAddress, clientContext) };
})();

function portOf(listening: { address(): unknown }): number {
  return (listening.address() as { port: number }).port;
}

function subjects(chain: readonly Uint8Array[]): (string | undefined)[] {
  return chain.map((der) => {
    const certificate = new X509Certificate(der);
    return certificate.subjectAltName ?? certificate.subject;
  });
}

test('both sides learn the verified chain of the other, leaf first and root last, and the protocol', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  const authorities = ['CN=intermediate', 'CN=root'];
  const names = { server: 'URI:spiffe://cluster.local/ns/shop/sa/server' };
  assert.deepEqual(subjects(near.stream.peerCertificateChain()), [names.server, ...authorities]);
  const clientName = 'URI:spiffe://cluster.local/ns/shop/sa/client';
  assert.deepEqual(subjects(far.stream.peerCertificateChain()), [clientName, ...authorities]);
  assert.equal(near.stream.alpnProtocol, 'h2');
  assert.equal(far.stream.alpnProtocol, 'h2');
  near.stream.close();
  far.stream.close();
  assert.deepEqual(near.stream.peerCertificateChain(), []);
});

test('the end of a handshake, the opening and the first read are tasks, between which others have their turn', async () => {
  const steps: string[] = [];
  const lane = new Lane(reactor, () => {});
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    const recorder = new StreamRecorder<TlsStream>();
    const stream = TlsStream.server(socket, serverContext, recorder, lane);
    recorder.stream = stream;
    recorder.onOpened = () => steps.push('open');
    recorder.onBytes = () => steps.push('input');
    const run = stream.run.bind(stream);
    stream.run = () => {
      const before = stream.peerCertificateChain().length;
      run();
      if (stream.peerCertificateChain().length > before) steps.push('verified');
      steps.push('end of task');
    };
  });
  after(() => listener.close());
  const near = dial(listener.localAddress, clientContext);
  // Arrives with the last words of the handshake.
  near.onOpened = () => near.send('hello');
  await until(() => steps.includes('input'));
  const verifiedAt = steps.indexOf('verified');
  const expected = ['verified', 'end of task', 'open', 'end of task', 'input'];
  assert.deepEqual(steps.slice(verifiedAt, verifiedAt + 5), expected);
  near.stream.close();
});

test('both ends close after each has announced its end, without an error', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  near.send('question');
  near.stream.shutdownOutput();
  await until(() => far.inputEnded);
  assert.equal(far.text, 'question');
  assert.equal(near.closed, 0);
  far.send('answer after your end');
  far.stream.shutdownOutput();
  await near.untilClosed();
  await far.untilClosed();
  assert.equal(near.text, 'answer after your end');
  assert.deepEqual([near.error, far.error, near.inputEnded], [undefined, undefined, true]);
});

test('close() says goodbye: the peer sees an end, not a truncation', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  near.stream.close();
  await until(() => far.inputEnded || far.closed > 0);
  assert.equal(far.inputEnded, true);
  far.stream.close();
  assert.equal(far.error, undefined);
});

test('close(error) resets', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  const error = { code: 'TEST' } as AmbitError;
  near.stream.close(error);
  assert.equal(near.error, error);
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_DOWNSTREAM_RESET');
});

test('100 MB in odd pieces arrive byte for byte, both ways at once', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  const data = randomBytes(100 * 1024 * 1024);
  const expected = createHash('sha256').update(data).digest('hex');
  const hashes = [near, far].map((recorder) => {
    const hash = createHash('sha256');
    recorder.onBytes = (bytes) => hash.update(bytes);
    return hash;
  });
  near.sendAll(data, [1, 16_383, 16_384, 16_385, 5, 100_000, 77, 65_536]);
  far.sendAll(data, [131_072, 3, 9_999, 1]);
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.deepEqual(
    hashes.map((hash) => hash.digest('hex')),
    [expected, expected],
  );
  assert.deepEqual([near.error, far.error], [undefined, undefined]);
});

test('TLS 1.2 works where it is allowed, bulk included', async () => {
  const far = contextFor('server', server, { tls12: true });
  const { address: remote, streams } = listen(far);
  const data = randomBytes(5 * 1024 * 1024);
  const options = {
    host: '127.0.0.1',
    port: remote.port,
    maxVersion: 'TLSv1.2' as const,
    ALPNProtocols: ['h2'],
    ca: root.certificatePem,
    cert: client.chainPem,
    key: client.privateKeyPem,
    checkServerIdentity: () => undefined,
  };
  const socket = tlsConnect(options);
  await once(socket, 'secureConnect');
  assert.equal(socket.getProtocol(), 'TLSv1.2');
  const hash = createHash('sha256');
  streams[0]!.onBytes = (bytes) => hash.update(bytes);
  socket.end(data);
  await until(() => streams[0]!.inputEnded);
  assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
  streams[0]!.stream.close();
});

test('TLS 1.2 is refused by default', async () => {
  const { address: remote, streams } = listen(serverContext);
  const socket = tlsConnect({ host: '127.0.0.1', port: remote.port, maxVersion: 'TLSv1.2' });
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
  assert.match(error.message, /protocol version/i);
  await streams[0]!.untilClosed();
  assert.equal(streams[0]!.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
});

test('a receiver that pauses stops the sender; resumed, it gets everything, the end included', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  far.stream.pauseInput();
  near.sendAll(randomBytes(20 * 1024 * 1024), [50_000]);
  await until(() => near.stream.outputSpace() === 0);
  assert.equal(far.receivedBytes, 0);
  far.stream.resumeInput();
  await until(() => far.inputEnded);
  assert.equal(far.receivedBytes, 20 * 1024 * 1024);
  far.stream.close();
  near.stream.close();
});

test('input that the handler leaves stays in front, and a full queue waits for resumeInput()', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  const { input } = far.stream;
  let taken = 0;
  far.onInput = () => {};
  near.sendAll(Buffer.alloc(400_000, 'z'), [40_000]);
  await until(() => input.length === input.capacity);
  far.onInput = () => {
    taken += input.length;
    input.consume(input.length);
  };
  far.stream.resumeInput();
  await until(() => far.inputEnded);
  assert.equal(taken, 400_000);
  far.stream.close();
  near.stream.close();
});

for (const [name, leafOptions, text] of [
  ['an expired certificate', { expired: true }, /expired/],
  ['a certificate meant for servers only', { purposes: 'serverAuth' }, /purpose/],
] as const) {
  test(`a server refuses a client with ${name} and both know why`, async () => {
    const wrong = makeLeaf(intermediate, { spiffeId: 'spiffe://cluster.local/ns/a/sa/b', ...leafOptions });
    const { near, far } = await join2(contextFor('client', wrong), serverContext);
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.equal(far.opened, false);
    assert.equal(far.error?.code, 'AMBIT_TLS_PEER_REJECTED');
    assert.match(far.error!.message, text);
    assert.equal(near.error?.code, 'AMBIT_TLS_ALERT_RECEIVED');
    assert.match(near.error!.message, /certificate/);
  });
}

test('a server refuses a client without a certificate', async () => {
  const { near, far } = await join2(contextFor('client', undefined), serverContext);
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(far.error?.code, 'AMBIT_TLS_PEER_REJECTED');
  assert.match(far.error!.message, /did not return a certificate/);
  assert.equal(near.error?.code, 'AMBIT_TLS_ALERT_RECEIVED');
  assert.match(near.error!.message, /certificate required/);
});

test('the alert of a server that refuses is found even when the client sends at once', async () => {
  const { address: remote, streams } = listen(serverContext);
  const dialled = dial(remote, contextFor('client', undefined));
  dialled.onOpened = () => dialled.send('x'.repeat(100_000));
  await dialled.untilClosed();
  assert.equal(dialled.error?.code, 'AMBIT_TLS_ALERT_RECEIVED');
  await streams[0]!.untilClosed();
});

test('a client refuses a server of another root, an expired one and one meant for clients', async () => {
  const wrong: Record<string, TlsContext> = {
    'unable to get local issuer': contextFor('server', makeLeaf(makeIntermediate(otherRoot, 'i'), {})),
    expired: contextFor('server', makeLeaf(intermediate, { expired: true })),
    purpose: contextFor('server', makeLeaf(intermediate, { purposes: 'clientAuth' })),
  };
  for (const [text, context] of Object.entries(wrong)) {
    const { near, far } = await join2(clientContext, context);
    await Promise.all([near.untilClosed(), far.untilClosed()]);
    assert.equal(near.opened, false);
    assert.equal(near.error?.code, 'AMBIT_TLS_PEER_REJECTED');
    assert.match(near.error!.message, new RegExp(text));
    assert.equal(far.error?.code, 'AMBIT_TLS_ALERT_RECEIVED');
  }
});

test('a chain without its intermediate is refused', async () => {
  const bare = { ...client, chainPem: client.certificatePem };
  const { near, far } = await join2(contextFor('client', bare), serverContext);
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(far.error?.code, 'AMBIT_TLS_PEER_REJECTED');
});

test('during a change of roots both the old and the new one are trusted', async () => {
  const both = { trustedRootsPem: otherRoot.certificatePem + root.certificatePem };
  const fresh = makeLeaf(otherRoot, { spiffeId: 'spiffe://cluster.local/ns/new/sa/new' });
  const { near, far } = await join2(contextFor('client', client, both), contextFor('server', fresh, both));
  assert.deepEqual([near.opened, far.opened], [true, true]);
  near.stream.close();
  far.stream.close();
});

test('a client that offers other protocols only is refused; one that offers none is served', async () => {
  const { near, far } = await join2(contextFor('client', client, { alpn: ['smtp'] }), serverContext);
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(far.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
  assert.match(near.error!.message, /no application protocol/);
  const quiet = await join2(contextFor('client', client, { alpn: [] }), serverContext);
  assert.equal(quiet.far.opened, true);
  assert.equal(quiet.far.stream.alpnProtocol, undefined);
  quiet.near.stream.close();
  quiet.far.stream.close();
});

test('a connection outlives the context it was made from', async () => {
  const near = contextFor('client', client);
  const far = contextFor('server', server);
  const pair = await join2(near, far);
  near.close();
  far.close();
  pair.near.send('still here');
  await until(() => pair.far.text === 'still here');
  pair.near.stream.close();
  pair.far.stream.close();
  const late = dial(listen(serverContext).address, near);
  await late.untilClosed();
  assert.equal(late.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
});

/** What a server stream makes of raw bytes instead of a handshake. */
async function rawClient(act: (socket: Socket) => void): Promise<StreamRecorder<TlsStream>> {
  const { address: remote, streams } = listen(serverContext);
  const socket = netConnect({ host: '127.0.0.1', port: remote.port }).on('error', () => {});
  await once(socket, 'connect');
  act(socket);
  await until(() => streams.length === 1);
  await streams[0]!.untilClosed();
  socket.destroy();
  return streams[0]!;
}

test('garbage instead of a handshake is refused', async () => {
  const plain = await rawClient((socket) => socket.write('GET / HTTP/1.1\r\n\r\n'));
  assert.equal(plain.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
  assert.match(plain.error!.message, /http request/);
  const noise = await rawClient((socket) => socket.write(randomBytes(5000)));
  assert.equal(noise.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
});

test('an end in the middle of the handshake is told as such', async () => {
  const ended = await rawClient((socket) => socket.end(Buffer.from([22, 3, 1, 2, 0, 1, 0])));
  assert.equal(ended.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
  assert.match(ended.error!.message, /ended the connection during/);
  const silent = await rawClient((socket) => socket.end());
  assert.equal(silent.error?.code, 'AMBIT_TLS_HANDSHAKE_FAILED');
});

/** A byte relay between a client stream and a server stream that the test may cut or disturb. */
async function throughMiddle(
  change: (chunk: Buffer, towards: Socket) => Buffer,
): Promise<Pair & { cut: (socket: 'near' | 'far') => void }> {
  const { address: remote, streams } = listen(serverContext);
  const sockets: Socket[] = [];
  const middle = createNetServer((nearSide) => {
    const farSide = netConnect({ host: '127.0.0.1', port: remote.port });
    sockets.push(nearSide, farSide);
    nearSide.on('error', () => {}).on('data', (chunk: Buffer) => farSide.write(change(chunk, farSide)));
    farSide.on('error', () => {}).on('data', (chunk: Buffer) => nearSide.write(chunk));
  }).listen(0, '127.0.0.1');
  await once(middle, 'listening');
  after(() => middle.close());
  const near = dial(address(`127.0.0.1:${portOf(middle)}`), clientContext);
  await until(() => near.opened && streams[0]?.opened === true);
  return { near, far: streams[0]!, cut: (side) => sockets[side === 'near' ? 0 : 1]!.end() };
}

test('an end of the stream without close_notify is a truncation, after what came before it', async () => {
  const { near, far, cut } = await throughMiddle((chunk) => chunk);
  near.send('last words');
  await until(() => far.text === 'last words');
  cut('far');
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_TLS_TRUNCATED');
  assert.equal(far.inputEnded, false);
  near.stream.close();
});

test('a changed byte ends the connection, and the peer is told', async () => {
  let spoil = false;
  const { near, far } = await throughMiddle((chunk) => {
    if (spoil) chunk[chunk.length - 1]! ^= 1;
    return chunk;
  });
  spoil = true;
  near.send('x');
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(far.error?.code, 'AMBIT_TLS_PROTOCOL_FAILED');
  assert.equal(far.text, '');
  assert.equal(near.error?.code, 'AMBIT_TLS_ALERT_RECEIVED');
});

test('a record that claims to be larger than records may be is refused before it has come', async () => {
  let spoil = false;
  const { near, far } = await throughMiddle((chunk) =>
    spoil ? Buffer.from([23, 3, 3, 0xff, 0xff, ...randomBytes(100)]) : chunk,
  );
  spoil = true;
  near.send('x');
  await Promise.all([near.untilClosed(), far.untilClosed()]);
  assert.equal(far.error?.code, 'AMBIT_TLS_PROTOCOL_FAILED');
  assert.match(far.error!.message, /too long/);
});

test('a reset of an open stream is told as such', async () => {
  const { near, far } = await join2(clientContext, serverContext);
  near.stream.close({} as AmbitError);
  await far.untilClosed();
  assert.equal(far.error?.code, 'AMBIT_DOWNSTREAM_RESET');
});

test('node:tls as client talks to our server', async () => {
  const { address: remote, streams } = listen(serverContext);
  const socket = tlsConnect({
    host: '127.0.0.1',
    port: remote.port,
    ca: root.certificatePem,
    cert: client.chainPem,
    key: client.privateKeyPem,
    ALPNProtocols: ['http/1.1', 'h2'],
    checkServerIdentity: () => undefined,
  });
  await once(socket, 'secureConnect');
  assert.equal(socket.getProtocol(), 'TLSv1.3');
  assert.equal(socket.getCipher().standardName, 'TLS_AES_128_GCM_SHA256');
  assert.equal(socket.alpnProtocol, 'h2');
  socket.write('from node');
  await until(() => streams[0]!.text === 'from node');
  const data = randomBytes(3 * 1024 * 1024);
  streams[0]!.sendAll(data, [33_333]);
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'end');
  assert.ok(Buffer.concat(pieces).equals(data));
  await streams[0]!.untilClosed();
  assert.equal(streams[0]!.error, undefined);
});

test('our client talks to a node:tls server', async () => {
  const nodeServer = createTlsServer(
    {
      ca: root.certificatePem,
      cert: server.chainPem,
      key: server.privateKeyPem,
      requestCert: true,
      ALPNProtocols: ['h2'],
    },
    (socket: TLSSocket) => socket.pipe(socket),
  ).listen(0, '127.0.0.1');
  await once(nodeServer, 'listening');
  after(() => nodeServer.close());
  const dialled = dial(address(`127.0.0.1:${portOf(nodeServer)}`), clientContext);
  await dialled.untilOpen();
  const data = randomBytes(5 * 1024 * 1024);
  const hash = createHash('sha256');
  dialled.onBytes = (bytes) => hash.update(bytes);
  dialled.sendAll(data, [10_001, 200_000]);
  await dialled.untilClosed();
  assert.equal(dialled.error, undefined);
  assert.equal(hash.digest('hex'), createHash('sha256').update(data).digest('hex'));
});

const folder = mkdtempSync(join(tmpdir(), 'ambit-tls-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function openssl(...args: string[]): ChildProcessWithoutNullStreams {
  const child = spawn('openssl', args);
  after(() => child.kill());
  return child;
}

function collect(child: ChildProcessWithoutNullStreams): { text: string } {
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output.text += data.toString();
    });
  }
  return output;
}

test('openssl s_client talks to our server, renegotiates no keys it should not, and updates them', async () => {
  const { address: remote, streams } = listen(serverContext);
  const chain = fileOf('client.pem', client.chainPem);
  const child = openssl(
    ...[
      's_client',
      '-connect',
      `127.0.0.1:${remote.port}`,
      '-CAfile',
      fileOf('root.pem', root.certificatePem),
    ],
    ...[
      '-cert',
      chain,
      '-cert_chain',
      chain,
      '-key',
      fileOf('client.key', client.privateKeyPem),
      '-alpn',
      'h2',
    ],
  );
  const output = collect(child);
  await until(() => streams[0]?.opened === true);
  child.stdin.write('hello\n');
  await until(() => streams[0]!.text === 'hello\n');
  // `K` at the start of a line makes s_client send a KeyUpdate that asks for one in return.
  child.stdin.write('K\n');
  await until(() => output.text.includes('KEYUPDATE'));
  child.stdin.write('after the update\n');
  await until(() => streams[0]!.text.endsWith('after the update\n'));
  streams[0]!.send('answer');
  await until(() => output.text.includes('answer'));
  assert.match(output.text, /TLSv1\.3/);
  assert.match(output.text, /Verification: OK/);
  assert.doesNotMatch(output.text, /New Session Ticket/);
  streams[0]!.stream.close();
});

test('our client talks to openssl s_server', async () => {
  const probe = createNetServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const port = portOf(probe);
  probe.close();
  await once(probe, 'close');
  const chain = fileOf('server.pem', server.chainPem);
  const child = openssl(
    ...['s_server', '-accept', `127.0.0.1:${port}`, '-CAfile', fileOf('root.pem', root.certificatePem)],
    ...['-cert', chain, '-cert_chain', chain, '-key', fileOf('server.key', server.privateKeyPem)],
    ...['-Verify', '3', '-verify_return_error', '-alpn', 'h2'],
  );
  const output = collect(child);
  await until(() => output.text.includes('ACCEPT'));
  const dialled = dial(address(`127.0.0.1:${port}`), clientContext);
  await dialled.untilOpen();
  assert.equal(dialled.stream.alpnProtocol, 'h2');
  dialled.send('hello server\n');
  await until(() => output.text.includes('hello server'));
  child.stdin.write('hello client\n');
  await until(() => dialled.text === 'hello client\n');
  dialled.stream.close();
  await dialled.untilClosed();
});

test('a thousand connections leave no descriptor behind', async () => {
  const { address: remote, streams } = listen(serverContext);
  const settle = async (count: number): Promise<void> => {
    const clients = Array.from({ length: count }, () => dial(remote, clientContext));
    await until(
      () => clients.every((one) => one.opened) && streams.every((one) => one.opened || one.closed > 0),
    );
    for (const one of clients) one.stream.close();
    await until(() => streams.every((one) => one.inputEnded || one.closed > 0));
    for (const one of streams) one.stream.close();
    streams.length = 0;
  };
  await settle(1);
  const before = descriptorCount();
  for (let round = 0; round < 10; round++) await settle(100);
  assert.ok(descriptorCount() <= before);
});

test('a handshake that is not done in time ends the connection, at both roles', async () => {
  await until(() => (silence.server[0]?.closed ?? 0) > 0 && silence.client.closed > 0);
  assert.equal(silence.server[0]!.error?.code, 'AMBIT_TLS_HANDSHAKE_TIMED_OUT');
  assert.equal(silence.client.error?.code, 'AMBIT_TLS_HANDSHAKE_TIMED_OUT');
});
