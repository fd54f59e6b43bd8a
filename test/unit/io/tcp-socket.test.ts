/** TCP over real loopback sockets: connecting, moving bytes, ends and resets. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import type { SocketAddress } from '../../../src/base/ip.ts';
import { Reactor } from '../../../src/io/reactor.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { FAILED, TcpSocket, type TcpSocketHandler, WOULD_BLOCK } from '../../../src/io/tcp-socket.ts';
import { NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { address, deferred, testReactor, until } from '../../support/reactor-harness.ts';

const reactor = testReactor();
const buffer = new NativeBuffer(65536);

/** Records what a socket is told. */
class Recorder implements TcpSocketHandler {
  readonly events: string[] = [];
  error: AmbitError | undefined;
  received = Buffer.alloc(0);
  socket: TcpSocket | undefined;

  onConnected(): void {
    this.events.push('connected');
  }

  onReadable(): void {
    if (this.socket === undefined) return;
    for (;;) {
      const count = this.socket.receiveInto(buffer, 0, buffer.size);
      if (count === 0) this.events.push('end');
      if (count <= 0) return;
      this.received = Buffer.concat([this.received, buffer.bytes.subarray(0, count)]);
    }
  }

  onWritable(): void {
    this.events.push('writable');
  }

  onClosed(error: AmbitError | undefined): void {
    this.events.push('closed');
    this.error = error;
  }
}

function dial(remote: SocketAddress): Recorder {
  const recorder = new Recorder();
  recorder.socket = TcpSocket.connect(reactor, remote, {}, recorder);
  return recorder;
}

function send(socket: TcpSocket, text: string): number {
  const length = buffer.bytes.length;
  const { written } = new TextEncoder().encodeInto(text, buffer.bytes);
  assert.ok(written < length);
  return socket.sendFrom(buffer, 0, written);
}

async function nodeServer(onConnection: (socket: Socket) => void): Promise<[Server, SocketAddress]> {
  const server = createServer(onConnection).listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  return [server, address(`127.0.0.1:${(server.address() as { port: number }).port}`)];
}

function listen(where: string, onAccept: (socket: TcpSocket) => void): TcpListener {
  const listener = TcpListener.listen(reactor, address(where), {}, onAccept);
  after(() => listener.close());
  return listener;
}

test('a connection is announced, carries bytes both ways and ends when the peer ends it', async () => {
  const [, remote] = await nodeServer((socket) => {
    socket.on('data', (data) => socket.end(`echo ${data}`));
  });
  const client = dial(remote);
  await until(() => client.events.includes('connected'));
  assert.equal(client.socket!.state, 'open');
  assert.deepEqual(client.socket!.remoteAddress, remote);
  assert.equal(client.socket!.localAddress.ip, '127.0.0.1');
  assert.equal(send(client.socket!, 'hello'), 5);
  await until(() => client.events.includes('end'));
  assert.equal(client.received.toString(), 'echo hello');
  client.socket!.close();
  assert.deepEqual(client.events, ['connected', 'end', 'closed']);
  assert.equal(client.error, undefined);
});

test('connect() never calls back before it returns, not even when the kernel refuses at once', async () => {
  const recorder = new Recorder();
  // 192.0.2.0/24 is documentation's (RFC 5737): not an address of this machine.
  const bindTo = address('192.0.2.77:0');
  TcpSocket.connect(reactor, address('127.0.0.1:1'), { bindTo }, recorder);
  assert.deepEqual(recorder.events, []);
  await until(() => recorder.events.length > 0);
  assert.deepEqual(recorder.events, ['closed']);
  assert.equal(recorder.error?.code, 'AMBIT_CONNECT_FAILED');
  assert.match(recorder.error!.message, /EADDRNOTAVAIL/);
});

test('a port without a listener is told apart as refused, and may be tried elsewhere', async () => {
  const [server, remote] = await nodeServer(() => {});
  server.close();
  await once(server, 'close');
  const client = dial(remote);
  await until(() => client.events.length > 0);
  assert.deepEqual(client.events, ['closed']);
  assert.equal(client.error?.code, 'AMBIT_CONNECT_REFUSED');
  assert.equal(client.error?.retryable, true);
  assert.equal(client.socket!.receiveInto(buffer, 0, 10), FAILED);
  assert.equal(client.socket!.sendFrom(buffer, 0, 10), FAILED);
});

test('a connection that is not answered times out', async () => {
  const held = await fullBacklog();
  const recorder = new Recorder();
  TcpSocket.connect(reactor, held.address, { connectTimeoutMs: 50 }, recorder);
  await until(() => recorder.events.length > 0);
  held.release();
  assert.deepEqual(recorder.events, ['closed']);
  assert.equal(recorder.error?.code, 'AMBIT_CONNECT_TIMED_OUT');
});

/** A listening socket that nobody accepts from and whose queue is full: the kernel drops further SYNs. */
async function fullBacklog(): Promise<{ address: SocketAddress; release: () => void }> {
  const idle = { register() {}, deregister() {}, forget() {}, defer() {} };
  const listener = TcpListener.listen(
    idle as unknown as typeof reactor,
    address('127.0.0.1:0'),
    { backlog: 0 },
    () => {},
  );
  const sockets = Array.from({ length: 4 }, () =>
    createConnection({ host: '127.0.0.1', port: listener.localAddress.port }).on('error', () => {}),
  );
  await once(sockets[0]!, 'connect');
  return {
    address: listener.localAddress,
    release: () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}

test('a reset by the peer is an error of the side that did it', async () => {
  const [, remote] = await nodeServer((socket) => {
    socket.on('data', () => socket.resetAndDestroy());
  });
  const client = dial(remote);
  await until(() => client.events.includes('connected'));
  send(client.socket!, 'x');
  await until(() => client.events.includes('closed'));
  assert.equal(client.error?.code, 'AMBIT_UPSTREAM_RESET');
  assert.deepEqual(client.events, ['connected', 'closed']);
});

test('bytes that arrived before a reset can still be read', async () => {
  const accepted = deferred<TcpSocket>();
  const listener = listen('127.0.0.1:0', accepted.resolve);
  const client = dial(listener.localAddress);
  const server = await accepted.promise;
  client.socket!.handler = { ...client, onReadable() {}, onWritable() {}, onClosed() {} };
  send(server, 'last words');
  await until(() => client.socket!.state === 'open');
  server.abort();
  await until(() => client.socket!.endPending);
  assert.equal(client.socket!.receiveInto(buffer, 0, 100), 10);
  assert.equal(client.socket!.receiveInto(buffer, 0, 100), FAILED);
});

test('abort() resets the connection', async () => {
  const closed = deferred<unknown>();
  const [, remote] = await nodeServer((socket) => {
    socket.on('error', closed.resolve);
  });
  const client = dial(remote);
  await until(() => client.events.includes('connected'));
  client.socket!.abort();
  assert.equal(((await closed.promise) as NodeJS.ErrnoException).code, 'ECONNRESET');
  assert.deepEqual(client.events, ['connected', 'closed']);
});

test('after shutdownWrite() the peer sees the end and can still answer', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume().on('end', () => socket.end('after your end'));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => server.close());
  const client = dial(address(`127.0.0.1:${(server.address() as { port: number }).port}`));
  await until(() => client.events.includes('connected'));
  client.socket!.shutdownWrite();
  await until(() => client.events.includes('end'));
  assert.equal(client.received.toString(), 'after your end');
  client.socket!.close();
});

test('a full send buffer gives a partial send and onWritable() when it has drained', async () => {
  const accepted = deferred<TcpSocket>();
  const listener = listen('127.0.0.1:0', accepted.resolve);
  const client = dial(listener.localAddress);
  const server = await accepted.promise;
  let sent = 0;
  for (;;) {
    const count = server.sendFrom(buffer, 0, buffer.size);
    if (count === WOULD_BLOCK) break;
    assert.ok(count > 0);
    sent += count;
  }
  const writable = deferred();
  server.handler = { onReadable() {}, onWritable: writable.resolve, onClosed() {} };
  await writable.promise;
  await until(() => client.received.length === sent);
  server.close();
  client.socket!.close();
});

test('an accepted connection knows both its addresses, IPv4 over a dual-stack listener as IPv4', async () => {
  const accepted = deferred<TcpSocket>();
  const listener = listen('[::]:0', accepted.resolve);
  const client = dial(address(`127.0.0.1:${listener.localAddress.port}`));
  const server = await accepted.promise;
  assert.equal(server.localAddress.ip, '127.0.0.1');
  assert.equal(server.remoteAddress.ip, '127.0.0.1');
  assert.deepEqual(server.remoteAddress, client.socket!.localAddress);
  server.close();
  client.socket!.close();
  assert.deepEqual(server.remoteAddress.ip, '127.0.0.1');
});

test('IPv6 works as IPv4 does', async () => {
  const accepted = deferred<TcpSocket>();
  const listener = listen('[::1]:0', accepted.resolve);
  const client = dial(listener.localAddress);
  const server = await accepted.promise;
  assert.equal(server.localAddress.ip, '::1');
  assert.deepEqual(server.remoteAddress, client.socket!.localAddress);
  server.close();
  client.socket!.close();
});

test('a listener on a port in use says so', () => {
  const listener = listen('127.0.0.1:0', () => {});
  assert.throws(
    () => TcpListener.listen(reactor, listener.localAddress, {}, () => {}),
    (error: AmbitError) => error.code === 'AMBIT_LISTEN_FAILED' && error.message.includes('EADDRINUSE'),
  );
});

test('two listeners share a port when both ask for it', () => {
  const first = TcpListener.listen(reactor, address('127.0.0.1:0'), { reusePort: true }, () => {});
  const second = TcpListener.listen(reactor, first.localAddress, { reusePort: true }, () => {});
  assert.deepEqual(second.localAddress, first.localAddress);
  first.close();
  second.close();
});

test('a listener lets other work pass when many connections have come, and tells', async () => {
  const own = new Reactor();
  let [accepted, told] = [0, 0];
  const listener = TcpListener.listen(
    own,
    address('127.0.0.1:0'),
    { onShareUsedUp: () => told++ },
    (socket) => {
      accepted++;
      socket.close();
    },
  );
  const { port } = listener.localAddress;
  const clients = Array.from({ length: 33 }, () => createConnection({ host: '127.0.0.1', port }));
  await Promise.all(clients.map((client) => once(client, 'connect')));
  own.turn(0);
  assert.deepEqual([accepted, told], [32, 2]);
  own.turn(0);
  assert.deepEqual([accepted, told], [33, 2]);
  for (const client of clients) client.destroy();
  listener.close();
  own.close();
});

test('an exception in onAccept costs that connection only', async () => {
  let calls = 0;
  const listener = listen('127.0.0.1:0', (socket) => {
    calls++;
    if (calls === 1) throw new Error('thrown on purpose');
    socket.close();
  });
  const failures = reactor.handlerFailures;
  const first = dial(listener.localAddress);
  await until(() => first.events.includes('closed'));
  const second = dial(listener.localAddress);
  await until(() => second.events.includes('end'));
  assert.equal(reactor.handlerFailures, failures + 1);
  second.socket!.close();
});

test('an exception in a handler closes that connection and the loop goes on', async () => {
  const accepted = deferred<TcpSocket>();
  const listener = listen('127.0.0.1:0', accepted.resolve);
  const client = dial(listener.localAddress);
  const server = await accepted.promise;
  const closed = deferred<AmbitError | undefined>();
  server.handler = {
    onReadable() {
      throw new Error('thrown on purpose');
    },
    onWritable() {},
    onClosed: closed.resolve,
  };
  send(client.socket!, 'x');
  assert.equal((await closed.promise)?.code, 'AMBIT_HANDLER_FAILED');
  await until(() => client.events.includes('closed'));
});

test('a thousand connections leave no descriptor behind', async () => {
  let open = 0;
  const listener = listen('127.0.0.1:0', (socket) => {
    open++;
    socket.handler = {
      onReadable() {
        if (socket.receiveInto(buffer, 0, 10) === 0) socket.close();
      },
      onWritable() {},
      onClosed() {
        open--;
      },
    };
  });
  const before = descriptorCount();
  for (let round = 0; round < 10; round++) {
    const clients = Array.from({ length: 100 }, () => dial(listener.localAddress));
    await until(() => clients.every((client) => client.events.includes('connected')));
    await until(() => open === 100);
    for (const client of clients) client.socket!.close();
    await until(() => open === 0);
  }
  assert.ok(descriptorCount() <= before);
});
