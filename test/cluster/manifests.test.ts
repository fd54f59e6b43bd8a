/** The manifests on a real API server: accepted as they are and in every overlay, and no more privileged than they say. */

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments, stringify } from 'yaml';
import { isManifest, type Json, type Manifest, valueAt } from '../../src/install/manifest.ts';
import { renderManifests } from '../../src/install/render-manifests.ts';
import { BareApiServer } from '../support/cluster/bare-api-server.ts';

const DAEMONSET = join(import.meta.dirname, '../../daemonset');
const OVERLAYS = readdirSync(join(DAEMONSET, 'overlays'));
/** Kinds of other projects, which the server does not know. */
const FOREIGN_KINDS = ['SecurityContextConstraints', 'PodMonitor'];

let server: BareApiServer;

before(async () => {
  server = await BareApiServer.start();
  server.kubectl(['apply', '-k', DAEMONSET]);
});
after(() => server?.[Symbol.asyncDispose]());

function kustomize(folder: string): Manifest[] {
  return parseAllDocuments(server.kubectl(['kustomize', folder]))
    .map((document): Json => document.toJS())
    .filter(isManifest);
}

function dryRun(objects: readonly Manifest[], how: string): string {
  const input = objects.map((object) => stringify(object)).join('---\n');
  return server.kubectl([how, '--dry-run=server', '--validate=strict', '-f', '-'], input);
}

function byName(objects: readonly Manifest[]): Map<string, Manifest> {
  return new Map(objects.map((object) => [`${object.kind}/${object.metadata.name}`, object]));
}

/** What the controller of a Deployment or DaemonSet would create. */
function podOf(component: string, namespace: string): Manifest {
  const owner = renderManifests({ crds: false }).find(
    (one) => one.metadata.name === `ambit-${component}` && valueAt(one, ['spec', 'template']) !== undefined,
  );
  const template = valueAt(owner, ['spec', 'template']);
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: component, namespace, labels: valueAt(template, ['metadata', 'labels']) ?? {} },
    spec: valueAt(template, ['spec']) ?? {},
  };
}

function makeNamespace(name: string, level: string): void {
  const label = `pod-security.kubernetes.io/enforce=${level}`;
  server.kubectl(['create', 'namespace', name]);
  server.kubectl(['label', 'namespace', name, label]);
  for (const component of ['controlplane', 'cni', 'ztunnel']) {
    server.kubectl(['--namespace', name, 'create', 'serviceaccount', `ambit-${component}`]);
  }
}

test('applying them a second time changes nothing that the server would refuse', () => {
  const said = server.kubectl(['apply', '-k', DAEMONSET, '--dry-run=server']);
  assert.ok(said.includes('daemonset.apps/ambit-ztunnel'), said);
});

test('an installation by command has the same objects', () => {
  assert.deepEqual(byName(renderManifests()), byName(kustomize(DAEMONSET)));
});

for (const overlay of OVERLAYS) {
  test(`the overlay ${overlay} is accepted`, () => {
    const objects = kustomize(join(DAEMONSET, 'overlays', overlay));
    const known = objects.filter((one) => !FOREIGN_KINDS.includes(one.kind));
    const said = dryRun(known, 'apply');
    for (const component of ['controlplane', 'cni', 'ztunnel']) {
      assert.ok(said.includes(`/ambit-${component}`), said);
    }
  });
}

test('the control plane runs under the restricted level of Pod Security, the DaemonSets do not', () => {
  makeNamespace('restricted', 'restricted');
  assert.match(dryRun([podOf('controlplane', 'restricted')], 'create'), /pod\/controlplane created/);
  assert.throws(() => dryRun([podOf('cni', 'restricted')], 'create'), /violates PodSecurity "restricted/);
  assert.throws(() => dryRun([podOf('ztunnel', 'restricted')], 'create'), /violates PodSecurity "restricted/);
});

test('the namespace of the mesh admits every part of it', () => {
  for (const component of ['controlplane', 'cni', 'ztunnel']) {
    const said = dryRun([podOf(component, 'ambit-system')], 'create');
    assert.match(said, new RegExp(`pod/${component} created`));
  }
});

test('no part is privileged, may gain privileges, or can write to its own root', () => {
  for (const component of ['controlplane', 'cni', 'ztunnel']) {
    const context = valueAt(podOf(component, 'x'), [
      'spec',
      'containers',
      { name: component },
      'securityContext',
    ]);
    assert.notEqual(valueAt(context, ['privileged']), true, component);
    assert.equal(valueAt(context, ['allowPrivilegeEscalation']), false, component);
    assert.equal(valueAt(context, ['readOnlyRootFilesystem']), true, component);
    assert.deepEqual(valueAt(context, ['capabilities', 'drop']), ['ALL'], component);
  }
});
