/** The custom resource definitions on a real API server: what users of Istio write is accepted, mistakes are not. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { crdFiles } from '../../scripts/crds/crd-files.ts';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { BareApiServer } from '../support/cluster/bare-api-server.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import { ACCEPTED, MISTAKES } from '../support/istio-manifests.ts';

const ROOT = join(import.meta.dirname, '../..');
const FOLDER = join(ROOT, 'daemonset', 'crds');
let server: BareApiServer;
let client: KubeClient;

before(async () => {
  server = await BareApiServer.start();
  client = await KubeClient.connect({ kubeconfig: server.kubeconfig() });
  server.kubectl(['apply', '--server-side', '-k', FOLDER]);
  server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
});
after(async () => {
  await client?.close();
  await server?.[Symbol.asyncDispose]();
});

function dryRun(manifest: string): void {
  server.kubectl(['create', '--dry-run=server', '--validate=strict', '-f', '-'], manifest);
}

test('the files are what the schemas say', () => {
  for (const [name, text] of crdFiles()) assert.equal(readFileSync(join(FOLDER, name), 'utf8'), text, name);
  assert.deepEqual(readdirSync(FOLDER).sort(), [...crdFiles().keys()].sort());
});

test('all of them are accepted and structural', async () => {
  const path = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
  const { items } = await client.request<{
    items: { metadata: { name: string }; status: { conditions: { type: string; status: string }[] } }[];
  }>({ path });
  assert.equal(items.length, 4);
  for (const { metadata, status } of items) {
    const types = status.conditions.filter((one) => one.status === 'True').map(({ type }) => type);
    assert.deepEqual(types.sort(), ['Established', 'NamesAccepted'], metadata.name);
  }
});

for (const [name, manifest] of Object.entries(ACCEPTED)) {
  test(`accepted: ${name}`, () => dryRun(manifest));
}

for (const [name, { manifest, message }] of Object.entries(MISTAKES)) {
  test(`refused: ${name}`, () => {
    assert.throws(() => dryRun(manifest), message);
  });
}

test('the manifests of the demo are accepted', () => {
  for (const name of readdirSync(join(ROOT, 'demo')).filter((one) => one.endsWith('.yaml'))) {
    const documents = parseAllDocuments(readFileSync(join(ROOT, 'demo', name), 'utf8'))
      .map((document) => String(document))
      .filter((text) => /apiVersion: (security|networking)\.istio\.io/.test(text));
    for (const text of documents) dryRun(text.replace(/^ {2}namespace: .*$/m, '  namespace: default'));
  }
});

test('an object is the same in every version, and kubectl shows what matters of it', async () => {
  server.kubectl(['apply', '-f', '-'], ACCEPTED['an external host by DNS']);
  const read = (version: string) =>
    client.request<{ spec: unknown }>({
      path: `/apis/networking.istio.io/${version}/namespaces/default/serviceentries/external-svc-dns`,
    });
  const specs = await Promise.all(['v1', 'v1beta1', 'v1alpha3'].map(async (one) => (await read(one)).spec));
  assert.deepEqual(specs[1], specs[0]);
  assert.deepEqual(specs[2], specs[0]);
  const shown = server.kubectl(['get', 'se']);
  assert.match(shown, /NAME +HOSTS +LOCATION +RESOLUTION +AGE/);
  assert.match(shown, /external-svc-dns +\["api\.example\.com"\] +MESH_EXTERNAL +DNS/);
});

test('the status is a subresource, keeps fields of other controllers, and is shown', async () => {
  server.kubectl(['apply', '-f', '-'], ACCEPTED['nothing is allowed']);
  const path = '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies/allow-nothing';
  const status = {
    conditions: [{ type: 'ZtunnelAccepted', status: 'False', reason: 'Invalid', observedGeneration: '7' }],
    observedGeneration: 3,
    validationMessages: [{ level: 'INFO', type: { code: 'IST0001' } }],
    ofAnother: { kept: true },
  };
  await client.request({
    method: 'PATCH',
    path: `${path}/status`,
    contentType: 'application/merge-patch+json',
    body: { status },
  });
  const stored = await client.request<{ status: unknown; metadata: { generation: number } }>({ path });
  assert.deepEqual(stored.status, status);
  assert.equal(stored.metadata.generation, 1);
  await eventuallyAnswers('the column', async () =>
    /allow-nothing +False/.test(server.kubectl(['get', 'ap'])),
  );
});
