/** Which pods belong into the mesh, and with which options. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AmbitError } from '../../../src/base/errors.ts';
import {
  DEFAULT_ENABLEMENT_SELECTORS,
  matchesSelector,
  parseEnablementSelectors,
} from '../../../src/cni/enablement-selector.ts';
import {
  decideEnrolment,
  type EnrolmentReason,
  type EnrolmentSettings,
} from '../../../src/cni/enrolment-decision.ts';
import { type PodFacts, podFacts } from '../../../src/cni/pod-facts.ts';

const SETTINGS: EnrolmentSettings = {
  selectors: DEFAULT_ENABLEMENT_SELECTORS,
  excludedNamespaces: ['kube-system'],
};
const AMBIENT = { 'istio.io/dataplane-mode': 'ambient' };
const NONE = { 'istio.io/dataplane-mode': 'none' };

function pod(changes: Partial<PodFacts>): PodFacts {
  const base = podFacts({
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', generation: 1 },
    spec: { containers: [], nodeName: 'node-1' },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }] },
  });
  return { ...base, ...changes };
}

type Row = readonly [string, Partial<PodFacts>, Record<string, string>, EnrolmentReason];

const ROWS: readonly Row[] = [
  ['a pod without labels in a namespace without labels stays out', {}, {}, 'not-selected'],
  ['a namespace labelled ambient takes its pods in', {}, AMBIENT, 'selected'],
  ['a pod labelled ambient is in by itself', { labels: AMBIENT }, {}, 'selected'],
  ['a pod labelled none stays out of an ambient namespace', { labels: NONE }, AMBIENT, 'opted-out'],
  ['a pod labelled ambient beats a namespace labelled none', { labels: AMBIENT }, NONE, 'selected'],
  [
    'any other value on the namespace is not ambient',
    {},
    { 'istio.io/dataplane-mode': 'Ambient' },
    'not-selected',
  ],
  ['a pod on the host network has no namespace to capture', { hostNetwork: true }, AMBIENT, 'host-network'],
  [
    'a pod with a sidecar captures its own traffic',
    { annotations: { 'sidecar.istio.io/status': '{}' }, labels: AMBIENT },
    AMBIENT,
    'sidecar',
  ],
  [
    'an excluded namespace stays out',
    { namespace: 'kube-system', labels: AMBIENT },
    AMBIENT,
    'namespace-excluded',
  ],
  [
    'Ambit’s own pods stay out',
    { labels: { ...AMBIENT, 'app.kubernetes.io/part-of': 'ambit' } },
    AMBIENT,
    'mesh-component',
  ],
  ['a pod that succeeded is out', { phase: 'Succeeded' }, AMBIENT, 'terminated'],
  ['a pod that failed is out', { phase: 'Failed', labels: AMBIENT }, AMBIENT, 'terminated'],
  ['a pod that is still pending is in', { phase: 'Pending' }, AMBIENT, 'selected'],
];

for (const [sentence, changes, namespaceLabels, reason] of ROWS) {
  test(sentence, () => {
    const decision = decideEnrolment(pod(changes), namespaceLabels, SETTINGS);
    assert.deepEqual(decision, { enrol: reason === 'selected', reason });
  });
}

test('a cluster may have its own selectors', () => {
  const selectors = parseEnablementSelectors(
    JSON.stringify([
      {
        podSelector: { matchExpressions: [{ key: 'tier', operator: 'In', values: ['web', 'api'] }] },
        namespaceSelector: { matchExpressions: [{ key: 'legacy', operator: 'DoesNotExist' }] },
      },
    ]),
  );
  const enrolled = (labels: Record<string, string>, namespaceLabels: Record<string, string>) =>
    decideEnrolment(pod({ labels }), namespaceLabels, { ...SETTINGS, selectors }).enrol;
  assert.equal(enrolled({ tier: 'api' }, {}), true);
  assert.equal(enrolled({ tier: 'db' }, {}), false);
  assert.equal(enrolled({ tier: 'web' }, { legacy: 'yes' }), false);
  assert.equal(enrolled({ ...AMBIENT }, AMBIENT), false);
});

test('label requirements mean what they mean in Kubernetes', () => {
  const meets = (operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', labels: Record<string, string>) =>
    matchesSelector({ matchExpressions: [{ key: 'k', operator, values: ['a'] }] }, labels);
  assert.deepEqual(
    [{}, { k: 'a' }, { k: 'b' }].map((labels) => [
      meets('In', labels),
      meets('NotIn', labels),
      meets('Exists', labels),
      meets('DoesNotExist', labels),
    ]),
    [
      [false, true, false, true],
      [true, false, true, false],
      [false, true, true, false],
    ],
  );
});

test('selectors that are not understood are refused as a whole, and never crash', () => {
  const isRefused = (text: string) => {
    try {
      parseEnablementSelectors(text);
      return false;
    } catch (thrown) {
      assert.equal((thrown as AmbitError).code, 'AMBIT_CNI_CONFIG_INVALID');
      return true;
    }
  };
  for (const text of [
    '',
    '{}',
    '[1]',
    '[{"podSelectors":{}}]',
    '[{"podSelector":{"matchLabel":{}}}]',
    '[{"podSelector":{"matchLabels":{"a":1}}}]',
    '[{"podSelector":{"matchExpressions":[{"key":"a","operator":"in"}]}}]',
    '[{"podSelector":{"matchExpressions":[{"key":"a","operator":"In","values":"x"}]}}]',
  ]) {
    assert.ok(isRefused(text), text);
  }
  fc.assert(fc.property(fc.json(), (text) => void isRefused(text)));
});

test('a pod that says little is read with Kubernetes’ defaults', () => {
  const facts = podFacts({
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', uid: 'u1', generation: 1 },
    status: { podIP: '10.0.0.1' },
  });
  assert.deepEqual(facts, {
    uid: 'u1',
    namespace: 'shop',
    name: 'web',
    serviceAccount: 'default',
    node: '',
    labels: {},
    annotations: {},
    hostNetwork: false,
    phase: 'Pending',
    isEnding: false,
    containerIds: [],
    ips: ['10.0.0.1'],
    dnsPolicy: 'ClusterFirst',
    dnsSearches: [],
  });
});
