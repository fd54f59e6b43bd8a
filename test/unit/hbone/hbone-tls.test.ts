/** Tunnels over mutual TLS 1.3: the whole path as it runs in a mesh, and peers that are not who they should be. */

import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { after, describe, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { TlsContext } from '../../../src/sys/tls-context.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { openHttp2 } from '../../support/hostile-peer.ts';
import { testReactor, until, within } from '../../support/reactor-harness.ts';
import { TunnelPair, type TunnelPairOptions } from '../../support/tunnel-pair.ts';

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});
const reactor = testReactor();

const root = makeRoot('mesh');
const strangerRoot = makeRoot('elsewhere');
const front = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/front' });
const cart = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' });
const stranger = makeLeaf(strangerRoot, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/front' });

function context(role: 'client' | 'server', leaf = role === 'client' ? front : cart): TlsContext {
  const made = new TlsContext({
    role,
    certificateChainPem: leaf.chainPem,
    privateKeyPem: leaf.privateKeyPem,
    trustedRootsPem: root.certificatePem,
    alpn: ['h2'],
    requirePeerCertificate: true,
  });
  cleanups.push(() => made.close());
  return made;
}

async function echoBehind(options: TunnelPairOptions): Promise<TunnelPair> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pair = new TunnelPair(reactor, (server.address() as AddressInfo).port, options);
  cleanups.push(() => {
    pair.close();
    server.close();
  });
  return pair;
}

async function echoed(pair: TunnelPair, body: Buffer): Promise<string> {
  const socket = net.connect({ port: pair.port, host: '127.0.0.1', allowHalfOpen: true });
  const hash = createHash('sha256');
  socket.on('data', (chunk: Buffer) => hash.update(chunk));
  const ended = once(socket, 'end');
  socket.end(body);
  await within(ended);
  return hash.digest('hex');
}

/** An application whose connection will come to nothing. */
async function attempt(pair: TunnelPair): Promise<void> {
  const socket = net.connect({ port: pair.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  socket.resume();
  await within(once(socket, 'close'));
}

const sha256 = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

describe('tunnels over mutual TLS', () => {
  test('carry what applications say, many at once, on one connection', async () => {
    const seen = new Set<string>();
    const pair = await echoBehind({
      tls: { client: context('client'), server: context('server') },
      verifyUpstream: (chain) => {
        seen.add(new X509Certificate(chain[0]!).subjectAltName ?? '');
        return undefined;
      },
    });
    const bodies = Array.from({ length: 90 }, (_, i) => randomBytes(i % 30 === 0 ? 3_000_000 : 2000 + i));
    const hashes = await Promise.all(bodies.map((body) => echoed(pair, body)));
    assert.deepEqual(hashes, bodies.map(sha256));
    await until(() => pair.isQuiet);
    assert.equal(pair.dials, 1);
    assert.deepEqual([...seen], ['URI:spiffe://cluster.local/ns/shop/sa/cart']);
    for (const connection of pair.server.connections) assert.equal(connection.heldBytes, 0);
    pair.pool.retire();
    await until(() => pair.server.connections.size === 0);
    assert.deepEqual(pair.connectionErrors, [undefined]);
  });

  test('are not made with a server of another identity', async () => {
    const mismatch = new AmbitError('AMBIT_TEST', { side: 'upstream', hint: '' }, 'not the one expected');
    const pair = await echoBehind({
      tls: { client: context('client'), server: context('server') },
      verifyUpstream: () => mismatch,
    });
    await attempt(pair);
    assert.deepEqual(pair.failures, [mismatch]);
    await until(() => pair.server.connections.size === 0 && pair.server.handshakes === 0);
    assert.equal(pair.serverCounters.streams, 0);
  });

  test('are not made for a client of another trust root, which learns why', async () => {
    const pair = await echoBehind({
      tls: { client: context('client', stranger), server: context('server') },
    });
    await attempt(pair);
    const [failure] = pair.failures;
    assert.match(`${failure!.code} ${failure!.message}`, /TLS|alert|refused/i);
    assert.equal(pair.dials, 1, 'a refusal is not tried again');
    await until(() => pair.connectionErrors.length === 1);
    assert.match(pair.connectionErrors[0]!.code, /AMBIT_TLS/);
    assert.equal(pair.serverCounters.connections, 0);
  });

  test('are served to a client of node:http2', async () => {
    const pair = await echoBehind({ tls: { client: context('client'), server: context('server') } });
    const session = http2.connect(`https://127.0.0.1:${pair.hbonePort}`, {
      ca: root.certificatePem,
      cert: front.chainPem,
      key: front.privateKeyPem,
      checkServerIdentity: () => undefined,
    });
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'nowhere:1' });
    const [headers] = (await within(once(stream, 'response'))) as [http2.IncomingHttpStatusHeader];
    assert.equal(headers[':status'], 503);
    session.close();
    await until(() => pair.server.connections.size === 0);
  });
});

test('when too many handshakes are under way the oldest gives way, and an honest peer gets in', async () => {
  const tls = { client: context('client'), server: context('server') };
  const pair = new TunnelPair(reactor, 9, { tls, maxHandshakes: 3 });
  cleanups.push(() => pair.close());
  const halfOpen = Array.from({ length: 5 }, () => net.connect(pair.hbonePort, '127.0.0.1'));
  for (const socket of halfOpen) {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
  }
  await until(() => pair.connectionErrors.length === 2);
  assert.deepEqual(
    pair.connectionErrors.map((error) => error?.code),
    ['AMBIT_HBONE_HANDSHAKE_DISPLACED', 'AMBIT_HBONE_HANDSHAKE_DISPLACED'],
  );
  assert.equal(pair.server.handshakes, 3);
  const session = await openHttp2({ host: '127.0.0.1', port: pair.hbonePort }, front);
  cleanups.push(() => session.destroy());
  assert.equal(pair.server.connections.size, 1);
});
