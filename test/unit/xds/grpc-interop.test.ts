/** Our gRPC against Google's, both ways. AMBIT_GRPC_PYTHON names a Python that has the package grpcio. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { grpcErrors } from '../../../src/xds/grpc/errors.ts';
import { GrpcChannel } from '../../../src/xds/grpc/grpc-channel.ts';
import { GrpcServer } from '../../../src/xds/grpc/grpc-server.ts';
import { authority, credentials, temporaryFile } from './xds-fixture.ts';

/** Debian's own Python, whose module python3-grpcio is installed by `make setup`. */
const PYTHON = process.env.AMBIT_GRPC_PYTHON ?? '/usr/bin/python3';
const PEER = join(import.meta.dirname, 'grpc-peer.py');
const LARGE = 20 * 1024 * 1024;
const NO_METADATA = new Map<string, string>();

test('a client of another implementation is served', async (t) => {
  const server = new GrpcServer({ credentials });
  server.addUnary('/test/Echo', async (request) => request);
  server.addUnary('/test/Small', async (request) => request, 1000);
  server.addUnary('/test/Metadata', async (_, call) => Buffer.from(JSON.stringify([...call.metadata])));
  server.addUnary('/test/Hang', () => new Promise(() => {}));
  server.addUnary('/test/Refuse', async () => {
    throw grpcErrors.AMBIT_GRPC_PERMISSION_DENIED('not you, % of them: ñ 中');
  });
  server.addStream('/test/Echoes', async (requests, responses) => {
    for await (const request of requests) await responses.write(request);
  });
  server.addStream('/test/Count', async (_, responses) => {
    for (let i = 0; i < 3; i++) await responses.write(Buffer.from(String(i)));
    throw grpcErrors.AMBIT_GRPC_ABORTED('enough');
  });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => server.close(100));
  const root = temporaryFile(t, 'root.pem', authority.rootPem);
  const { stdout } = await promisify(execFile)(PYTHON, [PEER, 'call', root, String(port)], {
    timeout: 60_000,
  });
  assert.equal(stdout, 'fine\n');
});

async function startPeer(t: TestContext): Promise<GrpcChannel> {
  const files = [authority.rootPem, credentials.certificateChainPem, credentials.privateKeyPem];
  const paths = files.map((content, i) => temporaryFile(t, `${i}.pem`, content));
  const peer = spawn(PYTHON, [PEER, 'serve', ...paths], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => peer.stdin.end());
  const [line] = await once(peer.stdout, 'data');
  const target = { host: '127.0.0.1', port: Number(line) };
  const channel = new GrpcChannel({ target, roots: () => ({ kind: 'pem', pem: authority.rootPem }) });
  t.after(() => channel.close());
  return channel;
}

test('a server of another implementation is understood', async (t) => {
  const channel = await startPeer(t);
  const unary = (name: string, request: Uint8Array, timeoutMs = 5000) =>
    channel.unary(`/test/${name}`, request, { metadata: NO_METADATA, timeoutMs });
  assert.deepEqual(Buffer.from(await unary('Echo', Buffer.from('hello'))), Buffer.from('hello'));
  assert.equal((await unary('Echo', Buffer.alloc(LARGE), 20_000)).length, LARGE);
  await assert.rejects(unary('Refuse', Buffer.from('x')), {
    code: 'AMBIT_GRPC_PERMISSION_DENIED',
    message: 'PERMISSION_DENIED: not you, % of them: ñ 中',
  });
  await assert.rejects(unary('Nothing', Buffer.from('x')), { code: 'AMBIT_GRPC_UNIMPLEMENTED' });
  await assert.rejects(unary('Hang', Buffer.from('x'), 100), { code: 'AMBIT_GRPC_DEADLINE_EXCEEDED' });
  for (let i = 0; i < 300; i++) await unary('Echo', Buffer.from('again'));
});

test('streams with a server of another implementation run both ways', async (t) => {
  const channel = await startPeer(t);
  const metadata = new Map([['x-tenant', 'blue']]);
  const echoes = await channel.open('/test/Echoes', { metadata });
  const reading = Array.fromAsync(echoes.messages(), (one) => Buffer.from(one).toString());
  const words = Array.from({ length: 100 }, (_, i) => String(i));
  for (const word of words) await echoes.write(Buffer.from(word));
  echoes.end();
  assert.deepEqual(await reading, words);
  const count = await channel.open('/test/Count', { metadata });
  await assert.rejects(Array.fromAsync(count.messages()), {
    code: 'AMBIT_GRPC_ABORTED',
    message: 'ABORTED: enough',
  });
  const large = await channel.open('/test/Large', { metadata });
  const { value } = await large.messages().next();
  assert.equal(value?.length, LARGE);
  const cancelled = await channel.open('/test/Echoes', { metadata });
  cancelled.cancel(grpcErrors.AMBIT_GRPC_CANCELLED('enough'));
  await assert.rejects(Array.fromAsync(cancelled.messages()), { code: 'AMBIT_GRPC_CANCELLED' });
});
