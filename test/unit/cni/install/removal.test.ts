/** Which nodes a DaemonSet selects, as far as that decides about an uninstall. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { selects } from '../../../../src/cni/install/removal.ts';

const LABELS = { 'kubernetes.io/os': 'linux', zone: 'a' };

function setWith(nodeSelector: Record<string, string>, terms?: readonly object[]) {
  const required = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: terms ?? [] } };
  const affinity = terms === undefined ? {} : { affinity: { nodeAffinity: required } };
  return { metadata: {}, spec: { template: { spec: { nodeSelector, ...affinity } } } };
}

test('a node is selected by all labels of the node selector and by one term of the affinity', () => {
  const zone = (operator: string, ...values: string[]) => ({
    matchExpressions: [{ key: 'zone', operator, values }],
  });
  assert.ok(selects(setWith({}), LABELS));
  assert.ok(selects(setWith({ 'kubernetes.io/os': 'linux' }), LABELS));
  assert.ok(!selects(setWith({ 'kubernetes.io/os': 'linux', mesh: 'yes' }), LABELS));
  assert.ok(selects(setWith({}, [zone('In', 'b'), zone('In', 'a')]), LABELS));
  assert.ok(!selects(setWith({}, [zone('In', 'b'), zone('DoesNotExist')]), LABELS));
  assert.ok(!selects(setWith({}, [zone('NotIn', 'a')]), LABELS));
});

test('what is not understood of an affinity counts as fulfilled, so that nothing is removed by mistake', () => {
  assert.ok(
    selects(setWith({}, [{ matchExpressions: [{ key: 'cpus', operator: 'Gt', values: ['4'] }] }]), {}),
  );
  assert.ok(selects(setWith({}, [{ matchFields: [{ key: 'metadata.name', operator: 'In' }] }]), {}));
});
