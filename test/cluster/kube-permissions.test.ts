/** The roles of an installation against a real API server: each process may do what it does, and not what it does not. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { EventRecorder } from '../../src/kube/event-recorder.ts';
import { KubeClient, type KubeObject, MERGE_PATCH_TYPE } from '../../src/kube/kube-client.ts';
import { KubernetesSource } from '../../src/kube/kubernetes-source.ts';
import { LeaseElection } from '../../src/kube/lease-election.ts';
import { OBJECT_KINDS } from '../../src/objects/kinds.ts';
import { BareApiServer } from '../support/cluster/bare-api-server.ts';
import {
  createPod,
  installDefinition,
  looseDefinition,
  makeNamespace,
} from '../support/cluster/kube-objects.ts';
import { eventually, eventuallyAnswers } from '../support/eventually.ts';

const DAEMONSET = join(import.meta.dirname, '../../daemonset');
const SYSTEM = 'ambit-system';
const POLICIES = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies';
const EVENT = { type: 'Warning', reason: 'Tried', action: 'Try', note: 'n' } as const;

let api: BareApiServer;
let admin: KubeClient;

before(async () => {
  api = await BareApiServer.start();
  admin = await KubeClient.connect({ kubeconfig: api.kubeconfig() });
  await makeNamespace(admin, SYSTEM);
  await makeNamespace(admin, 'shop');
  const crds = readdirSync(join(DAEMONSET, 'crds')).filter((name) => name.includes('.istio.io'));
  for (const name of crds) await applyFile(join('crds', name));
  await installDefinition(admin, looseDefinition('gateway.networking.k8s.io', 'Gateway', 'gateways'));
  await applyFile('base/controlplane-rbac.yaml');
  await applyFile('base/cni-rbac.yaml');
  await createPod(admin, 'shop', 'here', 'node');
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p' },
    spec: {},
  };
  await eventuallyAnswers('a policy', () => admin.request({ method: 'POST', path: POLICIES, body: policy }));
});

after(async () => {
  await admin?.close();
  await api?.[Symbol.asyncDispose]();
});

async function applyFile(name: string): Promise<void> {
  for (const document of parseAllDocuments(readFileSync(join(DAEMONSET, name), 'utf8'))) {
    const object: KubeObject | null = document.toJS();
    if (object !== null) await admin.apply(object, { fieldManager: 'ambit' });
  }
}

/** A client that is this service account of the installation. */
async function as(account: string): Promise<KubeClient> {
  const { status } = await admin.request<{ readonly status: { readonly token: string } }>({
    method: 'POST',
    path: `/api/v1/namespaces/${SYSTEM}/serviceaccounts/${account}/token`,
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  return KubeClient.connect({ kubeconfig: api.kubeconfig(status.token) });
}

interface Attempt {
  readonly method: 'GET' | 'PATCH' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

async function assertForbidden(client: KubeClient, attempts: readonly Attempt[]): Promise<void> {
  for (const attempt of attempts) {
    const request = client.request({ ...attempt, contentType: MERGE_PATCH_TYPE });
    await assert.rejects(request, { status: 403 }, `${attempt.method} ${attempt.path}`);
  }
}

test('the node agent reads its pods, annotates them and records Events, and may do nothing else', async () => {
  await using client = await as('ambit-cni');
  const source = new KubernetesSource(client, {
    kinds: ['Namespace', 'Pod'],
    fieldSelectors: { Pod: 'spec.nodeName=node' },
    writer: 'ambit-cni',
  });
  using stack = new DisposableStack();
  stack.defer(() => source.stop());
  await source.start();
  assert.equal(source.list('Pod').length, 1);
  const reference = { kind: 'Pod', namespace: 'shop', name: 'here' } as const;
  await source.patch(reference, { annotations: { 'ambient.istio.io/redirection': 'enabled' } });
  await eventually('read back', () => source.get('Pod', 'shop', 'here')?.metadata.annotations);
  const recorder = new EventRecorder({ client, controller: 'ambit.io/cni', instance: 'node' });
  recorder.record({ ...EVENT, regarding: { ...reference, uid: 'u' } });
  recorder.record({ ...EVENT, regarding: { ...reference, uid: 'u' } });
  await eventually('recorded', () => recorder.counters.repeated === 1);
  assert.deepEqual(source.problems, []);
  await assertForbidden(client, [
    {
      method: 'PATCH',
      path: '/api/v1/namespaces/shop/pods/here',
      body: { metadata: { labels: { a: 'b' } } },
    },
    { method: 'DELETE', path: '/api/v1/namespaces/shop/pods/here' },
    { method: 'GET', path: '/api/v1/secrets' },
    { method: 'GET', path: '/api/v1/services' },
    { method: 'PATCH', path: '/api/v1/namespaces/shop', body: {} },
    { method: 'PATCH', path: '/api/v1/nodes/node/status', body: {} },
  ]);
});

test('the control plane reads every kind, writes status, leads and records, and may do nothing else', async () => {
  await using client = await as('ambit-controlplane');
  const source = new KubernetesSource(client, { kinds: OBJECT_KINDS, writer: 'ambit-controlplane' });
  using stack = new DisposableStack();
  stack.defer(() => source.stop());
  await source.start();
  // Just after a definition is installed the API server answers 429 for a while.
  await eventually('everything is read', () => source.problems.length === 0);
  const conditions = [{ type: 'Accepted', status: 'True', reason: 'Fine', observedGeneration: 1 }];
  for (const reference of [
    { kind: 'Service', namespace: 'default', name: 'kubernetes' },
    { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p' },
  ] as const) {
    const { lastTransitionTime, message } = { lastTransitionTime: '2026-01-01T00:00:00Z', message: 'm' };
    const complete = conditions.map((one) => ({ ...one, message, lastTransitionTime }));
    await source.patch(reference, { status: { conditions: complete }, conditionTypes: ['Accepted'] });
    await eventually('read back', () => {
      const object = source.get(reference.kind, reference.namespace, reference.name);
      return object?.status?.conditions?.[0]?.type === 'Accepted';
    });
  }
  const election = new LeaseElection({
    client,
    namespace: SYSTEM,
    name: 'ambit-controlplane',
    identity: 'one',
    onLead: () => {},
  });
  election.start();
  await eventually('leads', () => election.isLeader, 30_000);
  await election.stop();
  assert.equal(election.isLeader, false);
  const recorder = new EventRecorder({ client, controller: 'ambit.io/controlplane', instance: 'one' });
  recorder.record({
    ...EVENT,
    regarding: { kind: 'AuthorizationPolicy', namespace: 'shop', name: 'p', uid: 'u' },
  });
  await eventually('recorded', () => recorder.counters.created === 1);
  await assertForbidden(client, [
    { method: 'GET', path: '/api/v1/secrets' },
    { method: 'GET', path: '/api/v1/namespaces/shop/secrets' },
    { method: 'PATCH', path: '/api/v1/namespaces/shop/pods/here/status', body: {} },
    { method: 'DELETE', path: '/api/v1/namespaces/shop/pods/here' },
    { method: 'PATCH', path: `${POLICIES}/p`, body: { spec: { action: 'ALLOW' } } },
    { method: 'PATCH', path: '/api/v1/namespaces/default/services/kubernetes', body: { spec: {} } },
    { method: 'PATCH', path: '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x', body: {} },
  ]);
});
