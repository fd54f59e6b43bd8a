/** What is installed by default is what kustomize builds; values go where they belong and nowhere else. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { VERSION } from '../../../src/base/version.ts';
import { type Json, type Manifest, valueAt, withValueAt } from '../../../src/install/manifest.ts';
import { readManifests } from '../../../src/install/manifest-files.ts';
import { renderManifests } from '../../../src/install/render-manifests.ts';
import { COMPONENTS, SETTINGS } from '../../../src/install/settings.ts';
import { defaultValues, imageReference, targetValue } from '../../../src/install/values.ts';

const base = readManifests('base');

function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found !== undefined, `there is no ${kind} ${name}`);
  return found;
}

function pod(manifests: readonly Manifest[], name: string): Json | undefined {
  const { kind } = COMPONENTS.find((one) => one.name === name)!;
  return valueAt(find(manifests, kind, `ambit-${name}`), ['spec', 'template', 'spec']);
}

function container(manifests: readonly Manifest[], name: string): Json | undefined {
  return valueAt(pod(manifests, name), ['containers', { name }]);
}

test('without values the objects are those of the files', () => {
  assert.deepEqual(renderManifests({ crds: false }), base);
  assert.deepEqual(renderManifests(), [...readManifests('crds'), ...base]);
});

test('every setting has a place in the manifests, or a value to begin with', () => {
  for (const { name, targets, fallback } of SETTINGS) {
    for (const target of targets) {
      const holder = base.find((one) => one.kind === target.kind && one.metadata.name === target.object);
      assert.ok(holder !== undefined, `${name}: there is no ${target.kind} ${target.object}`);
      const isThere = targetValue(base, target) !== undefined;
      assert.ok(isThere || fallback !== undefined, `${name}: nothing is at ${JSON.stringify(target.path)}`);
    }
  }
});

test('the places of one setting have the same default', () => {
  for (const { name, targets } of SETTINGS.filter((setting) => setting.form === 'scalar')) {
    const values = new Set(targets.map((target) => targetValue(base, target)));
    assert.equal(values.size, 1, `${name} is ${[...values].join(' and ')}`);
  }
});

test('every part runs the image of this version', () => {
  assert.equal(imageReference(defaultValues(base)), `ambit:${VERSION}`);
  for (const { name } of COMPONENTS) {
    assert.equal(valueAt(container(base, name), ['image']), `ambit:${VERSION}`);
  }
  const labelled = base.filter((one) => valueAt(one, ['metadata', 'labels', 'app.kubernetes.io/version']));
  assert.deepEqual(
    labelled.map((one) => valueAt(one, ['metadata', 'labels', 'app.kubernetes.io/version'])),
    labelled.map(() => VERSION),
  );
});

test('hub, image and tag make the reference; a whole reference is taken as it is', () => {
  const reference = (hub: string, image: string, tag: string) => imageReference({ hub, image, tag });
  assert.equal(reference('', 'ambit', '1.2'), 'ambit:1.2');
  assert.equal(reference('reg.example:5000/mesh/', 'ambit', '1.2'), 'reg.example:5000/mesh/ambit:1.2');
  assert.equal(reference('', 'reg.example:5000/ambit@sha256:aa', '1.2'), 'reg.example:5000/ambit@sha256:aa');
  const rendered = renderManifests({ values: { hub: 'reg.example', tag: 'x' } });
  for (const { name } of COMPONENTS) {
    assert.equal(valueAt(container(rendered, name), ['image']), 'reg.example/ambit:x');
  }
});

test('another namespace takes the place of the default one everywhere', () => {
  const text = JSON.stringify(renderManifests({ namespace: 'mesh', crds: false }));
  assert.ok(!text.includes('ambit-system'));
  assert.ok(text.includes('ambit-controlplane.mesh.svc:15012'));
});

test('values replace, merge and take away as in Helm', () => {
  const rendered = renderManifests({
    values: {
      logLevel: 'debug',
      meshConfig: { trustDomain: 'example.org' },
      ztunnel: {
        resources: { limits: { memory: '2Gi' }, requests: null },
        podAnnotations: { 'example.org/a': 'b' },
        tolerations: [],
        env: { RUST_LOG: 'trace', NEW: 1 },
      },
      cni: { cniBinDir: '/home/kubernetes/bin', affinity: { nodeAffinity: {} } },
    },
  });
  const ztunnel = container(rendered, 'ztunnel');
  assert.deepEqual(valueAt(ztunnel, ['resources']), { limits: { memory: '2Gi' } });
  assert.equal(valueAt(ztunnel, ['env', { name: 'TRUST_DOMAIN' }, 'value']), 'example.org');
  assert.equal(valueAt(ztunnel, ['env', { name: 'RUST_LOG' }, 'value']), 'trace');
  assert.equal(valueAt(ztunnel, ['env', { name: 'NEW' }, 'value']), '1');
  assert.equal(valueAt(pod(rendered, 'ztunnel'), ['tolerations']), undefined);
  const annotations = valueAt(find(rendered, 'DaemonSet', 'ambit-ztunnel'), [
    'spec',
    'template',
    'metadata',
    'annotations',
  ]);
  assert.equal(valueAt(annotations, ['example.org/a']), 'b');
  assert.equal(valueAt(annotations, ['prometheus.io/port']), '15020');
  const bin = valueAt(pod(rendered, 'cni'), ['volumes', { name: 'cni-bin' }, 'hostPath', 'path']);
  assert.equal(bin, '/home/kubernetes/bin');
  assert.deepEqual(valueAt(pod(rendered, 'cni'), ['affinity']), { nodeAffinity: {} });
  assert.equal(
    valueAt(container(rendered, 'controlplane'), ['env', { name: 'LOG_LEVEL' }, 'value']),
    'debug',
  );
});

test('a value that does not exist, or has the wrong form, is refused by name', () => {
  const code = 'AMBIT_INSTALL_VALUE_INVALID';
  assert.throws(() => renderManifests({ values: { ztunel: { env: {} } } }), { code, message: /ztunel/ });
  assert.throws(() => renderManifests({ values: { cni: { binDir: '/x' } } }), {
    code,
    message: /cni\.binDir/,
  });
  assert.throws(() => renderManifests({ values: { cni: { cniBinDir: ['/x'] } } }), {
    code,
    message: /cniBinDir/,
  });
  assert.throws(() => renderManifests({ values: { ztunnel: { env: 'A=B' } } }), {
    code,
    message: /ztunnel\.env/,
  });
});

test('what is put at a path is found there, and what is taken away is gone', () => {
  const step = fc.oneof(
    fc.constantFrom('a', 'b', 'c'),
    fc.constantFrom('x', 'y').map((name) => ({ name })),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 5 }), fc.integer(), (path, number) => {
      const last = path.at(-1)!;
      const value: Json = typeof last === 'string' ? number : { ...last, number };
      const tree = withValueAt({}, path, value);
      const isReachable = path.slice(0, -1).every((one) => typeof one === 'string');
      if (isReachable) assert.deepEqual(valueAt(tree, path), value);
      assert.equal(valueAt(withValueAt(tree, path, undefined), path), undefined);
    }),
  );
});
