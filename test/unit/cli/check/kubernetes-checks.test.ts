/** The checks of the cluster as such. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KUBERNETES_CHECKS, type KubernetesFacts } from '../../../../src/cli/check/kubernetes-checks.ts';
import { brief, find, node } from './objects.ts';

function facts(wish: Partial<KubernetesFacts> = {}): KubernetesFacts {
  return { api: { kind: 'answered', gitVersion: 'v1.36.1' }, permissions: [], nodes: [], ...wish };
}

function findings(code: string, wish: Partial<KubernetesFacts>): string[] {
  return brief(find(KUBERNETES_CHECKS, `AMBIT_CHECK_${code}`, facts(wish)));
}

test('a cluster that is as it should be has no findings', () => {
  const good = facts({ nodes: [node('worker1')], permissions: [] });
  for (const check of KUBERNETES_CHECKS) assert.deepEqual(check.find(good), [], check.code);
});

test('an API server that does not answer is an error, and nothing further is looked at', () => {
  const check = KUBERNETES_CHECKS.find(({ code }) => code === 'AMBIT_CHECK_API');
  assert.equal(check?.isFatal, true);
  assert.deepEqual(findings('API', { api: { kind: 'silent', reason: 'connection refused' } }), [
    'error connection refused',
  ]);
});

test('each permission that is missing is named as kubectl names it', () => {
  const permissions = [
    { verb: 'list', group: '', resource: 'pods', allowed: true },
    { verb: 'create', group: '', resource: 'pods', subresource: 'portforward', allowed: false },
    { verb: 'create', group: 'apps', resource: 'daemonsets', allowed: false },
  ];
  assert.deepEqual(findings('PERMISSIONS', { permissions }), [
    'error you may not create pods/portforward',
    'error you may not create daemonsets.apps',
  ]);
});

test('a server or kubelet that is too old is an error, one that is too new a warning', () => {
  assert.deepEqual(
    findings('KUBERNETES_VERSION', {
      api: { kind: 'answered', gitVersion: 'v1.28.4+k3s1' },
      nodes: [node('old', { kubelet: 'v1.27.0' }), node('new', { kubelet: 'v1.99.0' }), node('good')],
    }),
    [
      'error the API server is v1.28.4+k3s1',
      'error node/old: kubelet is v1.27.0',
      'warning node/new: kubelet is v1.99.0, newer than what this release was tested with',
    ],
  );
});

test('a version that is none is a warning', () => {
  const api = { kind: 'answered', gitVersion: 'unknown' } as const;
  assert.deepEqual(findings('KUBERNETES_VERSION', { api }), [
    'warning the API server says unknown, which is no version',
  ]);
});

test('nodes of another system, architecture or of an old kernel are named', () => {
  const nodes = [
    node('windows', { system: 'windows' }),
    node('risc', { architecture: 'riscv64' }),
    node('old', { kernel: '4.19.0-cloud' }),
    node('edge', { kernel: '5.4.0-150-generic', architecture: 'arm64' }),
  ];
  assert.deepEqual(findings('NODE_PLATFORM', { nodes }), [
    'warning node/windows: runs windows: its pods cannot be in the mesh',
    'error node/risc: is riscv64',
    'error node/old: runs Linux 4.19.0-cloud',
  ]);
});

test('a node that is not ready is a warning with the words of its kubelet', () => {
  assert.deepEqual(findings('NODES_READY', { nodes: [node('down', { ready: 'False' })] }), [
    'warning node/down: not ready: kubelet says so',
  ]);
});
