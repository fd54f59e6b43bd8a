/** The small HTTP server over real connections. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { type EndpointRoutes, HttpEndpoint, jsonResponse } from '../../../src/telemetry/http-endpoint.ts';
import { resetLogLevels, setLogLevels } from '../../../src/telemetry/log.ts';

setLogLevels('http=off');
after(resetLogLevels);
const open: HttpEndpoint[] = [];
afterEach(() => {
  for (const endpoint of open.splice(0)) endpoint.close();
});

async function serve(routes: EndpointRoutes): Promise<number> {
  const endpoint = new HttpEndpoint(routes);
  open.push(endpoint);
  return endpoint.listen('127.0.0.1', 0);
}

/** What comes back for raw text, until the server closes. */
async function exchange(port: number, request: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
  });
  socket.end(request);
  await once(socket, 'close');
  return answer;
}

const ROUTES: EndpointRoutes = {
  'GET /': () => ({ body: 'index\n' }),
  'GET /echo': ({ method, url, accept }) =>
    jsonResponse({ method, path: url.pathname, query: url.search, accept }),
  'POST /act': async () => ({ status: 202, body: 'done\n' }),
  'GET /both': () => ({ body: Uint8Array.of(0xc3, 0xa4) }),
  'POST /both': () => ({ body: 'ä' }),
};

test('a route answers its method and path, with its status, type and length', async () => {
  const port = await serve(ROUTES);
  const index = await fetch(`http://127.0.0.1:${port}/`);
  assert.deepEqual([index.status, await index.text()], [200, 'index\n']);
  assert.equal(index.headers.get('content-type'), 'text/plain; charset=utf-8');
  const acted = await fetch(`http://127.0.0.1:${port}/act`, { method: 'POST', body: 'anything' });
  assert.deepEqual([acted.status, await acted.text()], [202, 'done\n']);
});

test('the length counts bytes, whether the body is text or bytes', async () => {
  const port = await serve(ROUTES);
  for (const method of ['GET', 'POST']) {
    const answer = await fetch(`http://127.0.0.1:${port}/both`, { method });
    assert.equal(answer.headers.get('content-length'), '2');
    assert.equal(await answer.text(), 'ä');
  }
});

test('a handler sees the query and what the client accepts', async () => {
  const port = await serve(ROUTES);
  const answer = await fetch(`http://127.0.0.1:${port}/echo?a=1&b`, { headers: { accept: 'text/x' } });
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.deepEqual(await answer.json(), { method: 'GET', path: '/echo', query: '?a=1&b', accept: 'text/x' });
});

test('HEAD answers as GET does, without the body', async () => {
  const port = await serve(ROUTES);
  const answer = await exchange(port, 'HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /\r\ncontent-length: 6\r\n/i);
  assert.match(answer, /\r\n\r\n$/);
});

test('a path that nobody serves is not found', async () => {
  const port = await serve(ROUTES);
  for (const path of ['/none', '/echo/', '/ECHO', '/constructor']) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    assert.deepEqual([answer.status, await answer.text()], [404, 'not found\n'], path);
  }
});

test('a method that a path does not take is refused with those that it takes', async () => {
  const port = await serve(ROUTES);
  const allowed = async (method: string, path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    assert.equal(answer.status, 405, path);
    return answer.headers.get('allow');
  };
  assert.equal(await allowed('DELETE', '/'), 'GET, HEAD');
  assert.equal(await allowed('GET', '/act'), 'POST');
  assert.equal(await allowed('HEAD', '/act'), 'POST');
  assert.equal(await allowed('PUT', '/both'), 'GET, HEAD, POST');
});

test('a target that is no URL is a bad request', async () => {
  const port = await serve(ROUTES);
  const answer = await exchange(port, 'GET // HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match(answer, /^HTTP\/1\.1 400 /);
});

test('bytes that are no HTTP close their own connection, and the server goes on', async () => {
  const port = await serve(ROUTES);
  assert.match(await exchange(port, '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
});

test('a handler that throws or rejects answers 500 with the words, and the server goes on', async () => {
  const definition = { side: 'internal', hint: '' } as const;
  const port = await serve({
    'GET /throws': () => {
      throw new AmbitError('AMBIT_X', definition, 'no disk');
    },
    'GET /rejects': () => Promise.reject(new Error('no luck')),
  });
  for (const [path, words] of [
    ['/throws', 'no disk\n'],
    ['/rejects', 'no luck\n'],
    ['/throws', 'no disk\n'],
  ] as const) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    assert.deepEqual([answer.status, await answer.text()], [500, words]);
  }
});

test('a port that is taken is an error of listening', async () => {
  const port = await serve(ROUTES);
  const second = new HttpEndpoint(ROUTES);
  await assert.rejects(second.listen('127.0.0.1', port), { code: 'EADDRINUSE' });
});

test('closing cuts connections that are open and takes no more', async () => {
  const port = await serve(ROUTES);
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(socket, 'data');
  const closed = once(socket, 'close');
  socket.on('error', () => {});
  open.pop()!.close();
  await closed;
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`));
});
