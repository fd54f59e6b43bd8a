/** TLS input cut into random segments and taken by a reader that pauses at random: nothing stands still, nothing is lost. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { QUEUE_CAPACITY } from '../../../src/io/buffered-stream.ts';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TcpSocket } from '../../../src/io/tcp-socket.ts';
import { TlsStream } from '../../../src/io/tls-stream.ts';
import { TlsContext } from '../../../src/sys/tls-context.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { address, testReactor, until } from '../../support/reactor-harness.ts';
import { StreamRecorder } from '../../support/stream-recorder.ts';

const TRANSFERS = 80;
const AT_ONCE = 20;
const MAX_BYTES = 700_000;

const reactor = testReactor();
const root = makeRoot('root');
const leaf = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/server' });
const [serverContext, clientContext] = (['server', 'client'] as const).map(
  (role) =>
    new TlsContext({
      role,
      certificateChainPem: leaf.chainPem,
      privateKeyPem: leaf.privateKeyPem,
      trustedRootsPem: root.certificatePem,
      alpn: ['h2'],
      requirePeerCertificate: true,
    }),
) as [TlsContext, TlsContext];

/** A number below `limit`, more often a small one. */
function some(limit: number): number {
  return Math.floor(limit * Math.random() ** 3);
}

/** Takes a random share of what is there and pauses now and then; some begin only when their queue is full. */
class FickleReader extends StreamRecorder<TlsStream> {
  readonly hash = createHash('sha256');
  #asleep = Math.random() < 0.5;

  override onInput(): void {
    const { input } = this.stream;
    if (this.#asleep) {
      if (input.length === input.capacity) this.wake();
      return;
    }
    const count = Math.random() < 0.3 ? Math.min(input.length, 1 + some(input.length)) : input.length;
    this.hash.update(input.buffer.bytes.subarray(input.start, input.start + count));
    this.receivedBytes += count;
    input.consume(count);
    if (input.length > 0 || Math.random() < 0.3) this.#pause();
  }

  /** Goes on some time later, when there may be nothing to come that would wake it. */
  wake(): void {
    if (!this.#asleep) return;
    setTimeout(() => {
      this.#asleep = false;
      if (this.closed === 0) this.stream.resumeInput();
    }, 30);
  }

  #pause(): void {
    this.stream.pauseInput();
    const resume = (): void => this.stream.resumeInput();
    if (Math.random() < 0.5) setImmediate(resume);
    else setTimeout(resume, some(6));
  }
}

let readers: FickleReader[] = [];

/** Passes bytes on in pieces of any size, some of them in one go and some with time between. */
function passOn(from: Socket, to: Socket): void {
  const waiting: Buffer[] = [];
  let sending = false;
  const next = (): void => {
    const chunk = waiting.shift();
    sending = chunk !== undefined;
    if (chunk === undefined) return;
    const cut = 1 + some(chunk.length);
    to.write(chunk.subarray(0, cut));
    if (cut < chunk.length) waiting.unshift(chunk.subarray(cut));
    if (Math.random() < 0.6) setImmediate(next);
    else setTimeout(next, some(4));
  };
  from.on('data', (chunk: Buffer) => {
    waiting.push(chunk);
    if (!sending) next();
  });
}

const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
  const reader = new FickleReader();
  reader.stream = TlsStream.server(socket, serverContext, reader);
  readers.push(reader);
});
after(() => listener.close());

const middle = createServer({ noDelay: true }, (near) => {
  const far = connect({ host: '127.0.0.1', port: listener.localAddress.port, noDelay: true });
  passOn(near, far);
  passOn(far, near);
  near.on('error', () => far.destroy()).on('close', () => far.destroy());
  far.on('error', () => near.destroy());
}).listen(0, '127.0.0.1');
await once(middle, 'listening');
after(() => middle.close());

test('every byte arrives in order, however the records are cut and however the reader dawdles', async () => {
  const { port } = middle.address() as { port: number };
  for (let done = 0; done < TRANSFERS; done += AT_ONCE) {
    readers = [];
    const sent = Array.from({ length: AT_ONCE }, () => {
      // Half of them a little more than a queue holds, so that the end waits behind a full one.
      const data = randomBytes(Math.random() < 0.5 ? some(MAX_BYTES) : QUEUE_CAPACITY + some(60_000));
      const sender = new StreamRecorder<TlsStream>();
      const socket = TcpSocket.connect(reactor, address(`127.0.0.1:${port}`), {});
      sender.stream = TlsStream.client(socket, clientContext, sender);
      const send = (): void => {
        let offset = 0;
        const pump = (): void => {
          const count = Math.min(sender.stream.outputSpace(), data.length - offset, 1 + some(60_000));
          sender.stream.output.append(data.subarray(offset, offset + count));
          offset += count;
          sender.stream.flushSoon();
          if (offset < data.length) setImmediate(pump);
          else for (const reader of readers) reader.wake();
        };
        pump();
      };
      sender.onOpened = send;
      return { data, sender };
    });
    const total = sent.reduce((sum, { data }) => sum + data.length, 0);
    await until(
      () => readers.reduce((sum, reader) => sum + reader.receivedBytes, 0) === total,
      `${total} bytes`,
    );
    const expected = sent.map(({ data }) => createHash('sha256').update(data).digest('hex'));
    assert.deepEqual(readers.map((reader) => reader.hash.digest('hex')).sort(), expected.sort());
    for (const { sender } of sent) sender.stream.close();
    for (const reader of readers) reader.stream.close();
  }
});
