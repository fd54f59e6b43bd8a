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

/** Octets of a record: what it may carry at most, and header and tag with what the version adds to them. */
const CONTENT = 16_384;

interface Form {
  readonly name: string;
  /** With it OpenSSL takes the records apart, else we do. */
  readonly tls12: boolean;
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  readonly overhead: number;
}

const FORMS: readonly Form[] = [
  // The type of the content is within.
  { name: 'TLS 1.3', tls12: false, version: 'TLSv1.3', overhead: 5 + 1 + 16 },
  { name: 'TLS 1.3 of OpenSSL', tls12: true, version: 'TLSv1.3', overhead: 5 + 1 + 16 },
  // The nonce of AES-GCM is on the wire (RFC 5288 §3).
  { name: 'TLS 1.2 of OpenSSL', tls12: true, version: 'TLSv1.2', overhead: 5 + 8 + 16 },
];

for (const form of FORMS) {
  const record = form.overhead + CONTENT;
  for (const firstPart of [1, 5, 6, 9000, record - 1, record, record + 5, 2 * record + 3]) {
    test(`${form.name}: input goes on behind a record that came in two parts, the first of ${firstPart} bytes`, () =>
      transferCut(form, firstPart));
  }

  test(`${form.name}: input goes on behind a record of which a part waited while the handler took nothing`, () =>
    transferCut(form, 16 * record + 1000, 16 * CONTENT));
}

/** The handler takes nothing before `waitFor` bytes are there and everything else has been sent. */
async function transferCut(form: Form, firstPart: number, waitFor = 0): Promise<void> {
  const context = new TlsContext({
    role: 'server',
    certificateChainPem: leaf.chainPem,
    privateKeyPem: leaf.privateKeyPem,
    alpn: ['h2'],
    requirePeerCertificate: false,
    tls12: form.tls12,
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
    maxVersion: form.version,
    ciphers: 'TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256',
  });
  cleanups.push(() => client.destroy());
  await within(once(client, 'secureConnect'));
  assert.equal(client.getProtocol(), form.version);
  await until(() => opened);
  const body = randomBytes(120_000 + waitFor);
  const sealed = body.length + Math.ceil(body.length / CONTENT) * form.overhead;
  through.open(0);
  client.write(body);
  await until(() => through.pending() >= sealed);
  // The server reads the first part and meets the end of what is there.
  through.open(firstPart);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const whole = Math.floor(firstPart / (form.overhead + CONTENT)) * CONTENT;
  if (waitFor === 0) await until(() => received === whole);
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
