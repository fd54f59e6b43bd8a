/** Bytes that arrive while what came before still waits in OpenSSL, and are announced by no further event. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
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
/** More than fits behind the first part, by what then waits within a record. */
const LEFT_OVER = 153;

test('are read when the handler goes on, although the read before them came short', async () => {
  const context = new TlsContext({
    role: 'server',
    certificateChainPem: leaf.chainPem,
    privateKeyPem: leaf.privateKeyPem,
    alpn: ['h2'],
    requirePeerCertificate: false,
  });
  let stream: TlsStream | undefined;
  let consuming = false;
  let received = 0;
  const hash = createHash('sha256');
  const listener = TcpListener.listen(reactor, address('127.0.0.1:0'), {}, (socket) => {
    stream = TlsStream.server(socket, context, {
      onOpen() {},
      onInput() {
        if (!consuming) return;
        const { buffer, start, length } = stream!.input;
        hash.update(buffer.bytes.subarray(start, start + length));
        received += length;
        stream!.input.consume(length);
      },
      onInputEnd() {},
      onOutputSpace() {},
      onClosed() {},
    });
  });
  cleanups.push(
    () => stream?.close(),
    () => listener.close(),
    () => context.close(),
  );
  const { port } = listener.localAddress;
  const client = tlsConnect({
    port,
    host: '127.0.0.1',
    ca: root.certificatePem,
    checkServerIdentity: () => undefined,
  });
  cleanups.push(() => client.destroy());
  await within(once(client, 'secureConnect'));
  await until(() => stream !== undefined);
  const { capacity } = stream!.input;
  const parts = [capacity - 1000, 1000 + LEFT_OVER, 50_000].map((length) => randomBytes(length));
  client.write(parts[0]!);
  await until(() => stream!.input.length === capacity - 1000);
  client.write(parts[1]!);
  await until(() => stream!.input.length === capacity);
  // The queue is full, so this event finds nobody who reads.
  client.write(parts[2]!);
  await new Promise((resolve) => setTimeout(resolve, 50));
  consuming = true;
  stream!.resumeInput();
  const all = Buffer.concat(parts);
  await until(() => received === all.length, 'the rest');
  assert.equal(hash.digest('hex'), createHash('sha256').update(all).digest('hex'));
});
