/** Requests of the client: what goes out, and what becomes of every kind of answer. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { KubeClient } from '../../../src/kube/kube-client.ts';
import { KubeRequestError } from '../../../src/kube/kube-request-error.ts';
import {
  answerJson,
  answerStatus,
  GOOD_TOKEN,
  HostileApiServer,
  statusObject,
  THINGS_PATH,
} from '../../support/hostile-api-server.ts';

async function connected(t: TestContext): Promise<{ server: HostileApiServer; client: KubeClient }> {
  const server = await HostileApiServer.start();
  const client = await server.client();
  t.after(async () => {
    await client.close();
    await server[Symbol.asyncDispose]();
  });
  return { server, client };
}

test('a hundred requests, one after the other, need no connections of their own', async (t) => {
  const { server, client } = await connected(t);
  for (let i = 0; i < 100; i++) await client.request({ path: THINGS_PATH });
  assert.ok(server.connections <= 3, `${server.connections} connections`);
});

test('the kernel asks whether a silent server is still there after half a minute', async (t) => {
  const { server, client } = await connected(t);
  const ports: number[] = [];
  server.other = ({ request: { socket }, response }) => {
    ports.push(socket.remotePort ?? 0, socket.localPort ?? 0);
    response.writeHead(200).flushHeaders();
  };
  const stream = await client.stream({ path: '/watch' });
  // proc(5): both addresses, since others may use the same port to elsewhere, and later the timer: 02 is keep-alive,
  // its time in hundredths of a second.
  const pair = ports.map((port) => `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`);
  const row = readFileSync('/proc/self/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .find((fields) => fields[1] === pair[0] && fields[2] === pair[1]);
  const [timer, time = ''] = row?.[5]?.split(':') ?? [];
  assert.equal(timer, '02');
  const seconds = Number.parseInt(time, 16) / 100;
  assert.ok(seconds > 0 && seconds <= 30, `${seconds} s`);
  stream.destroy();
});

test('an answer that is not JSON is given as text', async (t) => {
  const { server, client } = await connected(t);
  server.other = ({ response }) => response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
  assert.equal(await client.request({ path: '/readyz' }), 'ok');
});

test('a failure has the status, the reason and the words of the server', async (t) => {
  const { server, client } = await connected(t);
  server.other = ({ response }) => answerStatus(response, 403, 'Forbidden');
  await assert.rejects(client.request({ path: '/api/v1/secrets' }), (thrown) => {
    assert.ok(thrown instanceof KubeRequestError);
    assert.equal(thrown.code, 'AMBIT_KUBE_REQUEST_FAILED');
    assert.equal(thrown.status, 403);
    assert.equal(thrown.reason, 'Forbidden');
    assert.equal(thrown.message, 'GET /api/v1/secrets was answered 403: it is Forbidden');
    return true;
  });
});

test('a page of a proxy in the way is told in short', async (t) => {
  const { server, client } = await connected(t);
  server.other = ({ response }) => response.writeHead(502).end('x'.repeat(100_000));
  await assert.rejects(client.request({ path: '/x' }), (thrown) => {
    assert.ok(thrown instanceof KubeRequestError);
    assert.equal(thrown.status, 502);
    assert.ok(thrown.message.length < 400);
    return true;
  });
});

test('a token that is refused is renewed once', async () => {
  await using server = await HostileApiServer.start();
  let token = 'stale';
  let renewals = 0;
  await using client = await server.client(
    () => token,
    () => {
      renewals++;
      token = GOOD_TOKEN;
    },
  );
  await client.request({ path: THINGS_PATH });
  assert.equal(renewals, 1);
  assert.deepEqual(
    server.requests.map(({ authorization }) => authorization),
    ['Bearer stale', 'Bearer good'],
  );
});

test('a token that stays refused is a failure, not a loop', async () => {
  await using server = await HostileApiServer.start();
  await using client = await server.client(() => 'wrong');
  await assert.rejects(client.request({ path: THINGS_PATH }), { status: 401 });
  assert.equal(server.requests.length, 2);
});

test('a server that is busy is asked again when it wants to be', async (t) => {
  const { server, client } = await connected(t);
  let asked = 0;
  server.other = ({ response }) => {
    if (++asked > 1) return answerJson(response, 200, { fine: true });
    response.writeHead(429, { 'retry-after': '1' }).end();
  };
  const startedAt = performance.now();
  assert.deepEqual(await client.request({ path: '/x' }), { fine: true });
  assert.ok(performance.now() - startedAt >= 950);
});

test('a server that stays busy is a failure once the time of the request is over', async (t) => {
  const { server, client } = await connected(t);
  server.other = ({ response }) => response.writeHead(503, { 'retry-after': '60' }).end();
  await assert.rejects(client.request({ path: '/x', timeoutMs: 3000 }), { status: 503 });
});

test('no answer in time, a reset and a port without a listener are: unreachable', async (t) => {
  const { server, client } = await connected(t);
  server.other = () => {};
  await assert.rejects(client.request({ path: '/x', timeoutMs: 100 }), { code: 'AMBIT_KUBE_UNREACHABLE' });
  server.other = ({ response }) => server.reset(response);
  await assert.rejects(client.request({ path: '/x' }), { code: 'AMBIT_KUBE_UNREACHABLE' });
  await server[Symbol.asyncDispose]();
  await assert.rejects(client.request({ path: '/x' }), (thrown) => {
    assert.match(String(thrown), /GET \/x failed: .*ECONNREFUSED/);
    return true;
  });
});

test('a signal ends a request with its own reason', async (t) => {
  const { server, client } = await connected(t);
  server.other = () => {};
  const abort = new AbortController();
  const request = client.request({ path: '/x', signal: abort.signal });
  abort.abort(new Error('enough'));
  await assert.rejects(request, { message: 'enough' });
});

test('a server with another certificate is not talked to', async (t) => {
  const { server } = await connected(t);
  const client = await server.client();
  const stranger = await KubeClient.with({
    server: client.server,
    namespace: 'default',
    proxy: undefined,
    tls: async () => ({}),
    headers: async () => ({}),
    renew: () => {},
  });
  await assert.rejects(stranger.request({ path: THINGS_PATH }), { code: 'AMBIT_KUBE_UNREACHABLE' });
  assert.equal(server.requests.length, 0);
  await Promise.all([client.close(), stranger.close()]);
});

test('an HTTP proxy that a kubeconfig names is gone through', async (t) => {
  const { server } = await connected(t);
  const tunnels: string[] = [];
  const proxy = createServer().listen(0, '127.0.0.1');
  proxy.on('connect', (request, near: Socket) => {
    tunnels.push(request.url ?? '');
    const [host, port] = (request.url ?? '').split(':');
    const far = connect(Number(port), host, () => near.write('HTTP/1.1 200 OK\r\n\r\n'));
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  });
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo;
  const client = await KubeClient.with({ ...server.credentials(), proxy: `http://127.0.0.1:${port}` });
  await client.request({ path: THINGS_PATH });
  assert.equal(tunnels[0], client.server.host);
  await client.close();
  proxy.close();
});

test('the path of a kind is asked for once, and again when a kind is missing', async (t) => {
  const { server, client } = await connected(t);
  const resources = [
    { name: 'things', kind: 'Thing', namespaced: true },
    { name: 'things/status', kind: 'Thing', namespaced: true },
    { name: 'worlds', kind: 'World', namespaced: false },
  ];
  let asked = 0;
  server.other = ({ request, response }) => {
    asked++;
    assert.equal(request.url, '/apis/test.example/v1');
    answerJson(response, 200, { resources });
  };
  const api = 'test.example/v1';
  assert.equal(await client.pathOf(api, 'Thing'), THINGS_PATH);
  assert.equal(await client.pathOf(api, 'Thing', 'a', 'b'), '/apis/test.example/v1/namespaces/a/things/b');
  assert.equal(await client.pathOf(api, 'World', 'ignored', 'w'), '/apis/test.example/v1/worlds/w');
  assert.equal(asked, 1);
  await assert.rejects(client.pathOf(api, 'Moon'), { code: 'AMBIT_KUBE_KIND_UNKNOWN' });
  assert.equal(asked, 2);
  resources.push({ name: 'moons', kind: 'Moon', namespaced: false });
  assert.equal(await client.pathOf(api, 'Moon'), '/apis/test.example/v1/moons');
});

test('a conflict of server-side apply names the fields and the other manager', async (t) => {
  const { server, client } = await connected(t);
  server.other = ({ request, response }) => {
    if (request.method === 'GET') {
      return answerJson(response, 200, { resources: [{ name: 'things', kind: 'Thing', namespaced: true }] });
    }
    const { searchParams } = new URL(request.url ?? '', 'https://x');
    assert.equal(request.headers['content-type'], 'application/apply-patch+yaml');
    assert.equal(searchParams.get('fieldManager'), 'ambit');
    assert.equal(searchParams.get('dryRun'), 'All');
    const cause = { reason: 'FieldManagerConflict', message: 'conflict with "helm"', field: '.spec.value' };
    answerJson(response, 409, { ...statusObject(409, 'Conflict'), details: { causes: [cause] } });
  };
  const thing = { apiVersion: 'test.example/v1', kind: 'Thing', metadata: { name: 'a', namespace: 'n' } };
  await assert.rejects(client.apply(thing, { fieldManager: 'ambit', dryRun: true }), (thrown) => {
    assert.ok(thrown instanceof KubeRequestError);
    assert.equal(thrown.code, 'AMBIT_KUBE_APPLY_CONFLICT');
    assert.match(thrown.message, /\.spec\.value \(conflict with "helm"\)/);
    return true;
  });
});
