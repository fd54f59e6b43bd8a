/** A record that arrives in two parts, with a lot behind the second: everything must be read, though no event follows. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { TcpListener } from '../../../src/io/tcp-listener.ts';
import { TlsStream } from '../../../src/io/tls-stream.ts';
import { TlsContext } from '../../../src/sys/tls-context.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { address, testReactor, until, within } from '../../support/reactor-harness.ts';

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});
const reactor = testReactor();
const root = makeRoot('root');
const leaf = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/server' });

/** Passes bytes on, and holds back what `hold` says of those that go to the server. */
async function valve(
  port: number,
): Promise<{ port: number; open: (bytes: number) => void; pending: () => number }> {
  let allowed = Number.POSITIVE_INFINITY;
  let waiting = Buffer.alloc(0);
  let far: net.Socket | undefined;
  const pass = (): void => {
    const count = Math.min(allowed, waiting.length);
    if (count === 0) return;
    far!.write(waiting.subarray(0, count));
    waiting = waiting.subarray(count);
    allowed -= count;
  };
  const server = net.createServer((near) => {
    far = net.connect({ port, host: '127.0.0.1', noDelay: true });
    far.on('data', (chunk) => near.write(chunk));
    near.on('data', (chunk: Buffer) => {
      waiting = Buffer.concat([waiting, chunk]);
      pass();
    });
    cleanups.push(
      () => near.destroy(),
      () => far!.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    open: (bytes) => {
      allowed = bytes;
      pass();
    },
    pending: () => waiting.length,
  };
}

/** A sealed record of 16 KiB of TLS 1.3: header, content, content type, tag. */
const RECORD = 5 + 16_384 + 1 + 16;

for (const firstPart of [1, 5, 6, 9000, RECORD - 1, RECORD, RECORD + 5, 2 * RECORD + 3]) {
  test(`input goes on behind a record that came in two parts, the first of ${firstPart} bytes`, () =>
    transferCut(firstPart));
}

test('input goes on behind a record of which a part waited while the handler took nothing', () =>
  transferCut(16 * RECORD + 1000, 262_144));

/** The handler takes nothing before `waitFor` bytes are there and everything else has been sent. */
async function transferCut(firstPart: number, waitFor = 0): Promise<void> {
  const context = new TlsContext({
    role: 'server',
    certificateChainPem: leaf.chainPem,
    privateKeyPem: leaf.privateKeyPem,
    alpn: ['h2'],
    requirePeerCertificate: false,
  });
  const hash = createHash('sha256');
  let received = 0;
  let opened = false;
  let consuming = waitFor === 0;
  let server: TlsStream | undefined;
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    const stream: TlsStream = TlsStream.server(socket, context, {
      onOpen() {
        opened = true;
      },
      onInput() {
        if (!consuming) return;
        const { buffer, start, length } = stream.input;
        hash.update(buffer.bytes.subarray(start, start + length));
        received += length;
        stream.input.consume(length);
      },
      onInputEnd() {},
      onOutputSpace() {},
      onClosed() {},
    });
    server = stream;
    cleanups.push(() => stream.close());
  });
  cleanups.push(
    () => listener.close(),
    () => context.close(),
  );
  const through = await valve(listener.localAddress.port);
  const client = tlsConnect({
    port: through.port,
    host: '127.0.0.1',
    ca: root.certificatePem,
    checkServerIdentity: () => undefined,
  });
  cleanups.push(() => client.destroy());
  await within(once(client, 'secureConnect'));
  await until(() => opened);
  const body = randomBytes(120_000 + waitFor);
  const sealed = body.length + Math.ceil(body.length / 16_384) * 22;
  through.open(0);
  client.write(body);
  await until(() => through.pending() >= sealed);
  // The server reads the first part and meets the end of what is there.
  through.open(firstPart);
  await new Promise((resolve) => setTimeout(resolve, 50));
  if (waitFor === 0) assert.equal(received, Math.floor(firstPart / RECORD) * 16_384);
  else await until(() => server!.input.length === waitFor);
  through.open(Number.POSITIVE_INFINITY);
  if (!consuming) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    consuming = true;
    server!.resumeInput();
  }
  await until(() => received === body.length, 'the rest of the body');
  assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
}
