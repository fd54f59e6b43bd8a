/** What is kept of objects, and what is not; that it is enough for compilation is checked by every test of that. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { podFacts } from '../../../src/cni/pod-facts.ts';
import { decodeObject } from '../../../src/kube/decode.ts';
import { project } from '../../../src/kube/projection.ts';
import type { Pod } from '../../../src/objects/core-types.ts';
import { OBJECT_KINDS } from '../../../src/objects/kinds.ts';

/** Fields that are looked into. */
const FIELDS = [
  'containers',
  'initContainers',
  'dnsConfig',
  'podIPs',
  'conditions',
  'ports',
  'addresses',
  'clusterIPs',
];

/** As a kubelet leaves it, shortened. */
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'web-7d9f-x2x',
    namespace: 'shop',
    uid: 'u-1',
    resourceVersion: '42',
    generateName: 'web-7d9f-',
    creationTimestamp: '2026-01-01T00:00:00Z',
    generation: 3,
    labels: { app: 'web', 'pod-template-hash': '7d9f' },
    annotations: {
      'ambient.istio.io/redirection': 'enabled',
      'traffic.sidecar.istio.io/excludeOutboundPorts': '25',
      'istio.io/reroute-virtual-interfaces': 'net1',
      'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(10_000),
      'evil-istio.io/not-ours': 'x',
    },
    ownerReferences: [
      {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'web-7d9f',
        uid: 'r',
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
    managedFields: [{ manager: 'kubelet', operation: 'Update', fieldsV1: { 'f:status': {} } }],
  },
  spec: {
    nodeName: 'worker',
    serviceAccountName: 'web',
    hostNetwork: false,
    dnsPolicy: 'None',
    dnsConfig: { nameservers: ['10.0.0.1'], searches: ['shop.svc.cluster.local'] },
    initContainers: [
      { name: 'wait', image: 'x', ports: [{ containerPort: 1 }] },
      {
        name: 'sidecar',
        image: 'x',
        restartPolicy: 'Always',
        ports: [{ name: 'side', containerPort: 9000 }],
      },
    ],
    containers: [
      {
        name: 'main',
        image: 'x',
        env: [{ name: 'A', value: 'b' }],
        ports: [{ name: 'http', containerPort: 80, protocol: 'TCP' }],
      },
      { name: 'silent', image: 'y' },
    ],
    volumes: [{ name: 'v', emptyDir: {} }],
  },
  status: {
    phase: 'Running',
    podIP: '10.1.0.7',
    podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }],
    hostIP: '192.168.0.1',
    conditions: [
      { type: 'PodScheduled', status: 'True' },
      { type: 'Ready', status: 'True', lastProbeTime: null, lastTransitionTime: '2026-01-01T00:00:00Z' },
    ],
    containerStatuses: [{ name: 'main', image: 'x', imageID: 'sha256:…', ready: true, restartCount: 0 }],
  },
} as const;

test('of a pod the fields that the mesh reads are kept, and no others', () => {
  assert.deepEqual(project('Pod', POD), {
    kind: 'Pod',
    metadata: {
      name: 'web-7d9f-x2x',
      namespace: 'shop',
      uid: 'u-1',
      generation: 3,
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: { app: 'web', 'pod-template-hash': '7d9f' },
      annotations: {
        'ambient.istio.io/redirection': 'enabled',
        'traffic.sidecar.istio.io/excludeOutboundPorts': '25',
        'istio.io/reroute-virtual-interfaces': 'net1',
      },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web-7d9f', uid: 'r', controller: true },
      ],
    },
    spec: {
      nodeName: 'worker',
      serviceAccountName: 'web',
      dnsPolicy: 'None',
      dnsConfig: { searches: ['shop.svc.cluster.local'] },
      initContainers: [
        { name: 'sidecar', restartPolicy: 'Always', ports: [{ name: 'side', containerPort: 9000 }] },
      ],
      containers: [{ name: 'main', ports: [{ name: 'http', containerPort: 80 }] }],
    },
    status: {
      phase: 'Running',
      podIP: '10.1.0.7',
      podIPs: [{ ip: '10.1.0.7' }, { ip: 'fd00::7' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
});

test('the node agent learns the same of a pod as it would from all of it', () => {
  const whole: unknown = POD;
  const kept = project('Pod', POD);
  assert.ok(kept.kind === 'Pod');
  const facts = podFacts(kept);
  assert.deepEqual({ ...facts, annotations: {} }, { ...podFacts(whole as Pod), annotations: {} });
  assert.equal(facts.annotations['ambient.istio.io/redirection'], 'enabled');
});

test('no object makes the reader fail: what is not understood is a problem of that object', () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const metadata = fc.tuple(
    name,
    fc.dictionary(fc.constantFrom('labels', 'annotations', 'ownerReferences'), fc.jsonValue()),
  );
  const part = fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...FIELDS), fc.jsonValue()));
  const fields = fc.dictionary(fc.constantFrom('spec', 'status', 'endpoints', 'ports'), part);
  fc.assert(
    fc.property(fc.constantFrom(...OBJECT_KINDS), metadata, fields, (kind, [given, more], rest) => {
      const { object, problems } = decodeObject(kind, { ...rest, metadata: { ...more, name: given } });
      assert.ok(object !== undefined || problems.some(({ severity }) => severity === 'error'));
    }),
    { numRuns: 2000 },
  );
});

test('objects without specification, status or metadata of theirs are taken as they are', () => {
  for (const kind of ['Pod', 'Service', 'Node', 'Namespace', 'EndpointSlice'] as const) {
    const { metadata } = project(kind, { metadata: { name: 'bare' } });
    assert.deepEqual(metadata, { name: 'bare', namespace: '', uid: '', generation: 0 });
  }
});
