/** Objects read from a real Kubernetes API server, through whatever may happen to it and to the way there. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeClient, MERGE_PATCH_TYPE } from '../../src/kube/kube-client.ts';
import { KubernetesSource } from '../../src/kube/kubernetes-source.ts';
import { OBJECT_KINDS } from '../../src/objects/kinds.ts';
import type { ObjectChange } from '../../src/objects/object-source.ts';
import { flushLog, setLogSink } from '../../src/telemetry/log.ts';
import { AGENT_TOKEN, AGENT_USER, BareApiServer } from '../support/cluster/bare-api-server.ts';
import {
  createPod,
  deletePod,
  installDefinition,
  looseDefinition,
  makeNamespace,
  removeDefinition,
} from '../support/cluster/kube-objects.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';
import { HostileNetwork } from '../support/hostile-network.ts';

const POLICIES = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
/** The library's informer gives a silent watch up after 30 s. */
const SILENCE_MS = 36_000;
/** On a machine that does a lot besides. */
const START_TIMEOUT_MS = 60_000;

let api: BareApiServer;
let admin: KubeClient;

before(async () => {
  api = await BareApiServer.start();
  admin = await KubeClient.connect({ kubeconfig: api.kubeconfig() });
  await makeNamespace(admin, 'shop');
  await createPod(admin, 'shop', 'first', 'one');
});

after(async () => {
  await admin?.close();
  await api?.[Symbol.asyncDispose]();
});

interface Reading extends AsyncDisposable {
  readonly source: KubernetesSource;
  readonly changes: ObjectChange[];
}

async function reading(
  kubeconfig: string,
  options: Partial<ConstructorParameters<typeof KubernetesSource>[1]> = {},
): Promise<Reading> {
  const client = await KubeClient.connect({ kubeconfig });
  const source = new KubernetesSource(client, {
    kinds: OBJECT_KINDS,
    writer: 'ambit-test',
    timing: { absentMs: 200 },
    ...options,
  });
  const late = delay(START_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error(
      `not read within ${START_TIMEOUT_MS} ms: ${source.problems.map(({ message }) => message)}`,
    );
  });
  await Promise.race([source.start(), late]);
  const changes: ObjectChange[] = [];
  source.subscribe((batch) => changes.push(...batch));
  return {
    source,
    changes,
    async [Symbol.asyncDispose]() {
      source.stop();
      await client.close();
    },
  };
}

/** `upsert first`, of pods. */
function podsTold(changes: readonly ObjectChange[]): string[] {
  return changes
    .filter(({ object }) => object.kind === 'Pod')
    .map(({ type, object }) => `${type} ${object.metadata.name}`);
}

function metricOf(source: KubernetesSource, name: string, label: string): number | undefined {
  let found: number | undefined;
  source.metrics.collect((metric, labels, value) => {
    if (metric === name && labels[0] === label) found = value;
  });
  return found;
}

function podNames(source: KubernetesSource): string[] {
  return source
    .list('Pod')
    .map(({ metadata }) => metadata.name)
    .sort();
}

test('objects are read, told when they change, and gone when they are deleted', async () => {
  await using pods = await reading(api.kubeconfig());
  assert.equal(pods.source.get('Pod', 'shop', 'first')?.spec?.nodeName, 'one');
  assert.ok(pods.source.list('Namespace').length >= 4);
  assert.deepEqual(pods.source.problems, []);
  await createPod(admin, 'shop', 'second');
  await eventually('told', () => podsTold(pods.changes).includes('upsert second'));
  const container = pods.source.get('Pod', 'shop', 'second')?.spec?.containers[0];
  assert.deepEqual(container?.ports, [{ containerPort: 8080, name: 'http' }]);
  await deletePod(admin, 'shop', 'second');
  await eventually('told', () => podsTold(pods.changes).includes('delete second'));
  assert.equal(pods.source.get('Pod', 'shop', 'second'), undefined);
});

test('a node agent reads the pods of its own node, also when they are bound later', async () => {
  await using pods = await reading(api.kubeconfig(), {
    kinds: ['Namespace', 'Pod'],
    fieldSelectors: { Pod: 'spec.nodeName=one' },
  });
  assert.deepEqual(podNames(pods.source), ['first']);
  await createPod(admin, 'shop', 'elsewhere', 'two');
  await createPod(admin, 'shop', 'later');
  const binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: 'later' },
    target: { kind: 'Node', name: 'one' },
  };
  await admin.request({ method: 'POST', path: '/api/v1/namespaces/shop/pods/later/binding', body: binding });
  await eventually('bound', () => pods.source.get('Pod', 'shop', 'later') !== undefined);
  assert.deepEqual(podNames(pods.source), ['first', 'later']);
  await deletePod(admin, 'shop', 'later');
  await deletePod(admin, 'shop', 'elsewhere');
  await eventually('gone', () => podNames(pods.source).length === 1);
  assert.equal(podsTold(pods.changes).at(-1), 'delete later');
  assert.ok(!podsTold(pods.changes).some((change) => change.endsWith('elsewhere')));
});

test('annotations and labels are patched without touching others, and an object that is gone is told', async () => {
  await using pods = await reading(api.kubeconfig());
  const reference = { kind: 'Pod', namespace: 'shop', name: 'first' } as const;
  const annotations = { 'ambient.istio.io/redirection': 'enabled' };
  await pods.source.patch(reference, { annotations, labels: { extra: 'yes' } });
  await eventually(
    'read back',
    () => pods.source.get('Pod', 'shop', 'first')?.metadata.labels?.extra === 'yes',
  );
  const { metadata } = pods.source.get('Pod', 'shop', 'first')!;
  assert.deepEqual(metadata.annotations, annotations);
  assert.equal(metadata.labels?.app, 'first');
  await pods.source.patch(reference, {
    annotations: { 'ambient.istio.io/redirection': null },
    labels: { extra: null },
  });
  await eventually(
    'read back',
    () => pods.source.get('Pod', 'shop', 'first')?.metadata.annotations === undefined,
  );
  await assert.rejects(pods.source.patch({ ...reference, name: 'none' }, { annotations }), {
    code: 'AMBIT_OBJECT_NOT_FOUND',
  });
});

test('a kind that is installed later is picked up, and empty again when it is taken away', async () => {
  await using gateways = await reading(api.kubeconfig(), { kinds: ['Gateway', 'Pod'] });
  assert.deepEqual(gateways.source.list('Gateway'), []);
  assert.deepEqual(gateways.source.problems, []);
  const definition = looseDefinition('gateway.networking.k8s.io', 'Gateway', 'gateways');
  await installDefinition(admin, definition);
  const path = '/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways';
  const gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: 'waypoint' },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15008, protocol: 'HBONE' }],
    },
  };
  await eventuallyAnswers('created', () => admin.request({ method: 'POST', path, body: gateway }));
  await eventually('told', () => gateways.source.get('Gateway', 'shop', 'waypoint'));
  assert.equal(gateways.source.get('Gateway', 'shop', 'waypoint')?.spec.listeners?.[0]?.port, 15008);
  await removeDefinition(admin, definition);
  await eventually('gone', () => gateways.source.list('Gateway').length === 0, 30_000);
  assert.deepEqual(gateways.source.problems, []);
});

test('a kind that is there in an older version only is a problem, and not taken for missing', async () => {
  const definition = looseDefinition(
    'security.istio.io',
    'PeerAuthentication',
    'peerauthentications',
    'v1beta1',
  );
  await installDefinition(admin, definition);
  await using client = await KubeClient.connect({ kubeconfig: api.kubeconfig() });
  const source = new KubernetesSource(client, { kinds: ['PeerAuthentication'], writer: 'test' });
  using stack = new DisposableStack();
  stack.defer(() => source.stop());
  const start = source.start();
  const problem = await eventually(
    'told',
    () => source.problems.find(({ code }) => code.endsWith('UNSERVED')),
    30_000,
  );
  assert.match(problem.message, /PeerAuthentication of security\.istio\.io as v1beta1, not as v1/);
  await removeDefinition(admin, definition);
  await start;
  assert.deepEqual(source.problems, [], 'now it is missing, which is nobody’s fault');
});

test('several writers keep their own conditions on one object, and remove none of each other', async () => {
  await installDefinition(
    admin,
    looseDefinition('security.istio.io', 'AuthorizationPolicy', 'authorizationpolicies'),
  );
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p' },
    spec: { action: 'DENY' },
  };
  await eventuallyAnswers('created', () => admin.request({ method: 'POST', path: POLICIES, body: policy }));
  const reference = { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p' } as const;
  const types = ['A', 'B', 'C', 'D'];
  await using one = await reading(api.kubeconfig(), { kinds: ['AuthorizationPolicy'] });
  await using two = await reading(api.kubeconfig(), { kinds: ['AuthorizationPolicy'] });
  const write = (type: string, round: number) => {
    const conditions = [{ type, status: 'True', reason: `R${round}`, observedGeneration: 1 }];
    const { source } = type < 'C' ? one : two;
    return source.patch(reference, { status: { conditions }, conditionTypes: [type] });
  };
  for (let round = 1; round <= 10; round++) await Promise.all(types.map((type) => write(type, round)));
  const conditionsOf = () => one.source.get('AuthorizationPolicy', 'shop', 'p')?.status?.conditions ?? [];
  const reasons = () =>
    conditionsOf()
      .map(({ type, reason }) => `${type}${reason}`)
      .sort();
  await eventually('all four are there', () => reasons().join() === 'AR10,BR10,CR10,DR10');
  assert.equal(conditionsOf()[0]?.observedGeneration, 1);
  await two.source.patch(reference, { status: { conditions: [] }, conditionTypes: ['C', 'D'] });
  await eventually('two are left', () => reasons().join() === 'AR10,BR10');
  assert.equal(one.source.get('AuthorizationPolicy', 'shop', 'p')?.spec?.action, 'DENY');
});

test('a policy that breaks its schema is told once, and what it said before stays in force', async (t) => {
  await using policies = await reading(api.kubeconfig(), { kinds: ['AuthorizationPolicy'] });
  const lines: string[] = [];
  setLogSink((text) => lines.push(text));
  t.after(() => setLogSink((text) => process.stdout.write(text)));
  const change = (spec: object) =>
    admin.request({ method: 'PATCH', path: `${POLICIES}/p`, contentType: MERGE_PATCH_TYPE, body: { spec } });
  await change({ action: 'MAYBE' });
  const [problem] = await eventually(
    'a problem',
    () => policies.source.problems.length > 0 && policies.source.problems,
  );
  assert.match(problem?.message ?? '', /^AuthorizationPolicy\/shop\/p: spec\.action must be one of/);
  assert.equal(policies.source.get('AuthorizationPolicy', 'shop', 'p')?.spec?.action, 'DENY');
  await change({ action: 'MAYBE', rules: [] });
  await change({ action: 'ALLOW' });
  await eventually('repaired', () => policies.source.problems.length === 0);
  flushLog();
  assert.equal(lines.join('').match(/spec\.action must be one of/g)?.length, 1);
  assert.equal(policies.source.get('AuthorizationPolicy', 'shop', 'p')?.spec?.action, 'ALLOW');
});

test('an API server that is killed and comes back is followed on, and named while it is away', async () => {
  await using pods = await reading(api.kubeconfig());
  await api.kill();
  await eventually('named', () => pods.source.problems.length === OBJECT_KINDS.length, 30_000);
  assert.match(
    pods.source.problems[0]?.message ?? '',
    /cannot be read now, the last known ones stay in force/,
  );
  assert.ok(podNames(pods.source).includes('first'), 'what was read stays');
  await api.resume();
  await createPod(admin, 'shop', 'after-restart');
  await eventually('told', () => podNames(pods.source).includes('after-restart'), 60_000);
  await eventually('no problem is left', () => pods.source.problems.length === 0, 60_000);
  await deletePod(admin, 'shop', 'after-restart');
  await eventually('gone', () => !podNames(pods.source).includes('after-restart'));
});

test('resets of the network lose no change', async () => {
  await using network = await HostileNetwork.before(api.port);
  await using pods = await reading(api.kubeconfig(undefined, network.port));
  for (let i = 0; i < 10; i++) {
    network.reset();
    await createPod(admin, 'shop', `reset-${i}`);
    await eventually('told', () => podNames(pods.source).includes(`reset-${i}`));
    network.reset();
    await deletePod(admin, 'shop', `reset-${i}`);
    await eventually('told', () => !podNames(pods.source).includes(`reset-${i}`));
  }
  assert.equal(podsTold(pods.changes).at(-1), 'delete reset-9');
});

test('what was deleted while the version to resume from grew too old is deleted all the same', async () => {
  await createPod(admin, 'shop', 'doomed');
  await using network = await HostileNetwork.before(api.port);
  await using pods = await reading(api.kubeconfig(undefined, network.port));
  network.cut();
  await deletePod(admin, 'shop', 'doomed');
  await createPod(admin, 'shop', 'born-meanwhile');
  // An API server that has just started does not know what was before it.
  await api.kill();
  await api.resume();
  network.mend();
  await eventually('the view agrees', () => podNames(pods.source).join() === 'born-meanwhile,first', 60_000);
  assert.ok(podsTold(pods.changes).includes('delete doomed'));
  assert.equal(metricOf(pods.source, 'ambit_kube_expired_total', 'Pod'), 1);
  assert.equal(metricOf(pods.source, 'ambit_kube_relists_total', 'Pod'), 1);
  await eventually('the next watch', () => metricOf(pods.source, 'ambit_kube_synced', 'Pod') === 1, 60_000);
  await deletePod(admin, 'shop', 'born-meanwhile');
});

test('connections that swallow everything are noticed, and left behind', async () => {
  await using network = await HostileNetwork.before(api.port);
  await using pods = await reading(api.kubeconfig(undefined, network.port), {
    kinds: ['Pod'],
    timing: { watchSeconds: [1, 2], overdueMs: 500, answerMs: 1000 },
  });
  network.swallow();
  await createPod(admin, 'shop', 'swallowed');
  await delay(1000);
  assert.ok(!podNames(pods.source).includes('swallowed'));
  await eventually('named', () => pods.source.problems.length > 0, 30_000);
  network.mend();
  await eventually('told', () => podNames(pods.source).includes('swallowed'), 30_000);
  await deletePod(admin, 'shop', 'swallowed');
});

test('a process without permission says what it may not do, and goes on once it may', async () => {
  const rules = { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['list', 'watch'] };
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'reader' },
    rules: [rules],
  };
  const client = await KubeClient.connect({ kubeconfig: api.kubeconfig(AGENT_TOKEN) });
  const source = new KubernetesSource(client, { kinds: ['Namespace', 'Pod'], writer: 'test' });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    source.stop();
    await client.close();
  });
  const start = source.start();
  await eventually('named', () => source.problems.length === 2);
  assert.match(source.problems[1]?.message ?? '', /403.*cannot list resource "pods"/);
  await admin.request({
    method: 'POST',
    path: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
    body: role,
  });
  const binding = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: AGENT_USER }],
  };
  await admin.request({
    method: 'POST',
    path: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    body: binding,
  });
  await start;
  assert.deepEqual(podNames(source), ['first']);
});

test('a watch that hears nothing for longer than half a minute is not cut, and still hears', async () => {
  await using network = await HostileNetwork.before(api.port);
  await using quiet = await reading(api.kubeconfig(undefined, network.port), {
    kinds: ['Namespace', 'Node', 'EndpointSlice', 'WorkloadEntry'],
    timing: {},
  });
  await delay(1000);
  const { connections } = network;
  await delay(SILENCE_MS);
  assert.equal(network.connections, connections, 'no connection is made while nothing happens');
  assert.deepEqual(quiet.source.problems, []);
  await makeNamespace(admin, 'after-silence');
  await eventually('heard', () => quiet.source.get('Namespace', '', 'after-silence'));
});
