/** The reflector against an API server that misbehaves in every way that is known. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ReflectorTiming } from '../../../src/kube/reflector.ts';
import { eventually } from '../../support/eventually.ts';
import {
  answerJson,
  answerStatus,
  type HostileApiServer,
  lineOf,
  type Misbehaviour,
  statusObject,
} from '../../support/hostile-api-server.ts';
import { ReflectedThings } from '../../support/reflected-things.ts';

/** Reading, and watching from the first list on. */
async function watching(t: TestContext, timing: Partial<ReflectorTiming> = {}): Promise<ReflectedThings> {
  const things = await ReflectedThings.start(t, timing);
  things.server.put('a', '1');
  things.server.put('b', '1');
  things.reflector.start();
  await things.reflector.synced;
  await eventually('a watch', () => things.server.openWatches === 1);
  return things;
}

function agreement(things: ReflectedThings): Promise<true> {
  return eventually('the view agrees with the server', () => things.agrees() || undefined);
}

function count(server: HostileApiServer, kind: 'list' | 'watch'): number {
  return server.requests.filter((request) => request.kind === kind).length;
}

/** Says these lines and leaves the watch open. */
function saying(...lines: readonly string[]): Misbehaviour {
  return ({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    for (const line of lines) response.write(line);
  };
}

test('a list comes in pages, and is followed by a watch that asks for bookmarks and for a random time', async (t) => {
  const things = await ReflectedThings.start(t);
  for (let i = 0; i < 603; i++) things.server.put(`thing-${i}`, '1');
  things.reflector.start();
  await things.reflector.synced;
  assert.ok(things.agrees());
  await eventually('a watch', () => things.server.openWatches === 1);
  const [first, second, third, watch] = things.server.requests;
  assert.deepEqual(
    [first, second, third].map((one) => [one?.query.get('limit'), one?.query.get('continue')]),
    [
      ['250', null],
      ['250', '250'],
      ['250', '500'],
    ],
  );
  assert.equal(watch?.query.get('allowWatchBookmarks'), 'true');
  assert.equal(watch?.query.get('resourceVersion'), String(things.server.version));
  const seconds = Number(watch?.query.get('timeoutSeconds'));
  assert.ok(seconds >= 290 && seconds <= 590, String(seconds));
  await eventually('the state', () => things.reflector.state === 'watching');
});

test('many lists and watches share few connections, and speak HTTP/1.1', async (t) => {
  const things = await watching(t);
  for (let i = 0; i < 50; i++) {
    const watches = count(things.server, 'watch');
    things.server.cutWatches('close');
    await eventually('the next watch', () => count(things.server, 'watch') > watches);
    await eventually('it is open', () => things.server.openWatches === 1);
  }
  assert.ok(things.server.connections <= 3, `${things.server.connections} connections`);
  assert.ok(things.server.requests.every(({ httpVersion }) => httpVersion === '1.1'));
});

test('after a clean end the watch goes on at once from the last version, without a list', async (t) => {
  const things = await watching(t, { backoffMs: [60_000, 60_000] });
  things.server.put('c', '1');
  await agreement(things);
  things.server.cutWatches('close');
  things.server.put('c', '2');
  await agreement(things);
  assert.equal(count(things.server, 'list'), 1);
  assert.deepEqual(things.told, ['upsert c 1', 'upsert c 2']);
  assert.equal(things.reflector.failure, undefined);
});

test('a reset does not stop it: it goes on from the last version, and nothing is lost or told twice', async (t) => {
  const things = await watching(t);
  for (let i = 0; i < 20; i++) {
    things.server.put('c', String(i));
    await agreement(things);
    things.server.cutWatches('reset');
    things.server.remove('b');
    things.server.put('b', String(i));
    await agreement(things);
  }
  assert.equal(count(things.server, 'list'), 1);
  assert.equal(things.told.length, 60);
  assert.equal(things.reflector.counters.failures, 20);
});

test('bookmarks alone move the version to resume from', async (t) => {
  const things = await watching(t);
  things.server.cutWatches('close');
  await eventually('a watch', () => things.server.openWatches === 1);
  for (let i = 0; i < 10; i++) things.server.put('c', 'told, and then forgotten by the server');
  things.server.bookmark();
  await eventually('a bookmark', () => things.reflector.counters.bookmarks === 1);
  things.server.compactedTo = things.server.version;
  things.server.cutWatches('reset');
  await eventually('a watch', () => things.server.openWatches === 1);
  assert.equal(things.reflector.counters.expired, 0);
  assert.equal(count(things.server, 'list'), 1);
});

for (const form of ['status', 'event'] as const) {
  test(`a version that is too old, told by HTTP ${form}, leads to a list; what went meanwhile is deleted`, async (t) => {
    const things = await watching(t, { backoffMs: [60_000, 60_000] });
    const { server } = things;
    server.watches.push(
      form === 'status'
        ? ({ response }) => answerStatus(response, 410, 'Gone')
        : saying(lineOf({ type: 'ERROR', object: statusObject(410, 'Expired') })),
    );
    server.cutWatches('close');
    server.remove('a');
    server.put('c', '1');
    await agreement(things);
    await eventually('watching again', () => server.openWatches === 1);
    assert.deepEqual(things.contents(), { b: '1', c: '1' });
    assert.equal(things.reflector.counters.expired, 1);
    assert.equal(things.reflector.counters.relists, 1);
    assert.equal(things.reflector.failure, undefined, 'this is ordinary life');
  });
}

test('versions that are too old over and over are not a storm of lists', async (t) => {
  const things = await watching(t, { backoffMs: [50, 100] });
  for (let i = 0; i < 1000; i++)
    things.server.watches.push(({ response }) => answerStatus(response, 410, 'Gone'));
  things.server.cutWatches('close');
  await delay(1000);
  assert.ok(count(things.server, 'list') < 30, `${count(things.server, 'list')} lists`);
  things.server.watches.length = 0;
  await agreement(things);
});

for (const [what, line] of [
  ['a line that is not JSON', '{"type":"MODIFIED","object":{"metad\n'],
  ['bytes that are no text', '\xff\xfe\x00\n'],
  ['JSON that is no event', '[1]\n'],
  ['an unknown type', `${JSON.stringify({ type: 'RENAMED', object: {} })}\n`],
  ['an object without a name', `${JSON.stringify({ type: 'ADDED', object: { metadata: {} } })}\n`],
  [
    'an object without a version',
    `${JSON.stringify({ type: 'ADDED', object: { metadata: { name: 'x' } } })}\n`,
  ],
  ['a bookmark without a version', `${JSON.stringify({ type: 'BOOKMARK', object: {} })}\n`],
] as const) {
  test(`${what} is counted and leads to a list`, async (t) => {
    const things = await watching(t);
    things.server.broadcast(line);
    await eventually('counted', () => things.reflector.counters.undecodable === 1);
    things.server.remove('a');
    await agreement(things);
    assert.ok(things.reflector.counters.relists >= 1);
  });
}

test('what came before a line that cannot be read has happened all the same', async (t) => {
  const things = await watching(t);
  things.server.lists.push(({ response }) => answerStatus(response, 500, 'InternalError'));
  const object = things.server.put('c', '1');
  await agreement(things);
  const next = {
    ...object,
    metadata: { ...object.metadata, resourceVersion: '999999' },
    spec: { value: '2' },
  };
  things.server.broadcast(`${lineOf({ type: 'MODIFIED', object: next })}garbage\n`);
  await eventually('told', () => things.told.includes('upsert c 2'));
});

test('an event that is cut off is asked for again, without a list', async (t) => {
  const things = await watching(t);
  const whole = lineOf({ type: 'MODIFIED', object: { metadata: { name: 'a', resourceVersion: '5000' } } });
  things.server.broadcast(whole.slice(0, 40));
  await delay(20);
  things.server.cutWatches('close');
  things.server.put('a', '2');
  await agreement(things);
  assert.equal(count(things.server, 'list'), 1);
  assert.equal(things.reflector.counters.undecodable, 0);
});

test('events may come in any pieces', async (t) => {
  const things = await watching(t);
  const { server } = things;
  server.watches.push(({ response }) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const object = server.put('ü-\u{1f600}', 'ø');
    const bytes = Buffer.from(`\n${lineOf({ type: 'ADDED', object })}\n`);
    const timer = setInterval(() => {
      const at = sent++;
      if (at < bytes.length) response.write(bytes.subarray(at, at + 1));
      else clearInterval(timer);
    }, 0);
    let sent = 0;
  });
  server.cutWatches('close');
  await agreement(things);
  assert.equal(things.reflector.counters.undecodable, 0);
});

test('events that have been told before are not told again', async (t) => {
  const things = await watching(t);
  const { server } = things;
  const old = server.put('c', '1');
  server.put('c', '2');
  server.remove('a');
  await agreement(things);
  const told = things.told.length;
  for (let i = 0; i < 3; i++) server.broadcast(lineOf({ type: 'MODIFIED', object: old }));
  await eventually('counted', () => things.reflector.counters.duplicates === 3);
  assert.equal(things.told.length, told);
  assert.ok(things.agrees());
});

test('a watch that says nothing and is never ended is cut when it is overdue, and goes on', async (t) => {
  const things = await watching(t, { watchSeconds: [0, 0], overdueMs: 50 });
  await eventually('several were cut', () => things.reflector.counters.overdue >= 3);
  things.server.put('c', '1');
  await agreement(things);
  assert.equal(count(things.server, 'list'), 1);
});

test('a server that never answers a list or a watch is asked again', async (t) => {
  const things = await ReflectedThings.start(t, { answerMs: 100 });
  const { server } = things;
  server.put('a', '1');
  server.lists.push(
    () => {},
    ({ response }) => response.writeHead(200, { 'content-type': 'application/json' }).write('{"metadata":'),
  );
  server.watches.push(() => {});
  things.reflector.start();
  await eventually('a watch', () => server.openWatches === 1);
  assert.equal(count(server, 'list'), 3);
  assert.equal(count(server, 'watch'), 2);
  await eventually('its answer', () => things.reflector.failure === undefined);
});

for (const [what, page] of [
  ['pages that never end', (n: number) => ({ continue: String(n) })],
  ['a page that follows itself', () => ({ continue: 'again' })],
  ['a list without a version', () => ({})],
] as const) {
  test(`${what} are not believed`, async (t) => {
    const things = await ReflectedThings.start(t);
    const { server } = things;
    server.put('a', '1');
    let pages = 0;
    const misbehave: Misbehaviour = ({ response }) => {
      pages++;
      if (!isCured) server.lists.push(misbehave);
      answerJson(response, 200, { metadata: page(pages), items: [] });
    };
    let isCured = false;
    server.lists.push(misbehave);
    things.reflector.start();
    await eventually('noticed', () => things.reflector.counters.undecodable > 0, 30_000);
    isCured = true;
    server.lists.length = 0;
    await things.reflector.synced;
    assert.ok(things.agrees());
  });
}

for (const [what, body] of [
  ['HTML', '<html>Bad gateway</html>'],
  ['a list that is cut off', '{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"x"'],
  ['no list', '{"metadata":{"resourceVersion":"1"},"items":7}'],
  ['objects without a name', '{"metadata":{"resourceVersion":"1"},"items":[{}]}'],
] as const) {
  test(`${what} instead of a list changes nothing of the view`, async (t) => {
    const things = await watching(t);
    const { server } = things;
    const before = things.contents();
    for (let i = 0; i < 3; i++) {
      server.lists.push(({ response }) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end(body);
      });
    }
    server.watches.push(({ response }) => answerStatus(response, 410, 'Gone'));
    server.cutWatches('close');
    await eventually('noticed', () => things.reflector.counters.undecodable >= 3);
    assert.deepEqual(things.contents(), before);
    server.put('c', '1');
    await agreement(things);
  });
}

test('a server that is busy is left alone for as long as it asks', async (t) => {
  const things = await watching(t);
  const { server } = things;
  server.watches.push(({ response }) => {
    response.writeHead(429, { 'retry-after': '1' }).end();
  });
  server.cutWatches('close');
  const [refused, next] = await eventually('the watch after the refused one', () => {
    const watches = server.requests.filter(({ kind }) => kind === 'watch').slice(1);
    return watches.length >= 2 ? watches : undefined;
  });
  assert.ok(next!.atMs - refused!.atMs >= 950, `${next!.atMs - refused!.atMs} ms`);
  assert.equal(count(server, 'list'), 1);
});

test('a server that ends every watch at once is not asked in a tight loop', async (t) => {
  const things = await watching(t, { backoffMs: [100, 1000], shortWatchMs: 1000 });
  const { server } = things;
  const end: Misbehaviour = ({ response }) => {
    server.watches.push(end);
    response.writeHead(200, { 'content-type': 'application/json' }).end();
  };
  server.watches.push(end);
  server.cutWatches('close');
  await delay(1000);
  assert.ok(count(server, 'watch') < 15, `${count(server, 'watch')} watches`);
});

test('failures wait longer and longer, until an event comes', async (t) => {
  // Delays are drawn from a span that doubles: here always from its end.
  t.mock.method(Math, 'random', () => 0.99);
  const things = await watching(t, { backoffMs: [20, 100_000] });
  const { server } = things;
  for (let i = 0; i < 7; i++) server.watches.push(({ response }) => server.reset(response));
  server.cutWatches('close');
  await eventually('watching again', () => server.openWatches === 1, 30_000);
  const times = server.requests.filter(({ kind }) => kind === 'watch').map(({ atMs }) => atMs);
  const lastGap = times.at(-1)! - times.at(-2)!;
  assert.ok(lastGap >= 1200, `${lastGap} ms before the last one`);
  server.put('c', '1');
  await agreement(things);
  const failedAt = performance.now();
  server.cutWatches('reset');
  await eventually('watching again', () => server.openWatches === 1);
  assert.ok(performance.now() - failedAt < lastGap, 'waits from the beginning again');
});

test('a refusal is told as the reason for as long as it lasts', async (t) => {
  const things = await watching(t);
  const { server } = things;
  const refuse: Misbehaviour = ({ response }) => answerStatus(response, 403, 'Forbidden');
  for (let i = 0; i < 3; i++) server.lists.push(refuse);
  server.watches.push(refuse);
  server.cutWatches('close');
  const failure = await eventually('told', () => things.reflector.failure);
  assert.equal(failure.code, 'AMBIT_KUBE_REQUEST_FAILED');
  assert.match(failure.message, /GET .*\/things was answered 403/);
  server.put('c', '1');
  await agreement(things);
  await eventually('over', () => things.reflector.failure === undefined);
});

test('a kind that is not installed is empty until it is, and again when it is taken away', async (t) => {
  const things = await ReflectedThings.start(t);
  const { server } = things;
  server.isInstalled = false;
  server.put('a', '1');
  things.reflector.start();
  await things.reflector.synced;
  assert.equal(things.reflector.state, 'absent');
  assert.equal(things.reflector.failure, undefined);
  assert.deepEqual(things.contents(), {});
  server.isInstalled = true;
  await agreement(things);
  server.isInstalled = false;
  server.cutWatches('close');
  await eventually('empty', () => Object.keys(things.contents()).length === 0);
});

test('a path that is not found although its kind is installed deletes nothing', async (t) => {
  const things = await watching(t);
  const { server } = things;
  for (let i = 0; i < 3; i++) server.lists.push(({ response }) => answerStatus(response, 404, 'NotFound'));
  server.watches.push(({ response }) => answerStatus(response, 404, 'NotFound'));
  server.cutWatches('close');
  await eventually('told', () => things.reflector.failure);
  assert.deepEqual(things.contents(), { a: '1', b: '1' });
  server.put('c', '1');
  await agreement(things);
});

test('a server that has gone back in time is listed anew', async (t) => {
  const things = await watching(t);
  const { server } = things;
  const causes = [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }];
  const status = { ...statusObject(504, 'Timeout'), details: { causes, retryAfterSeconds: 0 } };
  server.watches.push(({ response }) => answerJson(response, 504, status));
  server.cutWatches('close');
  await eventually('listed', () => things.reflector.counters.relists === 1);
  server.put('c', '1');
  await agreement(things);
});

test('after stop nothing is asked or told any more', async (t) => {
  const things = await watching(t);
  await things.reflector.stop();
  assert.equal(things.reflector.state, 'stopped');
  const { length } = things.server.requests;
  things.server.put('c', '1');
  await delay(50);
  assert.equal(things.server.requests.length, length);
  assert.equal(things.told.length, 0);
});

test('stopping before the first list is complete rejects whoever waits for it', async (t) => {
  const things = await ReflectedThings.start(t);
  things.server.lists.push(() => {});
  things.reflector.start();
  const { synced } = things.reflector;
  await Promise.all([things.reflector.stop(), assert.rejects(synced, { code: 'AMBIT_KUBE_STOPPED' })]);
});
