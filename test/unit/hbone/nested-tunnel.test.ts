/** Double HBONE: a client, a gateway that knows the outer tunnel only, and a server behind it. */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { formatSocketAddress } from '../../../src/base/ip.ts';
import { connectHeaders } from '../../../src/hbone/connect-request.ts';
import type { ConnectHandler } from '../../../src/hbone/hbone-client.ts';
import { NestedTunnel } from '../../../src/hbone/nested-tunnel.ts';
import type { Tunnel } from '../../../src/hbone/tunnel.ts';
import { Http2Counters } from '../../../src/http/http2-counters.ts';
import { Http2ErrorCode } from '../../../src/http/http2-error-code.ts';
import { idleHandler } from '../../../src/http/http2-stream.ts';
import { TlsStream } from '../../../src/io/tls-stream.ts';
import { TlsContext } from '../../../src/sys/tls-context.ts';
import { makeLeaf, makeRoot } from '../../support/certificates.ts';
import { descriptorCount } from '../../support/descriptor-count.ts';
import { StreamWriter } from '../../support/http2-echo.ts';
import { testReactor, until } from '../../support/reactor-harness.ts';
import { TunnelPair } from '../../support/tunnel-pair.ts';
import { withoutDescriptors } from '../../support/without-descriptors.ts';

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});
const reactor = testReactor();

const root = makeRoot('mesh');
const leaf = makeLeaf(root, { spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' });

function context(role: 'client' | 'server'): TlsContext {
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

const tls = { client: context('client'), server: context('server') };

/** Application, server proxy, gateway: what the gateway forwards are bytes of the inner connection. */
async function network(): Promise<Network> {
  const application = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  application.listen(0, '127.0.0.1');
  await once(application, 'listening');
  const behind = new TunnelPair(reactor, (application.address() as AddressInfo).port, { tls });
  const gateway = new TunnelPair(reactor, behind.hbonePort, { tls });
  cleanups.push(() => {
    gateway.close();
    behind.close();
    application.close();
  });
  return { gateway, behind };
}

interface Attempt {
  inner: Tunnel | undefined;
  error: AmbitError | undefined;
  nested: NestedTunnel | undefined;
}

interface Network {
  readonly gateway: TunnelPair;
  readonly behind: TunnelPair;
}

function nest(
  outer: Tunnel,
  { gateway, behind }: Network,
  handler: ConnectHandler,
  changes: { readonly verify?: AmbitError | undefined; readonly secureFault?: AmbitError } = {},
): NestedTunnel {
  return new NestedTunnel({
    reactor,
    counters: new Http2Counters(),
    outer,
    remote: gateway.key.destination,
    secure: (socket, streamHandler) => {
      if (changes.secureFault !== undefined) throw changes.secureFault;
      return TlsStream.client(socket, tls.client, streamHandler);
    },
    verifyPeer: () => changes.verify,
    headers: connectHeaders({ authority: formatSocketAddress(behind.application) }),
    handler,
  });
}

function openThrough(
  both: Network,
  changes: { verify?: AmbitError; onTunnel?: (tunnel: Tunnel) => void } = {},
): Attempt {
  const attempt: Attempt = { inner: undefined, error: undefined, nested: undefined };
  const handler: ConnectHandler = {
    onTunnel: (tunnel) => {
      attempt.inner = tunnel;
      tunnel.stream.handler = idleHandler;
      changes.onTunnel?.(tunnel);
    },
    onFailed: (error) => {
      attempt.error = error;
    },
  };
  const { gateway } = both;
  const headers = connectHeaders({ authority: formatSocketAddress(gateway.application) });
  gateway.pool.connect(gateway.key, headers, {
    onTunnel: (outer) => {
      attempt.nested = nest(outer, both, handler, changes);
    },
    onFailed: (error) => {
      attempt.error = error;
    },
  });
  return attempt;
}

test('carries bytes both ways, through two layers of TLS, and leaves nothing behind', async () => {
  const both = await network();
  const body = randomBytes(3_000_000);
  const hash = createHash('sha256');
  let ended = false;
  openThrough(both, {
    onTunnel: ({ stream }) => {
      const writer = new StreamWriter(stream);
      stream.handler = {
        onHeaders() {},
        onData(buffer, offset, length) {
          hash.update(buffer.bytes.subarray(offset, offset + length));
          stream.consumed(length);
        },
        onEnd() {
          ended = true;
        },
        onReset() {},
        onWritable: () => writer.flush(),
      };
      writer.write(body);
      writer.end();
    },
  });
  await until(() => ended);
  assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
  await until(() => both.gateway.isQuiet && both.behind.isQuiet);
  await until(() => both.behind.server.connections.size === 0);
  assert.equal(both.gateway.server.connections.size, 1, 'the outer connection is kept for others');
});

function outerTunnel(gateway: TunnelPair): Promise<Tunnel> {
  const headers = connectHeaders({ authority: formatSocketAddress(gateway.application) });
  return new Promise((resolve, reject) => {
    const onTunnel = (tunnel: Tunnel) => {
      tunnel.stream.handler = idleHandler;
      resolve(tunnel);
    };
    gateway.pool.connect(gateway.key, headers, { onTunnel, onFailed: reject });
  });
}

test('without a certificate when it begins, is told as failed, leaves nothing, and the outer connection goes on', async () => {
  const both = await network();
  const { gateway, behind } = both;
  (await outerTunnel(gateway)).stream.reset(Http2ErrorCode.cancel);
  const isQuiet = () => gateway.isQuiet && behind.isQuiet;
  await until(isQuiet);
  const before = descriptorCount();
  const outer = await outerTunnel(gateway);
  const secureFault = new AmbitError('AMBIT_TEST', { side: 'downstream', hint: '' }, 'it has expired');
  const error = await new Promise<AmbitError>((resolve) =>
    nest(outer, both, { onTunnel() {}, onFailed: resolve }, { secureFault }),
  );
  assert.equal(error.code, 'AMBIT_HBONE_CONNECTION_FAILED');
  assert.match(error.message, /it has expired/);
  await until(isQuiet);
  assert.equal(gateway.server.connections.size, 1);
  await until(() => descriptorCount() <= before, 'the sockets of the tunnel are closed');
});

test('without a free descriptor for it, is told as failed, and the outer connection goes on', async () => {
  const both = await network();
  const { gateway, behind } = both;
  const outer = await outerTunnel(gateway);
  const error = await withoutDescriptors(
    () => new Promise<AmbitError>((resolve) => nest(outer, both, { onTunnel() {}, onFailed: resolve })),
  );
  assert.equal(error.code, 'AMBIT_HBONE_CONNECTION_FAILED');
  await until(() => gateway.isQuiet && behind.isQuiet);
  assert.equal(gateway.server.connections.size, 1);
});

test('has an inner connection of its own each time, and shares the outer one', async () => {
  const both = await network();
  const attempts = Array.from({ length: 5 }, () => openThrough(both));
  await until(() => attempts.every((one) => one.inner !== undefined));
  assert.equal(both.behind.server.connections.size, 5);
  assert.equal(both.gateway.server.connections.size, 1);
  for (const one of attempts) one.inner!.stream.reset(Http2ErrorCode.cancel);
  await until(() => both.behind.server.connections.size === 0 && both.gateway.isQuiet);
});

test('fails when the inner peer is not who it should be', async () => {
  const both = await network();
  const mismatch = new AmbitError('AMBIT_TEST', { side: 'upstream', hint: '' }, 'somebody else');
  const attempt = openThrough(both, { verify: mismatch });
  await until(() => attempt.error !== undefined);
  assert.equal(attempt.error, mismatch);
  await until(() => both.gateway.isQuiet);
});

test('fails when the gateway cannot reach what is behind it', async () => {
  const both = await network();
  both.behind.close();
  const attempt = openThrough(both);
  await until(() => attempt.error !== undefined);
  assert.equal(attempt.error!.code, 'AMBIT_HBONE_REFUSED');
});

test('can be given up at any time', async () => {
  const both = await network();
  const attempt = openThrough(both);
  await until(() => attempt.nested !== undefined);
  attempt.nested!.cancel();
  attempt.nested!.cancel();
  await until(() => both.gateway.isQuiet);
  assert.equal(attempt.error, undefined);
  assert.equal(attempt.inner, undefined);
});
