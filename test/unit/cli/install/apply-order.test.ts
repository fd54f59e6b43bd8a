/** The order in which an installation is applied. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inApplyOrder, objectName } from '../../../../src/cli/install/apply-order.ts';

function object(kind: string, name = kind) {
  return { apiVersion: 'v1', kind, metadata: { name } };
}

test('the namespace and the definitions come first, the workloads last', () => {
  const kinds = [
    'DaemonSet',
    'Deployment',
    'Service',
    'ClusterRole',
    'CustomResourceDefinition',
    'Namespace',
  ];
  assert.deepEqual(
    inApplyOrder(kinds.map((kind) => object(kind))).map(({ kind }) => kind),
    kinds.toReversed(),
  );
});

test('a kind that is not known comes before the workloads, and the order within a kind stays', () => {
  const given = [object('DaemonSet', 'b'), object('DaemonSet', 'a'), object('PodMonitor'), object('Service')];
  assert.deepEqual(
    inApplyOrder(given).map(({ metadata }) => metadata.name),
    ['Service', 'PodMonitor', 'b', 'a'],
  );
});

test('objects are named as kubectl names them', () => {
  assert.equal(objectName(object('ClusterRole', 'ambit-cni')), 'clusterrole/ambit-cni');
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a', namespace: 'b' } };
  assert.equal(objectName(service), 'service/b/a');
});
