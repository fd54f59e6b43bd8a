/** The sandbox's API server and its controllers, on a store in a folder. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { IpFamily } from '../../../src/base/ip.ts';
import { ClusterApi, markDeleted } from '../../../src/sandbox/api/cluster-api.ts';
import type { Stored, StoredPod, StoredService } from '../../../src/sandbox/api/kube-object.ts';
import { ObjectStore } from '../../../src/sandbox/api/object-store.ts';
import { Scheduler } from '../../../src/sandbox/api/scheduler.ts';
import { WorkloadController } from '../../../src/sandbox/api/workload-controller.ts';
import { ServiceAddressPool } from '../../../src/sandbox/network/address-plan.ts';

interface Fixture {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly api: ClusterApi;
  apply(value: object, namespace?: string): string;
}

function cluster(t: TestContext, families: readonly IpFamily[] = [4, 6]): Fixture {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-store-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const store = new ObjectStore(folder);
  const api = new ClusterApi(store, { families, serviceAddresses: new ServiceAddressPool() });
  api.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } });
  const apply = (value: object, namespace = 'default') =>
    api.apply([{ source: 'test:1', value: value as Record<string, unknown> }], namespace)[0]!.result;
  return { folder, store, api, apply };
}

function podManifest(name: string, more: object = {}): object {
  const spec = { containers: [{ name: 'app', image: 'host' }], ...more };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}

function deploymentManifest(replicas: number, image = 'host'): object {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'app', image }] } },
    },
  };
}

function serviceManifest(name: string, spec: object = {}): object {
  return { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } };
}

function reference(kind: string, name: string, group = '') {
  return { kind, group, namespace: kind === 'Namespace' ? '' : 'default', name };
}

/** As the kubelet would say it. */
function makeReady(store: ObjectStore, pod: StoredPod): void {
  const conditions = [{ type: 'Ready', status: 'True' }];
  store.update(pod, (current) => ({ ...current, status: { phase: 'Running', conditions } }));
}

test('an object of the mesh is a file from the moment it is applied until it is deleted', (t) => {
  const { folder, api, apply } = cluster(t);
  assert.equal(apply(podManifest('web')), 'created');
  const path = join(folder, 'default', 'pod.web.json');
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).metadata.name, 'web');
  assert.equal(apply({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: {} }), 'created');
  assert.equal(existsSync(join(folder, 'default', 'configmap.c.json')), false);
  api.delete(reference('Namespace', 'default'));
  assert.equal(existsSync(join(folder, 'namespace.default.json')), false);
});

test('applying a manifest again changes nothing, and a changed one keeps what others have set', (t) => {
  const { api, store, apply } = cluster(t);
  const manifest = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels: { team: 'a' } } };
  assert.equal(apply(manifest), 'created');
  api.label(reference('Namespace', 'shop'), { 'istio.io/dataplane-mode': 'ambient' });
  assert.equal(apply(manifest), 'unchanged');
  assert.equal(apply({ ...manifest, metadata: { name: 'shop', labels: { tier: 'b' } } }), 'configured');
  const { labels, uid } = store.get('Namespace', '', 'shop')!.metadata;
  assert.equal(labels?.['istio.io/dataplane-mode'], 'ambient');
  assert.equal(labels?.team, undefined);
  assert.equal(labels?.tier, 'b');
  api.label(reference('Namespace', 'shop'), { 'istio.io/dataplane-mode': null });
  assert.equal('istio.io/dataplane-mode' in store.get('Namespace', '', 'shop')!.metadata.labels!, false);
  assert.equal(store.get('Namespace', '', 'shop')!.metadata.uid, uid);
});

test('when one manifest of a set is refused, none is stored', (t) => {
  const { api, store } = cluster(t);
  const values = [
    serviceManifest('a'),
    serviceManifest('b', { clusterIP: '10.96.1.9' }),
    serviceManifest('c', { clusterIP: '10.96.1.9' }),
  ];
  const manifests = values.map((value) => ({ source: 'x', value: value as Record<string, unknown> }));
  assert.throws(() => api.apply(manifests, 'default'), { code: 'AMBIT_SANDBOX_MANIFEST_INVALID' });
  assert.equal(store.list('Service').length, 0);
  assert.equal(api.apply(manifests.slice(0, 2), 'default').length, 2);
  assert.throws(() => api.apply([manifests[0]!, manifests[0]!], 'default'), /is also in/);
});

test('a namespace may come after what is in it, but not be missing', (t) => {
  const { api, store } = cluster(t);
  const inside = { ...podManifest('web'), metadata: { name: 'web', namespace: 'late' } };
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'late' } };
  const manifests = [inside, namespace].map((value) => ({
    source: 'f:1',
    value: value as Record<string, unknown>,
  }));
  assert.throws(() => api.apply(manifests.slice(0, 1), 'default'), /f:1: there is no namespace late/);
  api.apply(manifests, 'default');
  assert.ok(store.get('Pod', 'late', 'web'));
});

test('the spec of a pod cannot be changed, its labels can', (t) => {
  const { store, apply } = cluster(t);
  apply(podManifest('web'));
  const changed = podManifest('web', { containers: [{ name: 'app', image: 'other' }] });
  assert.throws(() => apply(changed), { code: 'AMBIT_SANDBOX_IMMUTABLE' });
  assert.equal(apply({ ...podManifest('web'), metadata: { name: 'web', labels: { a: 'b' } } }), 'configured');
  assert.equal(store.get('Pod', 'default', 'web')?.metadata.labels?.a, 'b');
  assert.equal(store.get('Pod', 'default', 'web')?.spec?.serviceAccountName, 'default');
});

test('services get their addresses as Kubernetes decides it, and keep them', (t) => {
  const { store, apply } = cluster(t);
  const spec = (name: string) => (store.get('Service', 'default', name) as StoredService).spec!;
  apply(serviceManifest('one'));
  assert.deepEqual(spec('one').ipFamilies, ['IPv4']);
  apply(serviceManifest('two', { ipFamilyPolicy: 'PreferDualStack' }));
  assert.deepEqual(spec('two').clusterIPs, ['10.96.1.1', 'fd00:10:96::102']);
  apply(serviceManifest('six', { ipFamilies: ['IPv6'] }));
  assert.match(spec('six').clusterIP!, /^fd00:10:96::/);
  apply(serviceManifest('none', { clusterIP: 'None' }));
  assert.deepEqual(spec('none').clusterIPs, ['None']);
  apply(serviceManifest('two', { ports: [{ port: 81 }] }));
  assert.deepEqual(spec('two').clusterIPs, ['10.96.1.1', 'fd00:10:96::102']);
  assert.deepEqual(spec('two').ports?.[0], { protocol: 'TCP', targetPort: 81, port: 81 });
});

test('a service that asks for a family the cluster has not is refused', (t) => {
  const { apply } = cluster(t, [4]);
  assert.throws(() => apply(serviceManifest('x', { ipFamilyPolicy: 'RequireDualStack' })), /only IPv4/);
  assert.throws(() => apply(serviceManifest('x', { ipFamilies: ['IPv6'] })), /only IPv4/);
});

test('a deployment makes pods, replaces those of an old template once the new ones are ready, and takes its own along', (t) => {
  const { api, store, apply } = cluster(t);
  const controller = new WorkloadController(store);
  const active = () => store.list('Pod').filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const images = () =>
    active()
      .map((pod) => pod.spec?.containers[0]?.image)
      .sort();
  const settle = () => {
    for (let i = 0; i < 3; i++) controller.reconcile();
  };
  apply(deploymentManifest(2));
  settle();
  assert.deepEqual(images(), ['host', 'host']);
  assert.match(active()[0]!.metadata.name, /^web-[a-z0-9]{10}-[a-z0-9]{5}$/);
  assert.equal(active()[0]!.metadata.ownerReferences?.[0]?.kind, 'ReplicaSet');
  apply(deploymentManifest(2, 'ambit/echo'));
  settle();
  assert.deepEqual(images(), ['ambit/echo', 'ambit/echo', 'host', 'host']);
  for (const pod of active()) makeReady(store, pod);
  settle();
  assert.deepEqual(images(), ['ambit/echo', 'ambit/echo']);
  apply(deploymentManifest(1, 'ambit/echo'));
  settle();
  assert.equal(active().length, 1);
  assert.deepEqual(
    (store.get('Deployment', 'default', 'web') as Stored<'Deployment'> & { status: object }).status,
    {
      observedGeneration: 3,
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: 1,
      availableReplicas: 1,
    },
  );
  api.delete(reference('Deployment', 'web', 'apps'));
  settle();
  assert.equal(active().length, 0);
  assert.equal(store.list('ReplicaSet').length, 0);
});

test('a stateful set names its pods by number, and makes the same one again', (t) => {
  const { store, apply } = cluster(t);
  const controller = new WorkloadController(store);
  const { spec } = deploymentManifest(2) as { spec: object };
  apply({
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db' },
    spec: { ...spec, serviceName: 'db' },
  });
  controller.reconcile();
  const pod = store.get('Pod', 'default', 'db-1')!;
  assert.equal(pod.spec?.hostname, 'db-1');
  assert.equal(pod.spec?.subdomain, 'db');
  store.remove(reference('Pod', 'db-1'));
  controller.reconcile();
  assert.notEqual(store.get('Pod', 'default', 'db-1')?.metadata.uid, pod.metadata.uid);
});

test('pods are spread over the nodes, except those that name theirs', (t) => {
  const { api, store, apply } = cluster(t);
  for (const name of ['node1', 'node2']) {
    api.create({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels: { zone: name } } });
  }
  const nodeOf = (name: string) => store.get('Pod', 'default', name)?.spec?.nodeName;
  const reconcile = () => {
    new WorkloadController(store).reconcile();
    new Scheduler(store).reconcile();
  };
  apply(podManifest('fixed', { nodeName: 'node1' }));
  apply(podManifest('picky', { nodeSelector: { zone: 'node1' } }));
  apply(podManifest('free'));
  reconcile();
  assert.deepEqual(['fixed', 'picky', 'free'].map(nodeOf), ['node1', 'node1', 'node2']);
  apply(deploymentManifest(4));
  reconcile();
  const ofDeployment = store.list('Pod').filter((pod) => pod.metadata.name.startsWith('web-'));
  assert.equal(ofDeployment.filter((pod) => pod.spec?.nodeName === 'node2').length, 2);
});

test('a pod that fits nowhere says why', (t) => {
  const { api, store, apply } = cluster(t);
  api.create({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'node1' } });
  apply(podManifest('lost', { nodeName: 'node7' }));
  apply(podManifest('picky', { nodeSelector: { disk: 'fast' } }));
  new Scheduler(store).reconcile();
  const reason = (name: string) => store.get('Pod', 'default', name)?.status?.conditions?.[0]?.message ?? '';
  assert.match(reason('lost'), /there is no node node7; there are node1/);
  assert.match(reason('picky'), /0\/1 nodes/);
});

test('a pod marked as deleted twice keeps the shorter time, and its first mark', (t) => {
  const { store, apply } = cluster(t);
  apply(podManifest('web'));
  const meta = () => store.get('Pod', 'default', 'web')!.metadata as unknown as Record<string, unknown>;
  markDeleted(store, store.get('Pod', 'default', 'web')!);
  assert.equal(meta().deletionGracePeriodSeconds, 30);
  const at = meta().deletionTimestamp;
  markDeleted(store, store.get('Pod', 'default', 'web')!, 0);
  assert.equal(meta().deletionGracePeriodSeconds, 0);
  assert.equal(meta().deletionTimestamp, at);
  assert.throws(() => apply(podManifest('web')), /is being deleted/);
});

test('kinds are found by every name that people give them', (t) => {
  const { api, apply } = cluster(t);
  apply({ apiVersion: 'example.com/v1', kind: 'Policy', metadata: { name: 'p' } });
  const kinds = [
    'pods',
    'po',
    'Pod',
    'svc',
    'deploy',
    'ns',
    'policies',
    'authorizationpolicies.security.istio.io',
  ];
  assert.deepEqual(
    kinds.map((text) => api.requireKind(text).kind),
    ['Pod', 'Pod', 'Pod', 'Service', 'Deployment', 'Namespace', 'Policy', 'AuthorizationPolicy'],
  );
  assert.throws(() => api.requireKind('nonsense'), { code: 'AMBIT_SANDBOX_NOT_FOUND' });
});
