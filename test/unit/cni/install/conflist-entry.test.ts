/** Our entry in real folders of CNI configurations, as runtimes and networks leave them. */

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AmbitError } from '../../../../src/base/errors.ts';
import { ConflistEntry, OWN_CONFLIST } from '../../../../src/cni/install/conflist-entry.ts';

const ENTRY = { type: 'ambit-cni', runDir: '/run/x' };
const BRIDGE = { type: 'bridge', bridge: 'cni0' };
const LIST = { cniVersion: '1.0.0', name: 'pods', plugins: [BRIDGE, { type: 'portmap' }] };

class ConfDir {
  readonly path = mkdtempSync(join(tmpdir(), 'net.d-'));

  constructor(t: TestContext) {
    t.after(() => rmSync(this.path, { recursive: true }));
  }

  write(name: string, value: object | string, mode = 0o644): void {
    writeFileSync(join(this.path, name), typeof value === 'string' ? value : JSON.stringify(value));
    chmodSync(join(this.path, name), mode);
  }

  read(name: string) {
    return JSON.parse(readFileSync(join(this.path, name), 'utf8'));
  }

  names(): string[] {
    return readdirSync(this.path).sort();
  }

  typesIn(name: string): string[] {
    return this.read(name).plugins.map((plugin: { type: string }) => plugin.type);
  }

  modeOf(name: string): number {
    return statSync(join(this.path, name)).mode & 0o777;
  }

  entry(ownConflist = false): ConflistEntry {
    return new ConflistEntry({ confDir: this.path, entry: ENTRY, ownConflist });
  }
}

function throwsCode(action: () => unknown, code: string): void {
  assert.throws(action, (thrown) => thrown instanceof AmbitError && thrown.code === code);
}

test('the entry becomes the last plugin of the first valid file, whose mode stays', (t) => {
  const dir = new ConfDir(t);
  dir.write('05-broken.conflist', '{"name":');
  dir.write('06-empty.conflist', { name: 'x', plugins: [] });
  dir.write('07-readme.txt', LIST);
  dir.write('10-net.conflist', LIST, 0o600);
  dir.write('20-other.conflist', LIST);
  assert.equal(dir.entry().ensure(), true);
  assert.deepEqual(dir.typesIn('10-net.conflist'), ['bridge', 'portmap', 'ambit-cni']);
  assert.equal(dir.modeOf('10-net.conflist'), 0o600);
  assert.deepEqual(dir.typesIn('20-other.conflist'), ['bridge', 'portmap']);
  assert.equal(dir.entry().ensure(), false);
  assert.equal(dir.names().length, 5);
});

test('without a valid file there is nothing to stand behind', (t) => {
  const dir = new ConfDir(t);
  throwsCode(() => dir.entry().ensure(), 'AMBIT_CNI_NO_PRIMARY_CONFIG');
  throwsCode(() => dir.entry(true).ensure(), 'AMBIT_CNI_NO_PRIMARY_CONFIG');
  assert.deepEqual(dir.names(), []);
});

test('a single configuration is replaced by a list, and is back after removal, byte for byte', (t) => {
  for (const name of ['10-net.conf', '10-net.json']) {
    const dir = new ConfDir(t);
    const text = '{ "cniVersion": "0.4.0",\n  "name": "pods", "type": "bridge" }';
    dir.write(name, text, 0o640);
    dir.entry().ensure();
    assert.deepEqual(dir.typesIn('10-net.conflist'), ['bridge', 'ambit-cni']);
    assert.equal(dir.read('10-net.conflist').name, 'pods');
    assert.equal(dir.modeOf('10-net.conflist'), 0o640);
    assert.ok(!dir.names().includes(name));
    assert.equal(dir.entry().ensure(), false);
    dir.entry().remove();
    assert.deepEqual(dir.names(), [name]);
    assert.equal(readFileSync(join(dir.path, name), 'utf8'), text);
    assert.equal(dir.modeOf(name), 0o640);
  }
});

test('a list that has grown since it was made from a single configuration stays a list', (t) => {
  const dir = new ConfDir(t);
  dir.write('10-net.conf', BRIDGE);
  dir.entry().ensure();
  const grown = dir.read('10-net.conflist');
  dir.write('10-net.conflist', { ...grown, plugins: [...grown.plugins, { type: 'bandwidth' }] });
  assert.equal(dir.entry().ensure(), false);
  dir.entry().remove();
  assert.deepEqual(dir.names(), ['10-net.conflist']);
  assert.deepEqual(dir.typesIn('10-net.conflist'), ['bridge', 'bandwidth']);
});

test('an entry that somebody has removed or changed is repaired', (t) => {
  const dir = new ConfDir(t);
  dir.write('10-net.conflist', LIST);
  const entry = dir.entry();
  entry.ensure();
  for (const plugins of [[BRIDGE], [BRIDGE, { ...ENTRY, runDir: '/elsewhere' }]]) {
    dir.write('10-net.conflist', { ...LIST, plugins });
    assert.equal(entry.ensure(), true);
    assert.deepEqual(dir.read('10-net.conflist').plugins, [BRIDGE, ENTRY]);
  }
});

test('a file that comes to sort first gets the entry as well, and removal finds both', (t) => {
  const dir = new ConfDir(t);
  dir.write('10-net.conflist', LIST);
  dir.entry().ensure();
  dir.write('05-new.conflist', LIST);
  assert.equal(dir.entry().ensure(), true);
  assert.deepEqual(dir.typesIn('05-new.conflist'), ['bridge', 'portmap', 'ambit-cni']);
  dir.entry().remove();
  for (const name of dir.names()) assert.deepEqual(dir.read(name), LIST);
  assert.equal(dir.names().length, 2);
});

test('a list of our own follows that of the network, and outlives its removal', (t) => {
  const dir = new ConfDir(t);
  dir.write('10-net.conflist', LIST, 0o600);
  const entry = dir.entry(true);
  assert.equal(entry.ensure(), true);
  assert.equal(entry.ensure(), false);
  assert.deepEqual(dir.read('10-net.conflist'), LIST);
  assert.deepEqual(dir.read(OWN_CONFLIST), { ...LIST, plugins: [...LIST.plugins, ENTRY] });
  assert.equal(dir.modeOf(OWN_CONFLIST), 0o600);

  dir.write('10-net.conflist', { ...LIST, plugins: [BRIDGE] });
  assert.equal(entry.ensure(), true);
  assert.deepEqual(dir.typesIn(OWN_CONFLIST), ['bridge', 'ambit-cni']);

  rmSync(join(dir.path, '10-net.conflist'));
  assert.equal(entry.ensure(), false);
  assert.deepEqual(dir.names(), [OWN_CONFLIST]);
  entry.remove();
  assert.deepEqual(dir.names(), []);
});

test('a list of our own is refused where the network’s file sorts before it', (t) => {
  const dir = new ConfDir(t);
  dir.write('00-multus.conf', { type: 'multus' });
  throwsCode(() => dir.entry(true).ensure(), 'AMBIT_CNI_CONFIG_NOT_FIRST');
});

test('changing from one way of installing to the other leaves one entry', (t) => {
  const dir = new ConfDir(t);
  dir.write('10-net.conf', BRIDGE);
  dir.entry(false).ensure();
  dir.entry(true).ensure();
  assert.deepEqual(dir.names(), [OWN_CONFLIST, '10-net.conf']);
  assert.deepEqual(dir.typesIn(OWN_CONFLIST), ['bridge', 'ambit-cni']);
  dir.entry(false).ensure();
  assert.deepEqual(dir.names(), ['.10-net.conf.ambit-original', '10-net.conflist']);
  dir.entry(false).remove();
  assert.deepEqual(dir.names(), ['10-net.conf']);
});
