/** The admin page of the node proxy over real HTTP. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { HttpEndpoint } from '../../../src/telemetry/http-endpoint.ts';
import { logger, resetLogLevels, setLogLevels } from '../../../src/telemetry/log.ts';
import { type AdminActions, adminEndpoint } from '../../../src/ztunnel/admin/admin-server.ts';

const open: HttpEndpoint[] = [];
afterEach(() => {
  for (const endpoint of open.splice(0)) endpoint.close();
  resetLogLevels();
});

async function bench() {
  const done: string[] = [];
  const actions: AdminActions = {
    configDump: async () => ({ workloads: [], note: 'ä' }),
    setLogLevels: (specification) => {
      if (specification !== undefined) return setLogLevels(specification);
      resetLogLevels();
      return undefined;
    },
    shutdown: () => done.push('shutdown'),
  };
  const endpoint = adminEndpoint(actions);
  open.push(endpoint);
  const port = await endpoint.listen('127.0.0.1', 0);
  const ask = async (request: string) => {
    const [method, path] = request.split(' ');
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: method! });
    return { status: answer.status, type: answer.headers.get('content-type'), text: await answer.text() };
  };
  return { ask, done };
}

test('the index names every page with its method', async () => {
  const { ask } = await bench();
  const { status, text } = await ask('GET /');
  assert.equal(status, 200);
  const pages = [...text.matchAll(/^ {2}(GET|POST)\s+(\/[\w/]+)/gm)].map(
    ([, method, path]) => `${method} ${path}`,
  );
  assert.deepEqual(pages, [
    'GET /config_dump',
    'GET /logging',
    'POST /logging',
    'GET /debug/pprof/profile',
    'POST /quitquitquit',
  ]);
});

test('the dump is JSON', async () => {
  const { ask } = await bench();
  const { status, type, text } = await ask('GET /config_dump');
  assert.deepEqual([status, type], [200, 'application/json']);
  assert.deepEqual(JSON.parse(text), { workloads: [], note: 'ä' });
});

test('levels are shown, set for all or some scopes, and set back', async () => {
  const { ask } = await bench();
  assert.equal((await ask('GET /logging')).text, 'current log level is info\n');
  assert.equal((await ask('POST /logging')).text, 'current log level is info\n');
  const { text } = await ask('POST /logging?level=access=debug,warn');
  assert.equal(text, 'current log level is warn,access=debug\n');
  assert.deepEqual([logger('access').enabled('debug'), logger('xds').enabled('info')], [true, false]);
  assert.equal((await ask('GET /logging')).text, text);
  assert.equal((await ask('POST /logging?reset')).text, 'current log level is info\n');
  assert.equal(logger('access').enabled('debug'), false);
});

test('a level that is not understood is refused by name, and nothing changes', async () => {
  const { ask } = await bench();
  for (const [query, part] of [
    ['level=loud', 'loud'],
    ['level=debug,access=loud', 'access=loud'],
    ['level=', ''],
  ]) {
    const { status, text } = await ask(`POST /logging?${query}`);
    assert.deepEqual([status, text], [400, `invalid level: ${part}\n`]);
  }
  assert.equal((await ask('GET /logging')).text, 'current log level is info\n');
});

test('a profile is refused beyond its bounds', async () => {
  const { ask } = await bench();
  const wrong = ['seconds=0', 'seconds=301', 'seconds=-1', 'seconds=1.5', 'seconds=x', 'seconds='];
  const frequencies = ['seconds=1&frequency=0', 'seconds=1&frequency=1001', 'seconds=1&frequency=often'];
  for (const query of [...wrong, ...frequencies]) {
    const { status, text } = await ask(`GET /debug/pprof/profile?${query}`);
    assert.deepEqual([status, text], [400, 'seconds must be 1 to 300 and frequency 1 to 1000\n'], query);
  }
});

interface CpuProfile {
  readonly nodes: readonly { id: number; callFrame: { functionName: string }; children?: number[] }[];
  readonly startTime: number;
  readonly endTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

test('a CPU profile is what Chrome opens: a tree of calls, and samples that point into it', async () => {
  const { ask } = await bench();
  const { status, type, text } = await ask('GET /debug/pprof/profile?seconds=1&frequency=1000');
  assert.deepEqual([status, type], [200, 'application/json']);
  const profile = JSON.parse(text) as CpuProfile;
  const ids = new Set(profile.nodes.map((node) => node.id));
  assert.equal(profile.nodes[0]?.callFrame.functionName, '(root)');
  assert.ok(profile.nodes.every((node) => (node.children ?? []).every((child) => ids.has(child))));
  assert.ok(profile.samples.length > 0 && profile.samples.every((sample) => ids.has(sample)));
  assert.equal(profile.timeDeltas.length, profile.samples.length);
  assert.ok(profile.endTime > profile.startTime);
});

test('the proxy is told to stop by a POST, and by nothing else', async () => {
  const { ask, done } = await bench();
  assert.equal((await ask('GET /quitquitquit')).status, 405);
  assert.equal((await ask('HEAD /quitquitquit')).status, 405);
  assert.deepEqual(done, []);
  assert.equal((await ask('POST /quitquitquit')).text, 'shutdown now\n');
  assert.deepEqual(done, ['shutdown']);
});

test('pages that are not there are not found, and pages take only their methods', async () => {
  const { ask } = await bench();
  assert.equal((await ask('GET /stats')).status, 404);
  assert.equal((await ask('POST /config_dump')).status, 405);
  assert.equal((await ask('DELETE /logging')).status, 405);
  assert.deepEqual(await ask('HEAD /config_dump').then(({ status, text }) => [status, text]), [200, '']);
});
