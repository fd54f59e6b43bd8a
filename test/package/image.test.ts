/** The container image: every program in it runs without anything of this machine, and it is the same each time. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { VERSION } from '../../src/base/version.ts';

const ROOT = join(import.meta.dirname, '../..');
const SCRIPT = join(ROOT, 'scripts/packaging/build-image.ts');
const ARCHITECTURE = process.arch === 'x64' ? 'amd64' : 'arm64';
/** Nodes hold it in memory and on disk, and pull it before a pod can start. */
const MAX_ARCHIVE_BYTES = 60e6;
const BUILD_TIMEOUT_MS = 10 * 60_000;

interface Component {
  readonly name: string;
  readonly version: string;
  readonly components?: readonly Component[];
}

function build(output: string): string {
  const args = [SCRIPT, '--arch', ARCHITECTURE, '--name', 'ambit:test', '--output', output];
  execFileSync(process.execPath, args, { stdio: 'ignore', timeout: BUILD_TIMEOUT_MS });
  return join(output, `ambit-${ARCHITECTURE}.tar`);
}

function digest(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

describe('image', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-image-'));
  const root = join(folder, 'root');
  let archive: string;
  let config: { config: { User: string; Entrypoint: string[] }; architecture: string };

  before(() => {
    archive = build(join(folder, 'first'));
    const layout = join(folder, 'layout');
    mkdirSync(layout);
    mkdirSync(root);
    execFileSync('tar', ['-xf', archive, '-C', layout]);
    const [manifest] = JSON.parse(readFileSync(join(layout, 'manifest.json'), 'utf8'));
    config = JSON.parse(readFileSync(join(layout, manifest.Config), 'utf8'));
    for (const layer of manifest.Layers) execFileSync('tar', ['-xzf', join(layout, layer), '-C', root]);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** With the image as its root, and nothing else of this machine but the kernel. */
  function run(...command: readonly string[]): string {
    return execFileSync('unshare', ['--user', '--map-root-user', '--net', `--root=${root}`, ...command], {
      encoding: 'utf8',
      env: { PATH: '/usr/local/bin:/usr/sbin:/usr/bin' },
    });
  }

  test('the program says its version, by its entry point and by its name', () => {
    assert.equal(run(...config.config.Entrypoint, '--version').trim(), VERSION);
    assert.equal(run('ambit', '--version').trim(), VERSION);
  });

  test('each process of the mesh loads', () => {
    assert.match(run('ambit', 'ztunnel', '--help'), /environment variables/);
    assert.match(run('ambit', 'cni', '--help'), /Usage: ambit cni/);
    assert.match(run('ambit', 'controlplane', '--help'), /Usage: ambit controlplane/);
  });

  test('it has the manifests that the program installs', () => {
    const output = run('ambit', 'install', '--dry-run');
    assert.match(output, /kind: DaemonSet/);
  });

  test('everything that the agent calls runs with the libraries of the image', () => {
    for (const name of ['iptables', 'ip6tables']) {
      assert.match(run(`${name}-nft`, '--version'), /nf_tables/);
      assert.match(run(`${name}-legacy`, '--version'), /legacy/);
      run(`${name}-nft-save`);
    }
    const input =
      '*nat\\n:PREROUTING ACCEPT [0:0]\\n-A PREROUTING -p tcp -j REDIRECT --to-ports 15006\\nCOMMIT\\n';
    run('sh', '-c', `printf '${input}' | iptables-nft-restore && iptables-nft-save | { read -r line; }`);
    assert.match(run('ipset', '--version'), /^ipset v/);
    assert.match(run('nsenter', '--version'), /util-linux/);
    assert.match(run('ip', '-json', 'link'), /"ifname":"lo"/);
    run('ss', '-Hltn');
  });

  test('it runs as a user without rights unless a pod says otherwise', () => {
    assert.equal(config.config.User, '65532:65532');
    assert.equal(config.architecture, ARCHITECTURE);
  });

  test('its bill of materials names npm packages, Node with its OpenSSL, and Debian packages', () => {
    const text = readFileSync(join(folder, 'first', `ambit-${ARCHITECTURE}.sbom.json`), 'utf8');
    const { components }: { components: readonly Component[] } = JSON.parse(text);
    const find = (name: string) => components.find((one) => one.name === name);
    const { version } = JSON.parse(readFileSync(join(ROOT, 'node_modules/undici/package.json'), 'utf8'));
    assert.equal(find('undici')?.version, version);
    assert.equal(find('node')?.version, process.versions.node);
    assert.equal(
      find('node')?.components?.find((one) => one.name === 'openssl')?.version,
      process.versions.openssl,
    );
    for (const name of ['libc6', 'iptables', 'ipset', 'dash']) assert.ok(find(name) !== undefined, name);
    assert.equal(find('typescript'), undefined);
  });

  test('a second build gives the same bytes, and they are not too many', () => {
    assert.equal(digest(build(join(folder, 'second'))), digest(archive));
    assert.ok(readFileSync(archive).length < MAX_ARCHIVE_BYTES);
  });
});
