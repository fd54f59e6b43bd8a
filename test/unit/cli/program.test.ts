/** The commands that people type, against an admin API that answers as a proxy would, or not at all. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { HttpEndpoint, jsonResponse } from '../../../src/telemetry/http-endpoint.ts';
import { adminEndpoint } from '../../../src/ztunnel/admin/admin-server.ts';
import { ambit, LAUNCHER } from '../../support/ambit-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const open: HttpEndpoint[] = [];
afterEach(() => {
  for (const endpoint of open.splice(0)) endpoint.close();
});

const DUMP = {
  workloads: [
    { name: 'orders-0', namespace: 'shop', workloadIps: ['10.244.1.2'], node: 'node1', protocol: 'HBONE' },
    { name: 'db-0', namespace: 'data', workloadIps: ['10.244.2.3'], node: 'node2', protocol: 'TCP' },
  ],
  services: [{ name: 'orders', namespace: 'shop', vips: ['/10.96.0.9'], endpoints: {} }],
  policies: [{ name: 'p', namespace: 'shop', action: 'Allow', scope: 'Namespace' }],
  certificates: [{ identity: 'spiffe://cluster.local/ns/shop/sa/orders', state: 'Available', certChain: [] }],
  workloadState: {
    u1: {
      state: 'Up',
      info: { name: 'orders-0', namespace: 'shop' },
      connections: { inbound: [], outbound: [{ src: '10.244.1.2:1', actualDst: '10.244.2.3:15008' }] },
    },
  },
};

function savedDump(dump: unknown, name = 'dump.json'): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(dump));
  return path;
}

/** A proxy's admin API on some port; what its log levels are told is kept. */
async function proxy(dump: object = DUMP) {
  const levels: (string | undefined)[] = [];
  const endpoint = adminEndpoint({
    configDump: async () => dump,
    setLogLevels: (specification) => {
      levels.push(specification);
      return specification === 'loud' ? 'loud' : undefined;
    },
    shutdown() {},
  });
  open.push(endpoint);
  return { address: `127.0.0.1:${await endpoint.listen('127.0.0.1', 0)}`, levels };
}

/** An address where nobody listens. */
async function nobody(): Promise<string> {
  const endpoint = new HttpEndpoint({});
  const port = await endpoint.listen('127.0.0.1', 0);
  endpoint.close();
  return `127.0.0.1:${port}`;
}

test('without a command the usage is shown, and a command that is not known is wrong usage', async () => {
  const usage = await ambit();
  assert.equal(usage.code, 0);
  for (const command of ['status', 'ztunnel-config', 'sandbox'])
    assert.match(usage.stdout, new RegExp(command));
  const unknown = await ambit('dance');
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /unknown command 'dance'/);
});

test('wrong options end with 2 and name what is wrong', async () => {
  const cases: readonly (readonly [RegExp, ...string[]])[] = [
    [/xml/, 'zc', 'workload', '-o', 'xml'],
    [/--bogus/, 'status', '--bogus'],
    [/too many arguments/, 'zc', 'service', 'orders', 'extra'],
    [/sideways/, 'zc', 'connections', '--direction', 'sideways'],
    [/not the host:port/, 'zc', 'workload', '--admin', 'http://localhost:15000'],
    [/not the host:port/, 'zc', 'workload', '--admin', 'no host'],
    [/can only be read/, 'zc', 'log', '-f', savedDump(DUMP)],
  ];
  for (const [words, ...args] of cases) {
    const { code, stdout, stderr } = await ambit(...args);
    assert.deepEqual([code, stdout], [2, ''], args.join(' '));
    assert.match(stderr, words);
  }
});

test('a proxy that cannot be reached ends with 3, and says who and what to do', async () => {
  const address = await nobody();
  for (const command of ['workload', 'log']) {
    const { code, stdout, stderr } = await ambit('zc', command, '--admin', address);
    assert.deepEqual([code, stdout], [3, '']);
    assert.match(
      stderr,
      new RegExp(`^ambit: http://${address} cannot be reached: .*\\n  AMBIT_CLI_UNREACHABLE: `),
    );
  }
});

test('a proxy that fails to answer ends with 3 and its own words', async () => {
  const endpoint = new HttpEndpoint({ 'GET /config_dump': () => ({ status: 503, body: 'busy\n' }) });
  open.push(endpoint);
  const address = `127.0.0.1:${await endpoint.listen('127.0.0.1', 0)}`;
  const { code, stderr } = await ambit('zc', 'workload', '--admin', address);
  assert.equal(code, 3);
  assert.match(stderr, /\/config_dump answered 503: busy\n/);
});

test('what answers but is no proxy ends with 1', async () => {
  const endpoint = new HttpEndpoint({ 'GET /config_dump': () => jsonResponse({ hello: 'world' }) });
  open.push(endpoint);
  const address = `127.0.0.1:${await endpoint.listen('127.0.0.1', 0)}`;
  const { code, stderr } = await ambit('zc', 'workload', '--admin', address);
  assert.equal(code, 1);
  assert.match(stderr, /is not the config dump of a node proxy\n {2}AMBIT_CLI_BAD_DUMP: /);
});

test('a table has titles unless they are left out', async () => {
  const { address } = await proxy();
  const withTitles = await ambit('ztunnel-config', 'workload', '--admin', address);
  assert.deepEqual([withTitles.code, withTitles.stderr], [0, '']);
  assert.deepEqual(withTitles.stdout.split('\n'), [
    'NAMESPACE   POD NAME   ADDRESS      NODE    WAYPOINT   PROTOCOL',
    'data        db-0       10.244.2.3   node2   None       TCP',
    'shop        orders-0   10.244.1.2   node1   None       HBONE',
    '',
  ]);
  const bare = await ambit(
    'zc',
    'workload',
    '--admin',
    address,
    '--no-headers',
    '--workload-namespace',
    'data',
  );
  assert.equal(bare.stdout, 'data   db-0   10.244.2.3   node2   None   TCP\n');
});

test('a saved dump is read in place of a running proxy, by every table', async () => {
  const path = savedDump(DUMP);
  const first = async (command: string) => (await ambit('zc', command, '-f', path, '--no-headers')).stdout;
  assert.match(await first('service'), /^shop {3}orders {3}10\.96\.0\.9 {3}None {3}0\/0\n$/);
  assert.match(await first('policy'), /^shop {3}p {3}Allow {3}Namespace\n$/);
  assert.match(
    await first('certificate'),
    /^spiffe:\/\/cluster\.local\/ns\/shop\/sa\/orders {3}- {3}Available/,
  );
  assert.match(
    await first('connections'),
    /^orders-0\.shop {3}Outbound {3}orders-0\.shop:1 {3}db-0\.data:15008/,
  );
});

test('a dump that is not there or is none ends with 1', async () => {
  for (const path of [join(folder, 'missing'), savedDump([], 'list.json')]) {
    const { code, stdout, stderr } = await ambit('zc', 'policy', '-f', path);
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /AMBIT_CLI_BAD_DUMP/);
  }
});

test('JSON and YAML hold the same rows as the table', async () => {
  const path = savedDump(DUMP);
  const rows = [{ namespace: 'shop', name: 'p', action: 'Allow', scope: 'Namespace' }];
  const json = await ambit('zc', 'policy', '-f', path, '-o', 'json');
  assert.deepEqual(JSON.parse(json.stdout), rows);
  const yaml = await ambit('zc', 'policy', '-f', path, '--output', 'yaml');
  assert.equal(yaml.stdout, '- namespace: shop\n  name: p\n  action: Allow\n  scope: Namespace\n');
});

test('log levels are shown, changed and set back', async () => {
  const { address, levels } = await proxy();
  const shown = await ambit('zc', 'log', '--admin', address);
  assert.deepEqual([shown.code, shown.stdout], [0, `${address}: current log level is info\n`]);
  assert.deepEqual(levels, []);
  assert.equal((await ambit('zc', 'log', '--admin', address, '--level', 'access=debug,info')).code, 0);
  assert.equal((await ambit('zc', 'log', '--admin', address, '--reset')).code, 0);
  assert.deepEqual(levels, ['access=debug,info', undefined]);
});

test('a level that the proxy does not understand is wrong usage', async () => {
  const { address } = await proxy();
  const { code, stderr } = await ambit('zc', 'log', '--admin', address, '--level', 'loud');
  assert.equal(code, 2);
  assert.match(stderr, /answered 400: invalid level: loud\n/);
});

test('the status of a proxy that does all it should is ok and ends with 0', async () => {
  const { address } = await proxy();
  const { code, stdout } = await ambit('status', '--admin', address, '-o', 'json');
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(stdout), [
    {
      node: address,
      state: 'ok',
      pods: '1/1',
      workloads: 2,
      services: 1,
      policies: 1,
      certificates: '1/1',
      connections: 1,
    },
  ]);
});

test('the status of a proxy that cannot be reached is a line that says so, and ends with 1', async () => {
  const address = await nobody();
  const { code, stdout, stderr } = await ambit('status', '--admin', address);
  assert.deepEqual([code, stderr], [1, '']);
  assert.match(stdout, new RegExp(`\\n${address} +unreachable: http://${address} cannot be reached: `));
});

test('the status tells pods that are not served, and identities without a certificate', async () => {
  const pending = { ...DUMP, workloadState: { ...DUMP.workloadState, u2: { state: 'Pending' } } };
  const path = savedDump(pending, 'pending.json');
  const pods = await ambit('status', '-f', path, '--no-headers');
  assert.deepEqual([pods.code, /1 pods are not served {3}1\/2/.test(pods.stdout)], [1, true]);
  const waiting = { ...DUMP, certificates: [{ identity: 'x', state: 'Initializing' }] };
  const identities = await ambit('status', '-f', savedDump(waiting, 'waiting.json'), '--no-headers');
  assert.deepEqual([identities.code, /1 identities lack a certificate/.test(identities.stdout)], [1, true]);
});

test('the status of a file that is no dump does not speak of reaching anybody', async () => {
  const { code, stdout } = await ambit('status', '-f', savedDump([], 'list.json'));
  assert.equal(code, 1);
  assert.match(stdout, /is not the config dump of a node proxy/);
  assert.doesNotMatch(stdout, /unreachable/);
});

test('a very large mesh can be printed, and a reader that has seen enough may leave', async () => {
  const workloads = Array.from({ length: 150_000 }, (_, i) => ({ name: `pod-${i}`, namespace: 'shop' }));
  const path = savedDump({ workloads }, 'large.json');
  const child = spawn(LAUNCHER, ['zc', 'workload', '-f', path], { stdio: ['ignore', 'pipe', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const closed = once(child, 'close');
  const [first] = await once(child.stdout, 'data');
  assert.match(String(first), /^NAMESPACE {3}POD NAME/);
  child.stdout.destroy();
  const [code] = await closed;
  assert.deepEqual([code, complaints], [0, '']);
});
