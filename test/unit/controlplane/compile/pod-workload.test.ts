/** What becomes of a pod. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Workload } from '../../../../src/mesh/workload.ts';
import { compileMesh } from '../../../support/compile-mesh.ts';
import { make, namespace, type PodInput, pod, service, waypoint } from '../../../support/mesh-objects.ts';

function compiled(input: Partial<PodInput> = {}): Workload | undefined {
  return compileMesh([pod({ name: 'web', ...input })]).workloads.web;
}

function owned(kind: string, name: string, labels: Record<string, string> = {}): Partial<PodInput> {
  return {
    name: 'web',
    labels,
    ownerReferences: [{ apiVersion: 'x', kind, name, uid: 'u', controller: true }],
  };
}

test('a running pod is a workload with the identity of its service account', () => {
  assert.deepEqual(compiled({ ip: '10.0.0.7', serviceAccount: 'seller', node: 'n1' }), {
    uid: 'Kubernetes//Pod/shop/web',
    name: 'web',
    namespace: 'shop',
    addresses: ['10.0.0.7'],
    hostname: '',
    network: '',
    tunnelProtocol: 'NONE',
    trustDomain: 'cluster.local',
    serviceAccount: 'seller',
    node: 'n1',
    canonicalName: 'web',
    canonicalRevision: 'latest',
    workloadType: 'POD',
    workloadName: 'web',
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: 'HEALTHY',
    clusterId: 'Kubernetes',
    locality: { region: '', zone: '', subzone: '' },
    networkMode: 'STANDARD',
    extensions: [],
    capacity: 1,
  });
});

test('a pod without an address, or one that has ended, is no workload', () => {
  assert.equal(compiled({ ip: '' }), undefined);
  assert.equal(compiled({ phase: 'Succeeded' }), undefined);
  assert.equal(compiled({ phase: 'Failed' }), undefined);
  assert.notEqual(compiled({ phase: 'Pending' }), undefined);
});

test('a dual-stack pod has both of its addresses, each once', () => {
  const base = pod({ name: 'web', ip: '10.0.0.1' });
  const dual = { ...base, status: { ...base.status, podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00:0::1' }] } };
  assert.deepEqual(compileMesh([dual]).workloads.web?.addresses, ['10.0.0.1', 'fd00::1']);
});

test('a pod is healthy while it is ready and not about to end', () => {
  assert.equal(compiled()?.status, 'HEALTHY');
  assert.equal(compiled({ ready: false })?.status, 'UNHEALTHY');
  assert.equal(compiled({ deletionTimestamp: '2026-01-01T00:00:00Z' })?.status, 'UNHEALTHY');
});

test('HBONE is spoken only to pods that the node agent has captured', () => {
  assert.equal(compiled()?.tunnelProtocol, 'NONE');
  assert.equal(compiled({ enrolled: true })?.tunnelProtocol, 'HBONE');
  const pending = { annotations: { 'ambient.istio.io/redirection': 'pending' } };
  assert.equal(compiled(pending)?.tunnelProtocol, 'NONE');
});

test('a pod that ends HBONE itself says so by its label', () => {
  const native = compiled({ labels: { 'networking.istio.io/tunnel': 'http' } });
  assert.equal(native?.tunnelProtocol, 'HBONE');
  assert.equal(native?.nativeTunnel, true);
});

test('a pod in the host network is never captured, whatever its annotation says', () => {
  const host = compiled({
    hostNetwork: true,
    enrolled: true,
    labels: { 'networking.istio.io/tunnel': 'http' },
  });
  assert.equal(host?.tunnelProtocol, 'NONE');
  assert.equal(host?.nativeTunnel, false);
  assert.equal(host?.networkMode, 'HOST_NETWORK');
});

test('the workload is named after what a person wrote: the Deployment, the CronJob, the Job', () => {
  const meta = (input: Partial<PodInput>) => {
    const workload = compiled(input);
    return [workload?.workloadName, workload?.workloadType];
  };
  assert.deepEqual(meta({}), ['web', 'POD']);
  const hash = { 'pod-template-hash': '5d4f' };
  assert.deepEqual(meta(owned('ReplicaSet', 'shop-web-5d4f', hash)), ['shop-web', 'DEPLOYMENT']);
  assert.deepEqual(meta(owned('ReplicaSet', 'by-hand')), ['by-hand', 'POD']);
  assert.deepEqual(meta(owned('Job', 'nightly-28812345')), ['nightly', 'CRONJOB']);
  assert.deepEqual(meta(owned('Job', 'once')), ['once', 'JOB']);
  assert.deepEqual(meta(owned('StatefulSet', 'db')), ['db', 'POD']);
});

test('canonical name and revision come from labels, the most specific first', () => {
  const canonical = (labels: Record<string, string>) => {
    const workload = compiled({ labels });
    return [workload?.canonicalName, workload?.canonicalRevision];
  };
  assert.deepEqual(canonical({}), ['web', 'latest']);
  assert.deepEqual(canonical({ app: 'a', version: 'v1' }), ['a', 'v1']);
  assert.deepEqual(
    canonical({ app: 'a', 'app.kubernetes.io/name': 'b', 'app.kubernetes.io/version': 'v2' }),
    ['b', 'v2'],
  );
  assert.deepEqual(
    canonical({
      'app.kubernetes.io/name': 'b',
      'service.istio.io/canonical-name': 'c',
      'service.istio.io/canonical-revision': 'v3',
    }),
    ['c', 'v3'],
  );
  assert.deepEqual(canonical({ app: '' }), ['web', 'latest']);
});

test('locality comes from the labels of the node', () => {
  const node = make('Node', {
    name: 'n1',
    labels: {
      'topology.kubernetes.io/region': 'eu',
      'topology.kubernetes.io/zone': 'eu-1',
      'topology.istio.io/subzone': 'rack-3',
    },
  });
  const { workloads } = compileMesh([node, pod({ name: 'web', node: 'n1' })]);
  assert.deepEqual(workloads.web?.locality, { region: 'eu', zone: 'eu-1', subzone: 'rack-3' });
});

test('trust domain, cluster and network come from the options; labels name another network', () => {
  const options = {
    trustDomain: 'example.org',
    clusterId: 'c1',
    network: 'n1',
    rootNamespace: 'ambit-system',
  };
  const objects = [pod({ name: 'a' }), pod({ name: 'b', labels: { 'topology.istio.io/network': 'n2' } })];
  const { workloads } = compileMesh(objects, options);
  assert.equal(workloads.a?.uid, 'c1//Pod/shop/a');
  assert.deepEqual([workloads.a?.trustDomain, workloads.a?.clusterId], ['example.org', 'c1']);
  assert.deepEqual([workloads.a?.network, workloads.b?.network], ['n1', 'n2']);
  const root = namespace('ambit-system', { 'topology.istio.io/network': 'n3' });
  assert.equal(compileMesh([...objects, root], options).workloads.a?.network, 'n3');
});

test('a pod backs the services of its namespace that select it, on the ports they map', () => {
  const { workloads } = compileMesh([
    pod({ name: 'web', labels: { app: 'web', tier: 'front' }, ports: { http: 8081, admin: 9000 } }),
    service({ name: 'by-number' }),
    service({
      name: 'by-name',
      spec: {
        ports: [
          { port: 80, targetPort: 'http' },
          { port: 81, targetPort: 'none' },
        ],
      },
    }),
    service({ name: 'same-port', spec: { ports: [{ port: 7000 }, { port: 53, protocol: 'UDP' }] } }),
    service({ name: 'other', selector: { app: 'web', tier: 'back' } }),
    service({ name: 'elsewhere', namespace: 'bank' }),
    service({ name: 'manual', selector: {} }),
    service({ name: 'alias', spec: { type: 'ExternalName' } }),
  ]);
  assert.deepEqual(
    [...workloads.web!.services],
    [
      ['shop/by-name.shop.svc.cluster.local', [{ servicePort: 80, targetPort: 8081 }]],
      ['shop/by-number.shop.svc.cluster.local', [{ servicePort: 80, targetPort: 8080 }]],
      ['shop/same-port.shop.svc.cluster.local', [{ servicePort: 7000, targetPort: 7000 }]],
    ],
  );
});

test('a named port may be that of a sidecar, not that of a container that ends or of UDP', () => {
  const base = pod({ name: 'web', labels: { app: 'web' } });
  const spec = {
    containers: [{ name: 'app', ports: [{ name: 'dns', containerPort: 53, protocol: 'UDP' }] }],
    initContainers: [
      { name: 'setup', ports: [{ name: 'http', containerPort: 1 }] },
      { name: 'proxy', restartPolicy: 'Always', ports: [{ name: 'http', containerPort: 2 }] },
    ],
  };
  const ports = [
    { port: 80, targetPort: 'http' },
    { port: 53, targetPort: 'dns' },
  ];
  const { workloads } = compileMesh([{ ...base, spec }, service({ name: 's', spec: { ports } })]);
  assert.deepEqual([...workloads.web!.services.values()], [[{ servicePort: 80, targetPort: 2 }]]);
});

test('the pods of a waypoint are not behind a waypoint themselves', () => {
  const { workloads } = compileMesh([
    namespace('shop', { 'istio.io/use-waypoint': 'wp' }),
    waypoint({ name: 'wp', labels: { 'istio.io/waypoint-for': 'all' } }),
    pod({ name: 'web' }),
    pod({ name: 'wp-1', labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } }),
  ]);
  assert.notEqual(workloads.web?.waypoint, undefined);
  assert.equal(workloads['wp-1']?.waypoint, undefined);
});

test('a waypoint of another kind gets its connections in the tunnel that its Gateway names', () => {
  const tunnelFor = (binding: string) => {
    const annotations = { 'ambient.istio.io/waypoint-inbound-binding': binding };
    const proxy = pod({ name: 'wp-1', labels: { 'gateway.networking.k8s.io/gateway-name': 'wp' } });
    return compileMesh([waypoint({ name: 'wp', annotations }), proxy]).workloads['wp-1']?.applicationTunnel;
  };
  assert.deepEqual(tunnelFor('PROXY/15088'), { protocol: 'PROXY', port: 15088 });
  assert.equal(tunnelFor('NONE'), undefined);
  assert.equal(tunnelFor('PROXY/99999'), undefined);
});
