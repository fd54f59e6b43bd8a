import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { bearerToken } from '../../../src/xds/call-authentication.ts';
import { CallCredentials } from '../../../src/xds/call-credentials.ts';
import { GrpcCertificateClient } from '../../../src/xds/certificate-client.ts';
import { type CertificateServerOptions, serveCertificates } from '../../../src/xds/certificate-server.ts';
import { grpcErrors } from '../../../src/xds/grpc/errors.ts';
import { GrpcServer } from '../../../src/xds/grpc/grpc-server.ts';
import { eventually } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { authority, credentials, TOKEN, temporaryFile } from './xds-fixture.ts';

const IDENTITY = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'web' };
const CHAIN = ['leaf', 'intermediate', 'root'];
const never = new AbortController().signal;

type Create = CertificateServerOptions<string>['createCertificate'];

async function clientOf(
  t: TestContext,
  createCertificate: Create,
  options: Partial<CertificateServerOptions<string>> & {
    token?: string;
    timeoutMs?: number;
    onListening?: (server: GrpcServer) => void;
  } = {},
): Promise<GrpcCertificateClient> {
  const server = new GrpcServer({ credentials });
  const authenticate = async (call: Parameters<typeof bearerToken>[0]) =>
    bearerToken(call) === TOKEN ? 'node proxy' : undefined;
  serveCertificates(server, { authenticate, createCertificate, ...options });
  const port = await server.listen({ host: '127.0.0.1', port: 0 });
  const { token = TOKEN, timeoutMs = 5000 } = options;
  options.onListening?.(server);
  const client = new GrpcCertificateClient({
    target: { host: '127.0.0.1', port },
    roots: { kind: 'inline', pem: authority.rootPem },
    credentials: new CallCredentials({ tokenPath: temporaryFile(t, 'token', token), clusterId: 'c1' }),
    timeoutMs,
  });
  t.after(async () => {
    client.close();
    await server.close(100);
  });
  return client;
}

test('a node proxy asks for another identity and gets the chain', async (t) => {
  let asked: unknown;
  const client = await clientOf(t, async (request, caller) => {
    asked = { request, caller };
    return CHAIN;
  });
  assert.deepEqual(await client.sign('the request', IDENTITY, 86_400, never), CHAIN);
  assert.deepEqual(asked, {
    request: {
      csr: 'the request',
      validityDurationSeconds: 86_400,
      metadata: { ImpersonatedIdentity: 'spiffe://cluster.local/ns/shop/sa/web' },
    },
    caller: 'node proxy',
  });
});

test('a connection that was opened ahead carries the first request', async (t) => {
  let server: GrpcServer | undefined;
  const onListening = (one: GrpcServer) => {
    server = one;
  };
  const client = await clientOf(t, async () => CHAIN, { onListening });
  client.connect();
  await eventually('a connection', () => server!.counters.connections === 1);
  assert.deepEqual(await client.sign('the request', IDENTITY, 86_400, never), CHAIN);
  assert.equal(server!.counters.connections, 1);
});

test('a connection that cannot be opened ahead shows in the first request', async () => {
  const client = new GrpcCertificateClient({
    target: { host: '127.0.0.1', port: await freePort() },
    roots: { kind: 'file', path: '/nonexistent' },
    credentials: new CallCredentials({ clusterId: 'c1' }),
  });
  client.connect();
  await assert.rejects(client.sign('x', IDENTITY, 1, never), {
    code: 'AMBIT_ROOT_CERTIFICATE_UNREADABLE',
  });
  client.close();
});

test('a caller without a good token gets nothing, and its request is not looked at', async (t) => {
  const client = await clientOf(t, () => assert.fail('it was looked at'), { token: 'wrong' });
  await assert.rejects(client.sign('x', IDENTITY, 1, never), { code: 'AMBIT_GRPC_UNAUTHENTICATED' });
});

test('a refusal arrives with its status, its reason and its code', async (t) => {
  const refused = new AmbitError('AMBIT_TEST', { side: 'policy', hint: '' }, 'no such pod on your node');
  const client = await clientOf(
    t,
    async (request) => {
      if (request.csr === 'busy') throw grpcErrors.AMBIT_GRPC_UNAVAILABLE('not now');
      throw refused;
    },
    { statusOf: () => 'PERMISSION_DENIED' },
  );
  await assert.rejects(client.sign('x', IDENTITY, 1, never), {
    code: 'AMBIT_GRPC_PERMISSION_DENIED',
    message: 'PERMISSION_DENIED: no such pod on your node (AMBIT_TEST)',
  });
  await assert.rejects(client.sign('busy', IDENTITY, 1, never), { code: 'AMBIT_GRPC_UNAVAILABLE' });
});

test('an authority that cannot check tokens at the moment says so', async (t) => {
  const client = await clientOf(t, async () => CHAIN, {
    authenticate: async () => {
      throw grpcErrors.AMBIT_GRPC_UNAVAILABLE('the API server does not answer');
    },
  });
  await assert.rejects(client.sign('x', IDENTITY, 1, never), { code: 'AMBIT_GRPC_UNAVAILABLE' });
});

test('an answer without leaf and root is none', async (t) => {
  const client = await clientOf(t, async () => ['leaf']);
  await assert.rejects(client.sign('x', IDENTITY, 1, never), { code: 'AMBIT_CERTIFICATE_RESPONSE_EMPTY' });
});

test('an authority that does not answer is given up in time, or when the caller does not want it any more', async (t) => {
  const client = await clientOf(t, () => new Promise(() => {}), { timeoutMs: 50 });
  await assert.rejects(client.sign('x', IDENTITY, 1, never), { code: 'AMBIT_GRPC_DEADLINE_EXCEEDED' });
  const patient = await clientOf(t, () => new Promise(() => {}));
  const giveUp = new AbortController();
  setTimeout(() => giveUp.abort(), 20);
  await assert.rejects(patient.sign('x', IDENTITY, 1, giveUp.signal), { code: 'AMBIT_GRPC_CANCELLED' });
});

test('a request that is far too large is refused', async (t) => {
  const client = await clientOf(t, async () => CHAIN);
  await assert.rejects(client.sign('x'.repeat(100_000), IDENTITY, 1, never), {
    code: 'AMBIT_GRPC_RESOURCE_EXHAUSTED',
  });
});
