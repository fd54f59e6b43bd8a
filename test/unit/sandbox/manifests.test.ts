/** Manifests: what is refused, and that the message leads to the place. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { readManifests } from '../../../src/sandbox/api/manifest-file.ts';
import { faultsOf } from '../../../src/sandbox/api/manifest-validation.ts';

function folderWith(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-manifests-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

function messageOfReading(path: string): string {
  try {
    readManifests([path]);
  } catch (thrown) {
    assert.ok(thrown instanceof AmbitError);
    assert.equal(thrown.code, 'AMBIT_SANDBOX_MANIFEST_INVALID');
    return thrown.message;
  }
  throw new assert.AssertionError({ message: 'the manifests were accepted' });
}

const POD = `apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
    - name: app
      image: host
      env:
        - name: PORT
          value: 8080
`;

test('a folder is read in the order of names, lists and several documents are taken apart', (t) => {
  const folder = folderWith(t, {
    'b.yaml':
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: c}\n',
    'a.json':
      '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}]}',
    'notes.txt': 'not: [a manifest',
    '.hidden.yaml': 'not: [a manifest',
  });
  const { manifests } = readManifests([folder]);
  const names = manifests.map(({ value }) => (value.metadata as { name: string }).name);
  assert.deepEqual(names, ['a', 'b', 'c']);
  assert.equal(manifests[2]?.source, `${join(folder, 'b.yaml')}:5`);
});

test('a wrong field is reported with its file, its line and what is expected', (t) => {
  const path = join(folderWith(t, { 'pod.yaml': POD }), 'pod.yaml');
  assert.equal(messageOfReading(path), `${path}:11: Pod: spec.containers[0].env[0].value must be a string`);
});

test('broken YAML is reported with its line', (t) => {
  const path = join(folderWith(t, { 'x.yaml': 'apiVersion: v1\nkind: Pod\nmetadata: {name: [\n' }), 'x.yaml');
  assert.match(messageOfReading(path), /x\.yaml:\d+: /);
});

test('every fault of every file is told at once', (t) => {
  const folder = folderWith(t, {
    'a.yaml': POD,
    'b.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: B}\n',
  });
  const lines = messageOfReading(folder).split('\n');
  assert.equal(lines.length, 2);
  assert.match(lines[1]!, /b\.yaml:3: Namespace: metadata\.name must be/);
});

test('a file that is not there is an error of its own', () => {
  assert.match(messageOfReading('/nowhere/at/all.yaml'), /^\/nowhere\/at\/all\.yaml: ENOENT/);
});

test('what is missing is told with the object that lacks it', (t) => {
  const text = 'apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n    - name: app\n';
  const path = join(folderWith(t, { 'p.yaml': text }), 'p.yaml');
  assert.match(messageOfReading(path), /p\.yaml:6: Pod: spec\.containers\[0\] must have the field image/);
});

const TEMPLATE = {
  metadata: { labels: { app: 'web' } },
  spec: { containers: [{ name: 'app', image: 'host' }] },
};

function deployment(spec: object) {
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec };
}

test('a Deployment whose selector does not select its own pods is refused', () => {
  const selector = { matchLabels: { app: 'web' } };
  assert.deepEqual(faultsOf(deployment({ selector, template: TEMPLATE })), []);
  const wrong = faultsOf(deployment({ selector: { matchLabels: { app: 'x' } }, template: TEMPLATE }));
  assert.match(wrong[0]!.message, /spec\.selector\.matchLabels/);
});

test('two containers of one name, or none at all, are refused', () => {
  const container = { name: 'app', image: 'host' };
  const pod = (containers: object[]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers },
  });
  assert.match(faultsOf(pod([container, container]))[0]!.message, /two containers named app/);
  assert.match(faultsOf(pod([]))[0]!.message, /at least one container/);
});

test('what a sandbox would leave out of a pod is refused, or told', () => {
  const more = {
    initContainers: [{ name: 'init', image: 'host' }],
    volumes: [{ name: 'data', emptyDir: {} }],
  };
  const spec = { containers: [{ name: 'app', image: 'host' }], ...more };
  const faults = faultsOf({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec });
  assert.deepEqual(
    faults.map(({ path, severity }) => [path.join('.'), severity]),
    [
      ['spec.initContainers', 'error'],
      ['spec.volumes', 'warning'],
    ],
  );
});

test('a kind that runs nothing here is a warning; an unknown one is nobody’s business', () => {
  const job = faultsOf({ apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'j' } });
  assert.deepEqual(
    job.map((fault) => fault.severity),
    ['warning'],
  );
  assert.deepEqual(faultsOf({ apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' } }), []);
});

test('no value makes the validation throw', () => {
  const kinds = fc.constantFrom(
    'Pod',
    'Service',
    'Deployment',
    'Namespace',
    'StatefulSet',
    'AuthorizationPolicy',
  );
  const value = fc.record(
    {
      apiVersion: fc.constantFrom('v1', 'apps/v1', 'security.istio.io/v1'),
      kind: kinds,
      metadata: fc.jsonValue(),
      spec: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(fc.property(fc.oneof(value, fc.jsonValue()), (one) => void faultsOf(one)));
});
