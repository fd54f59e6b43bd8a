/** The installer over real folders: it waits, repairs, does not fight without end, and leaves nothing behind. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { ConflistEntry } from '../../../../src/cni/install/conflist-entry.ts';
import { Installer, type InstallResult } from '../../../../src/cni/install/installer.ts';
import { removePlugin } from '../../../../src/cni/install/make-installer.ts';
import { PluginKubeconfig } from '../../../../src/cni/install/plugin-kubeconfig.ts';
import { eventually } from '../../../support/eventually.ts';

const LIST = JSON.stringify({ name: 'pods', plugins: [{ type: 'bridge' }] });
const TIMING = { passMs: 60_000, settleMs: 5, throttleMs: 1_000 };

class Setup {
  readonly folder = mkdtempSync(join(tmpdir(), 'installer-'));
  readonly confDir = join(this.folder, 'net.d');
  readonly file = join(this.confDir, '10-net.conflist');
  readonly results: InstallResult[] = [];
  readonly installer: Installer;
  isReady = false;

  constructor(t: TestContext, passMs = TIMING.passMs) {
    const entry = new ConflistEntry({
      confDir: this.confDir,
      entry: { type: 'ambit-cni' },
      ownConflist: false,
    });
    this.installer = new Installer({
      parts: [{ part: entry, failure: 'CREATE_CNI_CONFIG_FAILURE' }],
      folders: [this.confDir],
      onResult: (result) => this.results.push(result),
      onReady: (isReady) => {
        this.isReady = isReady;
      },
      timing: { ...TIMING, passMs },
    });
    t.after(() => {
      this.installer.stop();
      rmSync(this.folder, { recursive: true });
    });
  }

  get isInstalled(): boolean {
    return readFileSync(this.file, 'utf8').includes('ambit-cni');
  }
}

test('it waits for the network of the cluster, and is then installed at once', async (t) => {
  const setup = new Setup(t);
  const installed = setup.installer.start();
  await eventually('a first pass', () => setup.results.length > 0);
  assert.deepEqual([setup.results, setup.isReady], [['CREATE_CNI_CONFIG_FAILURE'], false]);
  writeFileSync(setup.file, LIST);
  await installed;
  assert.ok(setup.isInstalled && setup.isReady);
  assert.equal(setup.results.at(-1), 'SUCCESS');
});

test('what somebody takes away is put back', async (t) => {
  const setup = new Setup(t);
  const installed = setup.installer.start();
  writeFileSync(setup.file, LIST);
  await installed;
  writeFileSync(setup.file, LIST);
  await eventually('repaired', () => setup.isInstalled);
});

test('it looks now and then even when the file system tells nothing', async (t) => {
  const setup = new Setup(t, 20);
  const installed = setup.installer.start();
  writeFileSync(setup.file, LIST);
  await installed;
  rmSync(setup.confDir, { recursive: true });
  await eventually('noticed', () => !setup.isReady);
});

test('a fight over the file is slowed down', async (t) => {
  const setup = new Setup(t);
  const installed = setup.installer.start();
  writeFileSync(setup.file, LIST);
  await installed;
  const repairs = () => setup.results.filter((result) => result === 'SUCCESS').length - 1;
  for (let round = 0; round < 6; round++) {
    const before = repairs();
    writeFileSync(setup.file, LIST);
    await eventually('repaired', () => repairs() > before);
  }
  const startedAt = performance.now();
  writeFileSync(setup.file, LIST);
  await eventually('repaired once more', () => setup.isInstalled);
  assert.ok(performance.now() - startedAt >= TIMING.throttleMs - 50, 'it took its time');
});

test('removal leaves what was there before', async (t) => {
  const setup = new Setup(t);
  const installed = setup.installer.start();
  writeFileSync(setup.file, LIST);
  await installed;
  await setup.installer.uninstall();
  assert.deepEqual(readdirSync(setup.confDir), ['10-net.conflist']);
  assert.deepEqual(JSON.parse(readFileSync(setup.file, 'utf8')), JSON.parse(LIST));
});

test('a removal in the middle of a pass leaves nothing that the pass would still have put in place', async () => {
  const order: string[] = [];
  const isCopied = Promise.withResolvers<boolean>();
  const slow = { ensure: () => isCopied.promise, remove: () => order.push('slow part removed') };
  const later = { ensure: () => order.push('later part put in place') > 0, remove: () => {} };
  const installer = new Installer({
    parts: [
      { part: slow, failure: 'COPY_BINARIES_FAILURE' },
      { part: later, failure: 'CREATE_CNI_CONFIG_FAILURE' },
    ],
    folders: [],
    onResult: () => {},
    onReady: () => {},
  });
  void installer.start();
  await setTimeoutAsync(20);
  const removed = installer.uninstall();
  assert.deepEqual(order, []);
  isCopied.resolve(true);
  await removed;
  assert.deepEqual(order, ['slow part removed']);
});

test('by hand everything is removed without knowing what had been installed', async (t) => {
  const setup = new Setup(t);
  const installed = setup.installer.start();
  writeFileSync(setup.file, LIST);
  await installed;
  setup.installer.stop();
  const binDir = join(setup.folder, 'bin');
  mkdirSync(join(binDir, '.ambit-cni-0123'), { recursive: true });
  const runDir = join(setup.folder, 'run');
  mkdirSync(runDir);
  const files = ['bin/ambit-cni', 'bin/bridge', 'run/ambit-cni-kubeconfig', 'run/pluginevent.sock'];
  for (const name of files) writeFileSync(join(setup.folder, name), '');
  removePlugin({ binDir, confDir: setup.confDir, runDir });
  removePlugin({ binDir, confDir: setup.confDir, runDir });
  assert.deepEqual([readdirSync(binDir), readdirSync(runDir)], [['bridge'], []]);
  assert.deepEqual(JSON.parse(readFileSync(setup.file, 'utf8')), JSON.parse(LIST));
});

test('the token of the kubeconfig is renewed in the middle of its life, and kept while it is good', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config');
  let now = 0;
  let issued = 0;
  let isAllowed = true;
  const kubeconfig = new PluginKubeconfig({
    path,
    server: 'https://10.96.0.1:443',
    caPem: 'PEM',
    now: () => now,
    issueToken: async () => {
      if (!isAllowed) throw new Error('forbidden');
      issued++;
      return { token: `token-${issued}`, expiresAtMs: now + 100_000 };
    },
  });
  const token = () => JSON.parse(readFileSync(path, 'utf8')).users[0].user.token;
  assert.equal(await kubeconfig.ensure(), false);
  assert.equal(token(), 'token-1');
  now = 49_000;
  assert.equal(await kubeconfig.ensure(), false);
  assert.equal(token(), 'token-1');
  now = 50_000;
  assert.equal(await kubeconfig.ensure(), false);
  assert.equal(token(), 'token-2');
  rmSync(path);
  assert.equal(await kubeconfig.ensure(), true);
  assert.equal(token(), 'token-2');
  isAllowed = false;
  now = 149_000;
  assert.equal(await kubeconfig.ensure(), false);
  now = 160_000;
  await assert.rejects(kubeconfig.ensure(), { code: 'AMBIT_CNI_TOKEN_REFUSED' });
  kubeconfig.remove();
  assert.deepEqual(readdirSync(folder), []);
});
