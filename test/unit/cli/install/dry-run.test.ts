/** `ambit install --dry-run`, which needs no cluster. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { ambit } from '../../../support/ambit-command.ts';

test('a dry run prints every object as YAML, what is needed first', async () => {
  const { code, stdout, stderr } = await ambit('install', '--dry-run');
  assert.deepEqual([code, stderr], [0, '']);
  const objects = parseAllDocuments(stdout).map((document) => document.toJS());
  assert.equal(objects[0].kind, 'Namespace');
  assert.deepEqual(
    objects.slice(-3).map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    ['Deployment/ambit-controlplane', 'DaemonSet/ambit-cni', 'DaemonSet/ambit-ztunnel'],
  );
});

test('settings and the namespace are in what is printed, as JSON as well', async () => {
  const args = [
    '--dry-run=client',
    '-n',
    'mesh',
    '--image',
    'r.example/ambit:9',
    '--replicas',
    '3',
    '-o',
    'json',
  ];
  const { code, stdout } = await ambit('install', ...args, '--set', 'meshConfig.trustDomain=corp');
  assert.equal(code, 0);
  const { kind, items } = JSON.parse(stdout);
  assert.equal(kind, 'List');
  const deployment = items.find((one: { kind: string }) => one.kind === 'Deployment');
  assert.deepEqual([deployment.metadata.namespace, deployment.spec.replicas], ['mesh', 3]);
  const [container] = deployment.spec.template.spec.containers;
  assert.equal(container.image, 'r.example/ambit:9');
  assert.ok(
    container.env.some(
      (one: { name: string; value?: string }) => one.name === 'TRUST_DOMAIN' && one.value === 'corp',
    ),
  );
});

test('a setting that does not exist, and a count that is none, are refused', async () => {
  const unknown = await ambit('install', '--dry-run', '--set', 'no.such=1');
  assert.deepEqual([unknown.code, /AMBIT_INSTALL_VALUE_INVALID/.test(unknown.stderr)], [1, true]);
  assert.equal((await ambit('install', '--dry-run', '--replicas', 'many')).code, 2);
});
