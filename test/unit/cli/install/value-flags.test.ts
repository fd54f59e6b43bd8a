/** The settings of an installation, as flags give them. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readValues } from '../../../../src/cli/install/value-flags.ts';

const folder = mkdtempSync(join(tmpdir(), 'ambit-values-'));
after(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

test('later files go over earlier ones, single values over files', () => {
  const first = file('a.yaml', 'logLevel: info\nmeshConfig:\n  trustDomain: a\n  rootNamespace: r\n');
  const second = file('b.yaml', 'meshConfig:\n  trustDomain: b\n');
  assert.deepEqual(readValues({ values: [first, second], set: ['logLevel=debug'] }), {
    logLevel: 'debug',
    meshConfig: { trustDomain: 'b', rootNamespace: 'r' },
  });
});

test('what the flags say goes over the settings that are there', () => {
  const before = { logLevel: 'debug', meshConfig: { trustDomain: 'corp', rootNamespace: 'r' } };
  assert.deepEqual(readValues({ trustDomain: 'next' }, before), {
    logLevel: 'debug',
    meshConfig: { trustDomain: 'next', rootNamespace: 'r' },
  });
  assert.deepEqual(readValues({}, before), before);
});

test('short forms are the settings that they stand for', () => {
  assert.deepEqual(readValues({ image: 'x/ambit:1', replicas: 3, trustDomain: 't', rootNamespace: 'r' }), {
    image: 'x/ambit:1',
    controlplane: { replicas: 3 },
    meshConfig: { trustDomain: 't', rootNamespace: 'r' },
  });
});

test('a single value may be a number, a list, empty, or have an equals sign in it', () => {
  assert.deepEqual(readValues({ set: ['a.b=3', 'c=[{name: x}]', 'd=', 'e=k=v'] }), {
    a: { b: 3 },
    c: [{ name: 'x' }],
    d: '',
    e: 'k=v',
  });
});

test('what is no assignment, no file or no values is wrong usage', () => {
  const usage = { code: 'AMBIT_CLI_USAGE' };
  assert.throws(() => readValues({ set: ['novalue'] }), usage);
  assert.throws(() => readValues({ values: [join(folder, 'missing')] }), usage);
  assert.throws(() => readValues({ values: [file('list.yaml', '- a\n')] }), usage);
  assert.throws(() => readValues({ values: [file('bad.yaml', 'a: [\n')] }), usage);
});
