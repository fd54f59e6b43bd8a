/** Messages and descriptors over real Unix sockets. */

import assert from 'node:assert/strict';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { AmbitError } from '../../../src/base/errors.ts';
import {
  MAX_MESSAGE,
  type SeqpacketHandler,
  SeqpacketListener,
  SeqpacketSocket,
} from '../../../src/io/seqpacket.ts';
import { sendMessage } from '../../../src/sys/message-socket.ts';
import { NativeBuffer } from '../../../src/sys/native-buffer.ts';
import { closeDescriptor, connectPath, openSocket } from '../../../src/sys/sockets.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { testReactor, until } from '../../support/reactor-harness.ts';

const reactor = testReactor();
const folder = mkdtempSync(join(tmpdir(), 'ambit-seqpacket-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let lastPath = 0;

class Recorder implements SeqpacketHandler {
  readonly messages: string[] = [];
  readonly fds: number[] = [];
  closed = 0;
  error: AmbitError | undefined;

  onMessage(message: Uint8Array, fds: number[]): void {
    this.messages.push(Buffer.from(message).toString());
    this.fds.push(...fds);
  }

  onClosed(error?: AmbitError): void {
    this.closed++;
    this.error = error;
  }
}

interface Pair {
  readonly path: string;
  readonly client: SeqpacketSocket;
  readonly server: SeqpacketSocket;
  readonly atClient: Recorder;
  readonly atServer: Recorder;
}

async function connectedPair(): Promise<Pair> {
  const path = join(folder, `${lastPath++}.sock`);
  const atServer = new Recorder();
  const atClient = new Recorder();
  let server: SeqpacketSocket | undefined;
  const listener = SeqpacketListener.listen(reactor, path, (socket) => {
    server = socket;
    socket.handler = atServer;
  });
  after(() => listener.close());
  const client = SeqpacketSocket.connect(reactor, path, atClient);
  await until(() => server !== undefined);
  return { path, client, server: server!, atClient, atServer };
}

test('messages keep their boundaries, both ways', async () => {
  const { client, server, atClient, atServer } = await connectedPair();
  client.send(Buffer.from('one'));
  client.send(Buffer.from('two'));
  await until(() => atServer.messages.length === 2);
  assert.deepEqual(atServer.messages, ['one', 'two']);
  server.send(Buffer.alloc(MAX_MESSAGE, 'x'));
  await until(() => atClient.messages.length === 1);
  assert.equal(atClient.messages[0]!.length, MAX_MESSAGE);
  client.close();
  await until(() => atServer.closed === 1);
  assert.equal(atServer.error, undefined);
  assert.equal(atClient.closed, 1);
});

test('descriptors arrive as new ones for the same files', async () => {
  const { client, atServer } = await connectedPair();
  const file = join(folder, 'passed');
  writeFileSync(file, 'content');
  const sent = [openSync(file, 'r'), openSync('/dev/null', 'r')];
  client.send(Buffer.from('take these'), sent);
  await until(() => atServer.fds.length === 2);
  for (const fd of sent) closeSync(fd);
  const text = Buffer.alloc(7);
  readSync(atServer.fds[0]!, text);
  assert.equal(text.toString(), 'content');
  for (const fd of atServer.fds) closeSync(fd);
  client.close();
});

test('a message that is too long ends the connection and leaks no descriptor', async () => {
  const { path, atServer } = await connectedPair();
  const before = descriptorCount();
  const raw = openSocket('unix', 'seqpacket');
  let atRaw: Recorder | undefined;
  const listener = SeqpacketListener.listen(reactor, `${path}2`, (socket) => {
    atRaw = new Recorder();
    socket.handler = atRaw;
  });
  assert.equal(connectPath(raw, `${path}2`), 0);
  const passed = openSync('/dev/null', 'r');
  const size = MAX_MESSAGE + 1;
  assert.equal(sendMessage(raw, new NativeBuffer(size), size, [passed]), size);
  await until(() => atRaw?.closed === 1);
  assert.equal(atRaw?.error?.code, 'AMBIT_UNIX_MESSAGE_TRUNCATED');
  assert.deepEqual(atRaw?.fds, []);
  closeSync(passed);
  closeDescriptor(raw);
  listener.close();
  assert.equal(descriptorCount(), before);
  assert.equal(atServer.closed, 0);
});

test('a sender that outruns the receiver is told to wait, and when to go on', async () => {
  const { client, server, atServer } = await connectedPair();
  let writable = 0;
  const message = Buffer.alloc(8192, 'm');
  let sent = 0;
  client.handler = { onMessage() {}, onClosed() {}, onWritable: () => writable++ };
  while (client.send(message)) sent++;
  await until(() => writable > 0 && atServer.messages.length === sent);
  assert.ok(client.send(message));
  server.close();
  client.close();
});

test('what cannot be sent at all is refused at once', async () => {
  const { client } = await connectedPair();
  assert.throws(() => client.send(new Uint8Array(MAX_MESSAGE + 1)), RangeError);
  assert.throws(() => client.send(Buffer.from('x'), new Array<number>(17).fill(0)), RangeError);
  client.close();
  assert.equal(client.send(Buffer.from('x')), false);
});

test('a connection without anybody there fails later, once, and may be retried', async () => {
  const recorder = new Recorder();
  SeqpacketSocket.connect(reactor, join(folder, 'nobody.sock'), recorder);
  assert.equal(recorder.closed, 0);
  await until(() => recorder.closed === 1);
  assert.equal(recorder.error?.code, 'AMBIT_UNIX_CONNECT_FAILED');
  assert.equal(recorder.error?.retryable, true);
  assert.match(recorder.error!.message, /ENOENT/);
});

test('an exception in a handler closes that connection with an error', async () => {
  const { client, server, atServer } = await connectedPair();
  let error: AmbitError | undefined;
  server.handler = {
    onMessage() {
      throw new Error('thrown on purpose');
    },
    onClosed: (reason) => {
      error = reason;
    },
  };
  client.send(Buffer.from('x'));
  await until(() => error !== undefined);
  assert.equal(error?.code, 'AMBIT_HANDLER_FAILED');
  assert.deepEqual(atServer.messages, []);
});

test('the socket file is for its user only, replaces a stale one and goes away with its own listener', async () => {
  const path = join(folder, 'owned.sock');
  const first = SeqpacketListener.listen(reactor, path, () => {});
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const second = SeqpacketListener.listen(reactor, path, () => {});
  first.close();
  assert.ok(statSync(path).isSocket());
  second.close();
  assert.throws(() => statSync(path), /ENOENT/);
});

test('a file that is not a socket is never replaced', () => {
  const path = join(folder, 'file');
  writeFileSync(path, 'precious');
  assert.throws(
    () => SeqpacketListener.listen(reactor, path, () => {}),
    (error: AmbitError) => error.code === 'AMBIT_LISTEN_FAILED',
  );
  assert.equal(readFileSync(path, 'utf8'), 'precious');
});

test('a path that does not fit is refused', () => {
  assert.throws(
    () => SeqpacketListener.listen(reactor, join(folder, 'x'.repeat(200)), () => {}),
    (error: AmbitError) => error.code === 'AMBIT_LISTEN_FAILED',
  );
});
