/** `ambit controlplane` as a process: its flags, its environment, its end. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseControlPlaneFlags } from '../../../src/controlplane/command.ts';
import { parseListenAddress } from '../../../src/controlplane/config.ts';
import { eventually, eventuallyAnswers } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import { makeFolder } from '../../support/manifest-folder.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const NEEDED = ['--objects', 'o', '--ca-dir', 'c', '--token-key', 'k'];
const SILENT = { writeErr: () => {}, writeOut: () => {} };

const COMMON = {
  listen: { port: 15012 },
  http: { host: '127.0.0.1', port: 8080 },
  trustDomain: 'cluster.local',
  clusterId: 'Kubernetes',
  clusterDomain: 'cluster.local',
  network: '',
  rootNamespace: 'istio-system',
  servingNames: {
    dnsNames: ['istiod.istio-system.svc', 'ambit-controlplane.ambit-system.svc', 'localhost'],
    ips: [],
  },
  trustedNodeAccounts: ['ambit-system/ambit-ztunnel', 'ambit-system/ztunnel', 'istio-system/ztunnel'],
};

test('the defaults are those of the mesh', () => {
  assert.deepEqual(parseControlPlaneFlags(NEEDED), {
    kind: 'folder',
    objects: 'o',
    caDir: 'c',
    tokenKey: 'k',
    ...COMMON,
  });
});

test('without a folder of objects they come from an API server', () => {
  assert.deepEqual(parseControlPlaneFlags(['--identity', 'pod-1']), {
    kind: 'kubernetes',
    kubeconfig: undefined,
    context: undefined,
    namespace: 'ambit-system',
    identity: 'pod-1',
    caSecret: 'ambit-ca',
    tokenAudiences: ['ambit-ca', 'istio-ca'],
    ...COMMON,
  });
});

test('another namespace has its own names and its own node proxies', () => {
  const { servingNames, trustedNodeAccounts } = parseControlPlaneFlags(['--namespace', 'mesh']);
  assert.ok(servingNames.dnsNames.includes('ambit-controlplane.mesh.svc'));
  assert.ok(trustedNodeAccounts.includes('mesh/ambit-ztunnel'));
  const own = parseControlPlaneFlags(['--trusted-node-account', 'a/b,c/d', '--trusted-node-account', 'e/f']);
  assert.deepEqual(own.trustedNodeAccounts, ['a/b', 'c/d', 'e/f']);
});

test('serving names add to the default ones, sorted into names and addresses', () => {
  const { servingNames } = parseControlPlaneFlags([
    ...NEEDED,
    ...['--serving-name', 'cp.example.org', '--serving-name', '10.0.0.1,::1'],
  ]);
  assert.deepEqual(servingNames.dnsNames.slice(3), ['cp.example.org']);
  assert.deepEqual(servingNames.ips, ['10.0.0.1', '::1']);
});

test('addresses to listen on are of one host, or of all', () => {
  assert.deepEqual(parseListenAddress('0.0.0.0:1'), { port: 1 });
  assert.deepEqual(parseListenAddress('[::]:1'), { port: 1 });
  assert.deepEqual(parseListenAddress(':1'), { port: 1 });
  assert.deepEqual(parseListenAddress('[::1]:15012'), { host: '::1', port: 15012 });
  assert.deepEqual(parseListenAddress('localhost:0'), { host: 'localhost', port: 0 });
  for (const wrong of ['', '1', 'a:b', '::1:5', 'a:70000']) {
    assert.throws(() => parseListenAddress(wrong), { code: 'AMBIT_CONTROLPLANE_CONFIG_INVALID' }, wrong);
  }
});

test('what is missing or unknown is refused', () => {
  for (const incomplete of [NEEDED.slice(0, 2), NEEDED.slice(0, 4)]) {
    assert.throws(() => parseControlPlaneFlags(incomplete), { code: 'AMBIT_CONTROLPLANE_CONFIG_INVALID' });
  }
  assert.throws(() => parseControlPlaneFlags([...NEEDED, '--what'], SILENT), {
    code: 'commander.unknownOption',
  });
});

function run(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, 'controlplane', ...args],
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  child.stdout.on('data', (data) => {
    output += data;
  });
  child.stderr.on('data', (data) => {
    output += data;
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => resolve(code));
  });
  return { child, ended, output: () => output };
}

test('the process serves until SIGTERM and then ends with 0; its environment may stand for flags', async (t) => {
  const root = makeFolder(t);
  mkdirSync(join(root, 'objects'));
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(root, 'token.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const env = {
    AMBIT_OBJECTS: join(root, 'objects'),
    AMBIT_CA_DIR: join(root, 'ca'),
    AMBIT_LISTEN: '127.0.0.1:0',
  };
  const { child, ended, output } = run(
    t,
    ['--token-key', join(root, 'token.pub'), '--http', '127.0.0.1:0'],
    env,
  );
  await eventually('the process to serve', () => output().includes('serving'), 30_000);
  child.kill('SIGTERM');
  assert.equal(await ended, 0, output());
  assert.match(output(), /stopping/);
});

test('while there is no API server probes are answered, and the process can be told to stop', async (t) => {
  const kubeconfig = join(makeFolder(t), 'kubeconfig');
  writeFileSync(kubeconfig, JSON.stringify(UNREACHABLE));
  const http = await freePort();
  const { child, ended, output } = run(t, ['--kubeconfig', kubeconfig, '--http', `127.0.0.1:${http}`]);
  const page = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${http}${path}`);
    return `${response.status} ${await response.text()}`;
  };
  assert.equal(await eventuallyAnswers('a page', () => page('/healthz'), 30_000), '200 ok\n');
  assert.equal(await page('/readyz'), '503 starting\n');
  child.kill('SIGTERM');
  assert.equal(await ended, 0, output());
});

const UNREACHABLE = {
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'none', cluster: { server: 'https://127.0.0.1:1' } }],
  users: [{ name: 'nobody', user: { token: 'x' } }],
  contexts: [{ name: 'none', context: { cluster: 'none', user: 'nobody' } }],
  'current-context': 'none',
};

test('a wrong command line ends with 64, --help with 0, anything else that fails with 1', async (t) => {
  const wrong = run(t, ['--what']);
  const help = run(t, ['--help']);
  const broken = run(t, ['--objects', '/nowhere', '--ca-dir', makeFolder(t), '--token-key', '/nowhere']);
  assert.deepEqual([await wrong.ended, await help.ended, await broken.ended], [64, 0, 1]);
  assert.match(help.output(), /--serving-name/);
  assert.match(broken.output(), /AMBIT_CONTROLPLANE_CONFIG_INVALID/);
});
