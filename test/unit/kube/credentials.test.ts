/** Where credentials come from: the files of a pod, and kubeconfigs with all that may be in them. */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { stringify } from 'yaml';
import { KubeconfigCredentials } from '../../../src/kube/kubeconfig.ts';
import { ServiceAccountCredentials } from '../../../src/kube/service-account.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'kube-credentials-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function podFolder(t: TestContext): string {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'token'), 'first\n');
  writeFileSync(join(folder, 'ca.crt'), 'CA');
  writeFileSync(join(folder, 'namespace'), 'ambit-system');
  return folder;
}

const server = new URL('https://10.96.0.1:443');

test('a pod proves itself by its token, and knows the server by the CA beside it', async (t) => {
  const account = new ServiceAccountCredentials({ server, folder: podFolder(t) });
  assert.equal(account.namespace, 'ambit-system');
  assert.deepEqual(await account.headers(), { authorization: 'Bearer first' });
  assert.deepEqual(await account.tls(), { ca: 'CA' });
});

test('a token is read again once it was refused, and a CA for each new connection', async (t) => {
  const folder = podFolder(t);
  const account = new ServiceAccountCredentials({ server, folder });
  await account.headers();
  writeFileSync(join(folder, 'token'), 'second');
  writeFileSync(join(folder, 'ca.crt'), 'CA2');
  assert.deepEqual(await account.headers(), { authorization: 'Bearer first' }, 'not for every request');
  account.renew();
  assert.deepEqual(await account.headers(), { authorization: 'Bearer second' });
  assert.deepEqual(await account.tls(), { ca: 'CA2' });
});

test('a token is read again after a minute', async (t) => {
  const folder = podFolder(t);
  const account = new ServiceAccountCredentials({ server, folder });
  let now = performance.now();
  t.mock.method(performance, 'now', () => now);
  await account.headers();
  writeFileSync(join(folder, 'token'), 'second');
  now += 61_000;
  assert.deepEqual(await account.headers(), { authorization: 'Bearer second' });
});

test('a token that cannot be read is told as such', async (t) => {
  const folder = podFolder(t);
  rmSync(join(folder, 'token'));
  const account = new ServiceAccountCredentials({ server, folder });
  await assert.rejects(account.headers(), { code: 'AMBIT_KUBE_CREDENTIALS_UNAVAILABLE' });
});

interface ConfigParts {
  readonly user?: object;
  readonly cluster?: object;
  readonly namespace?: string;
}

function kubeconfig(t: TestContext, { user = {}, cluster = {}, namespace }: ConfigParts): string {
  const path = join(folderOf(t), 'config');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    contexts: [
      { name: 'one', context: { cluster: 'c', user: 'u', namespace } },
      { name: 'two', context: { cluster: 'd', user: 'u' } },
    ],
    clusters: [
      { name: 'c', cluster: { server: 'https://one.example:6443', ...cluster } },
      { name: 'd', cluster: { server: 'https://two.example:6443/below', ...cluster } },
    ],
    users: [{ name: 'u', user }],
  };
  writeFileSync(path, stringify(config));
  return path;
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

test('the current context is used, or the one that is named', (t) => {
  const path = kubeconfig(t, { namespace: 'shop' });
  const one = KubeconfigCredentials.load({ kubeconfig: path });
  assert.equal(one.server.href, 'https://one.example:6443/');
  assert.equal(one.namespace, 'shop');
  const two = KubeconfigCredentials.load({ kubeconfig: path, context: 'two' });
  assert.equal(two.server.href, 'https://two.example:6443/below');
  assert.equal(two.namespace, 'default');
});

test('certificates, a server name and a token come out of it', async (t) => {
  const path = kubeconfig(t, {
    user: { token: 'secret', 'client-certificate-data': base64('CERT'), 'client-key-data': base64('KEY') },
    cluster: { 'certificate-authority-data': base64('CA'), 'tls-server-name': 'api.internal' },
  });
  const credentials = KubeconfigCredentials.load({ kubeconfig: path });
  const tls = await credentials.tls();
  assert.deepEqual(
    [tls.ca, tls.cert, tls.key].map((pem) => String(pem)),
    ['CA', 'CERT', 'KEY'],
  );
  assert.equal(tls.servername, 'api.internal');
  assert.deepEqual(await credentials.headers(), { authorization: 'Bearer secret' });
});

test('a credential plugin is run, its answer kept, and asked again after a refusal', async (t) => {
  const folder = folderOf(t);
  const script = join(folder, 'plugin');
  const answer =
    '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t-$n"}}';
  writeFileSync(
    script,
    `#!/bin/sh\necho >> ${folder}/runs\nn=$(wc -l < ${folder}/runs)\ncat <<E\n${answer}\nE\n`,
  );
  chmodSync(script, 0o755);
  const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: script, args: [] };
  const credentials = KubeconfigCredentials.load({ kubeconfig: kubeconfig(t, { user: { exec } }) });
  assert.deepEqual(await credentials.headers(), { authorization: 'Bearer t-1' });
  assert.deepEqual(await credentials.headers(), { authorization: 'Bearer t-1' });
  credentials.renew();
  assert.deepEqual(await credentials.headers(), { authorization: 'Bearer t-2' });
});

test('a credential plugin that fails is told with its own words', async (t) => {
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: '/bin/sh',
    args: ['-c', 'echo please log in >&2; exit 1'],
  };
  const credentials = KubeconfigCredentials.load({ kubeconfig: kubeconfig(t, { user: { exec } }) });
  await assert.rejects(credentials.headers(), {
    code: 'AMBIT_KUBE_CREDENTIALS_UNAVAILABLE',
    message: /please log in/,
  });
});

test('what cannot be used is refused, with the name of the file', (t) => {
  const path = kubeconfig(t, {});
  assert.throws(() => KubeconfigCredentials.load({ kubeconfig: path, context: 'three' }), {
    code: 'AMBIT_KUBE_CONFIG_INVALID',
    message: `the kubeconfig ${path} has no context three`,
  });
  assert.throws(() => KubeconfigCredentials.load({ kubeconfig: '/no/such/file' }), {
    code: 'AMBIT_KUBE_CONFIG_INVALID',
  });
  const broken = join(folderOf(t), 'broken');
  writeFileSync(broken, '{');
  assert.throws(() => KubeconfigCredentials.load({ kubeconfig: broken }), {
    code: 'AMBIT_KUBE_CONFIG_INVALID',
  });
  const socks = kubeconfig(t, { cluster: { 'proxy-url': 'socks5://localhost:1' } });
  assert.throws(() => KubeconfigCredentials.load({ kubeconfig: socks }), {
    code: 'AMBIT_KUBE_CONFIG_INVALID',
  });
});
