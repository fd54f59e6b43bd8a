/** HTTP over a stream to a pod. */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { duplexPair } from 'node:stream';
import { afterEach, test } from 'node:test';
import { requestThrough } from '../../../../src/cli/cluster/pod-http.ts';
import { HttpEndpoint } from '../../../../src/telemetry/http-endpoint.ts';

const open: HttpEndpoint[] = [];
afterEach(() => {
  for (const endpoint of open.splice(0)) endpoint.close();
});

async function streamTo(body: string, status = 200) {
  const endpoint = new HttpEndpoint({ 'GET /page': () => ({ status, body }) });
  open.push(endpoint);
  return connect({ host: '127.0.0.1', port: await endpoint.listen('127.0.0.1', 0) });
}

const EXCHANGE = { method: 'GET', path: '/page', origin: 'pod:15000', timeoutMs: 30_000 } as const;

test('the answer is its text, and the stream is closed', async () => {
  const stream = await streamTo('a page');
  assert.equal(await requestThrough(stream, EXCHANGE), 'a page');
  assert.equal(stream.destroyed, true);
});

test('an answer of many megabytes is complete', async () => {
  const page = 'x'.repeat(20_000_000);
  assert.equal((await requestThrough(await streamTo(page), EXCHANGE)).length, page.length);
});

test('a status that is no success is told with who said it; 400 is wrong usage', async () => {
  await assert.rejects(requestThrough(await streamTo('busy\n', 503), EXCHANGE), {
    code: 'AMBIT_CLI_UNREACHABLE',
    message: 'pod:15000/page answered 503: busy',
  });
  await assert.rejects(requestThrough(await streamTo('no', 400), EXCHANGE), { code: 'AMBIT_CLI_USAGE' });
});

test('a stream that ends early or is silent is nobody reached', async () => {
  const [near, far] = duplexPair();
  far.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort');
  await assert.rejects(requestThrough(near, EXCHANGE), { code: 'AMBIT_CLI_UNREACHABLE' });
  const [silent] = duplexPair();
  await assert.rejects(requestThrough(silent, { ...EXCHANGE, timeoutMs: 50 }), {
    code: 'AMBIT_CLI_UNREACHABLE',
    message: 'pod:15000 cannot be asked: no answer within 0.05 s',
  });
});
