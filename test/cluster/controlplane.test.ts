/** Two replicas of the control plane on a real API server, with no more rights than an installation gives them. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROTATE_ANNOTATION } from '../../src/controlplane/ca/ca-secret.ts';
import { TRUST_BUNDLE_NAME } from '../../src/controlplane/kubernetes/root-trust-bundle.ts';
import { createCertificateRequest } from '../../src/identity/certificate-request.ts';
import { KeyPair } from '../../src/identity/key-pair.ts';
import { decodeCertificates } from '../../src/identity/pem.ts';
import { hasStatus } from '../../src/kube/kube-request-error.ts';
import { setLogLevels } from '../../src/telemetry/log.ts';
import { tryCommand } from '../support/cluster/command.ts';
import { eventuallyAnswers } from '../support/eventually.ts';
import { MeshCluster, type RunningControlPlane } from '../support/mesh-cluster.ts';

setLogLevels('error');

/** On a machine with much else to do. */
const DEADLINE_MS = 120_000;
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const BUNDLES = '/apis/certificates.k8s.io/v1beta1/clustertrustbundles';
const SECRET = '/api/v1/namespaces/ambit-system/secrets/ambit-ca';
const LEASE = '/apis/coordination.k8s.io/v1/namespaces/ambit-system/leases/ambit-controlplane';

let cluster: MeshCluster;
let first: RunningControlPlane;
let second: RunningControlPlane;
let proxyToken = '';

function soon<T>(what: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  return eventuallyAnswers(what, ask, DEADLINE_MS);
}

before(async () => {
  cluster = await MeshCluster.start({
    'feature-gates': 'ClusterTrustBundle=true',
    'runtime-config': 'certificates.k8s.io/v1beta1=true',
  });
  for (const name of ['shop', 'istio-system']) await cluster.namespace(name);
  for (const account of ['ambit-system/ambit-ztunnel', 'istio-system/ztunnel', 'shop/web', 'shop/bank']) {
    const [namespace, name] = account.split('/') as [string, string];
    await cluster.serviceAccount(namespace, name);
  }
  const proxy = { name: 'ambit-ztunnel-1', namespace: 'ambit-system', serviceAccount: 'ambit-ztunnel' };
  const uid = await cluster.pod({ ...proxy, node: 'node-1', ips: ['10.0.1.1'] });
  proxyToken = await cluster.token('ambit-system/ambit-ztunnel', 'ambit-ca', { name: proxy.name, uid });
  const web = { namespace: 'shop', serviceAccount: 'web', labels: { app: 'web' } };
  await cluster.pod({ ...web, name: 'web-1', node: 'node-1', ips: ['10.0.1.2', 'fd00::1:2'] });
  await cluster.pod({ ...web, name: 'bank-1', node: 'node-2', serviceAccount: 'bank', ips: ['10.0.2.2'] });
  [first, second] = await Promise.all([cluster.controlPlane('one'), cluster.controlPlane('two')]);
});
after(() => cluster[Symbol.asyncDispose]());

async function leader(): Promise<string> {
  const { spec } = await cluster.request<{ spec: { holderIdentity?: string } }>('GET', LEASE);
  return spec.holderIdentity ?? '';
}

async function certificate(from: RunningControlPlane, token: string, account: string): Promise<string[]> {
  const [namespace, serviceAccount] = account.split('/') as [string, string];
  const identity = { trustDomain: 'cluster.local', namespace, serviceAccount };
  const client = await from.certificates(token);
  try {
    const csr = createCertificateRequest(KeyPair.generate(), identity);
    return await client.sign(csr, identity, 3600, AbortSignal.timeout(DEADLINE_MS));
  } finally {
    client.close();
  }
}

function runAmbit(args: readonly string[]) {
  return tryCommand([process.execPath, '--disable-warning=ExperimentalWarning', MAIN, ...args]);
}

function replicas(): readonly RunningControlPlane[] {
  return [first, second];
}

test('replicas that start at once share one root, which is in every namespace and in a trust bundle', async () => {
  const { data } = await cluster.request<{ data: Record<string, string> }>('GET', SECRET);
  const root = Buffer.from(data['ca.crt']!, 'base64').toString();
  for (const namespace of ['ambit-system', 'shop', 'default', 'kube-system']) {
    await soon(`the root in ${namespace}`, async () => (await cluster.roots(namespace)) === root);
  }
  await soon('the trust bundle', async () => {
    const path = `${BUNDLES}/${TRUST_BUNDLE_NAME}`;
    const bundle = await cluster.request<{ spec: { trustBundle: string; signerName: string } }>('GET', path);
    assert.equal(bundle.spec.signerName, 'ambit.io/ca');
    return decodeCertificates(bundle.spec.trustBundle).length === 1;
  });
  const pages = await Promise.all([first, second].map((one) => one.page('/readyz')));
  assert.deepEqual(
    pages.map(({ status }) => status),
    [200, 200],
  );
});

test('the root is put into a new namespace, and back where it was changed or deleted', async () => {
  const root = await cluster.roots();
  await cluster.namespace('late');
  await soon('the root in the new namespace', async () => (await cluster.roots('late')) === root);
  const path = '/api/v1/namespaces/late/configmaps/istio-ca-root-cert';
  await cluster.patch(path, { data: { 'root-cert.pem': 'nonsense', other: 'kept' } });
  await soon('the repair', async () => (await cluster.roots('late')) === root);
  const { data } = await cluster.request<{ data: Record<string, string> }>('GET', path);
  assert.equal(data.other, 'kept');
  await cluster.request('DELETE', path);
  await soon('the root again', async () => (await cluster.roots('late')) === root);
});

test('a namespace whose root somebody else keeps changing is left alone for a while', async () => {
  await cluster.namespace('contested');
  const path = '/api/v1/namespaces/contested/configmaps/istio-ca-root-cert';
  const root = await cluster.roots();
  await soon('the root', async () => (await cluster.roots('contested')) === root);
  const deferred = async () => {
    const counts = await Promise.all(
      replicas().map((one) => one.metric(/^ambit_controlplane_root_writes_total\{result="deferred"/)),
    );
    return counts.some((count) => count > 0);
  };
  await soon('the end of patience', async () => {
    await cluster.patch(path, { data: { 'root-cert.pem': `of somebody else ${performance.now()}` } });
    return deferred();
  });
});

test('a node proxy has the identities of its node from either replica, and no others', async () => {
  for (const replica of replicas()) {
    const chain = await certificate(replica, proxyToken, 'shop/web');
    assert.equal(chain.at(-1), await cluster.roots());
    await assert.rejects(certificate(replica, proxyToken, 'shop/bank'), {
      code: 'AMBIT_GRPC_PERMISSION_DENIED',
    });
  }
});

test("Istio's node proxy is served as well, by its own account and audience", async () => {
  const uid = await cluster.pod({
    ...{ namespace: 'istio-system', name: 'ztunnel-x', node: 'node-2', serviceAccount: 'ztunnel' },
    ips: ['10.0.2.9'],
  });
  const token = await cluster.token('istio-system/ztunnel', 'istio-ca', { name: 'ztunnel-x', uid });
  await soon('the pod to be known', async () => (await certificate(first, token, 'shop/bank')).length >= 2);
  await assert.rejects(certificate(first, token, 'shop/web'), { code: 'AMBIT_GRPC_PERMISSION_DENIED' });
});

test('tokens for others, of no pod, of other accounts and of pods that are gone are refused', async () => {
  const unauthenticated = { code: 'AMBIT_GRPC_UNAUTHENTICATED' };
  const denied = { code: 'AMBIT_GRPC_PERMISSION_DENIED' };
  const ask = (token: string, account = 'shop/web') => certificate(first, token, account);
  await assert.rejects(ask(await cluster.token('ambit-system/ambit-ztunnel')), unauthenticated);
  await assert.rejects(ask(await cluster.token('ambit-system/ambit-ztunnel', 'vault')), unauthenticated);
  await assert.rejects(ask(`${proxyToken.slice(0, -4)}AAAA`), unauthenticated);
  await assert.rejects(ask(await cluster.token('ambit-system/ambit-ztunnel', 'ambit-ca')), denied);
  const bank = await cluster.token('shop/bank', 'ambit-ca');
  await assert.rejects(ask(bank), denied);
  assert.ok((await ask(bank, 'shop/bank')).length >= 2, 'the own identity');

  const proxy = { namespace: 'ambit-system', name: 'ambit-ztunnel-9', serviceAccount: 'ambit-ztunnel' };
  const uid = await cluster.pod({ ...proxy, node: 'node-1', ips: ['10.0.1.9'] });
  const token = await cluster.token('ambit-system/ambit-ztunnel', 'ambit-ca', { name: proxy.name, uid });
  await soon('the pod to be known', async () => (await ask(token)).length >= 2);
  const path = `/api/v1/namespaces/ambit-system/pods/${proxy.name}?gracePeriodSeconds=0`;
  await cluster.request('DELETE', path);
  await soon('the pod to be forgotten', async () => {
    return ask(token).then(
      () => false,
      () => true,
    );
  });
});

test('both replicas serve what the API server has, and every change of it', async () => {
  cluster.apply(SERVICE);
  for (const replica of replicas()) {
    const { state, client } = await replica.mesh(proxyToken);
    try {
      await soon('the service', async () => state.serviceByHostname('web.shop.svc.cluster.local'));
      const uid = 'Kubernetes//Pod/shop/web-1';
      const workload = await soon('the pod', async () => state.workloadByUid(uid));
      assert.deepEqual(workload.addresses, ['10.0.1.2', 'fd00::1:2']);
      assert.equal(workload.tunnelProtocol, 'NONE');
      const path = '/api/v1/namespaces/shop/pods/web-1';
      await cluster.patch(path, { metadata: { annotations: { 'ambient.istio.io/redirection': 'enabled' } } });
      await soon('HBONE', async () => state.workloadByUid(uid)?.tunnelProtocol === 'HBONE');
      await cluster.patch(path, { metadata: { annotations: { 'ambient.istio.io/redirection': null } } });
      await soon('no HBONE', async () => state.workloadByUid(uid)?.tunnelProtocol === 'NONE');
    } finally {
      client.stop();
    }
  }
});

interface WithStatus {
  readonly metadata: { readonly generation: number; readonly resourceVersion: string };
  readonly status?: {
    readonly conditions?: readonly Record<string, unknown>[];
    readonly addresses?: readonly { readonly value: string; readonly host: string }[];
  };
}

test('a policy says what of it is enforced, in its status and by an Event, once for each change', async () => {
  const path = '/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/by-path';
  cluster.apply(L7_POLICY);
  const condition = async () => {
    const { status, metadata } = await cluster.request<WithStatus>('GET', path);
    const found = status?.conditions?.find(({ type }) => type === 'ZtunnelAccepted');
    return found?.observedGeneration === metadata.generation ? found : undefined;
  };
  const bad = await soon('the condition', condition);
  assert.deepEqual([bad.status, bad.reason], ['False', 'UnsupportedValue']);
  const events = () =>
    cluster.request<{ items: { regarding: { name: string }; reason: string; note: string }[] }>(
      'GET',
      '/apis/events.k8s.io/v1/namespaces/shop/events',
    );
  const event = await soon('the Event', async () =>
    (await events()).items.find(({ regarding }) => regarding.name === 'by-path'),
  );
  assert.equal(event.reason, 'UnsupportedValue');
  await cluster.patch(path, { spec: { rules: [{ from: [{ source: { namespaces: ['shop'] } }] }] } });
  const good = await soon('the next condition', condition);
  assert.equal(good.status, 'True');
  const before = (await cluster.request<WithStatus>('GET', path)).metadata.resourceVersion;
  await cluster.patch('/api/v1/namespaces/shop/pods/web-1', { metadata: { labels: { touched: 'yes' } } });
  await cluster.namespace('after-the-policy');
  await soon('what comes after', async () => (await cluster.roots('after-the-policy')) !== '');
  assert.equal((await cluster.request<WithStatus>('GET', path)).metadata.resourceVersion, before);
});

test('hosts without an address and objects that cannot be read are told by Events', async () => {
  cluster.apply(UNUSABLE);
  const path = '/apis/events.k8s.io/v1/namespaces/shop/events';
  const reasons = async (name: string) => {
    const { items } = await cluster.request<{ items: { regarding: { name: string }; reason: string }[] }>(
      'GET',
      path,
    );
    return items.filter(({ regarding }) => regarding.name === name).map(({ reason }) => reason);
  };
  await soon('the one without an address', async () => (await reasons('no-address')).includes('NoAddress'));
  await soon('the one that cannot be read', async () => (await reasons('no-cidr')).includes('Invalid'));
});

test('a Service that is bound to a waypoint that is not there says so', async () => {
  cluster.apply(SERVICE.replace('name: web', 'name: bound'));
  const path = '/api/v1/namespaces/shop/services/bound';
  await cluster.patch(path, { metadata: { labels: { 'istio.io/use-waypoint': 'nowhere' } } });
  const condition = async () => {
    const { status } = await cluster.request<WithStatus>('GET', path);
    return status?.conditions?.find(({ type }) => type === 'istio.io/WaypointBound');
  };
  assert.equal((await soon('the condition', condition)).status, 'False');
  await cluster.patch(path, { metadata: { labels: { 'istio.io/use-waypoint': null } } });
  await soon('its end', async () => (await condition()) === undefined);
});

test("hosts without an address get one of each family, which they keep, and which is nobody else's", async () => {
  cluster.apply(EXTERNAL);
  const path = (name: string) => `/apis/networking.istio.io/v1/namespaces/shop/serviceentries/${name}`;
  const addresses = async (name: string) => {
    const { status } = await cluster.request<WithStatus>('GET', path(name));
    const values = status?.addresses?.map(({ value }) => value) ?? [];
    return values.length === 2 ? values : undefined;
  };
  const [one, other] = [
    await soon('addresses', () => addresses('one')),
    await soon('other addresses', () => addresses('other')),
  ];
  assert.match(one[0]!, /^240\.240\./);
  assert.match(one[1]!, /^2001:2:/);
  assert.equal(new Set([...one, ...other]).size, 4);

  await cluster.patch(`${path('other')}/status`, {
    status: {
      addresses: [
        { value: one[0], host: 'other.example.com' },
        { value: other[1], host: 'other.example.com' },
      ],
    },
  });
  const repaired = await soon('the conflict to be resolved', async () => {
    const now = await addresses('other');
    return now !== undefined && now[0] !== one[0] ? now : undefined;
  });
  assert.equal(repaired[1], other[1]);
  assert.deepEqual(await addresses('one'), one);
});

test('when the leader is told to stop, the other one writes within seconds, and addresses stay', async () => {
  const path = '/apis/networking.istio.io/v1/namespaces/shop/serviceentries/one';
  const before = (await cluster.request<WithStatus>('GET', path)).status?.addresses;
  const leads = await leader();
  const [leading, following] = leads === 'one' ? [first, second] : [second, first];
  const stopped = leading[Symbol.asyncDispose]();
  assert.deepEqual(await leading.page('/readyz'), { status: 503, text: 'stopping\n' });
  await soon('another leader', async () => !['', leads].includes(await leader()));
  await stopped;
  await cluster.namespace('after-the-leader');
  await soon('the root', async () => (await cluster.roots('after-the-leader')) !== '');
  cluster.apply(EXTERNAL.replaceAll('other', 'third'));
  await soon('addresses', async () => {
    const third = await cluster.request<WithStatus>('GET', path.replace('one', 'third'));
    return third.status?.addresses?.length === 2;
  });
  assert.deepEqual((await cluster.request<WithStatus>('GET', path)).status?.addresses, before);
  assert.ok((await certificate(following, proxyToken, 'shop/web')).length >= 2);
  const restarted = await cluster.controlPlane('three');
  if (leading === first) first = restarted;
  else second = restarted;
});

test('a rotation by command begins in all replicas and namespaces, and goes on over a restart', async () => {
  const before = await cluster.roots();
  const ambit = (...args: string[]) => runAmbit(['ca', ...args, '--kubeconfig', cluster.server.kubeconfig()]);
  assert.match((await ambit('status')).output, /^No rotation is under way\.\n.*\n.* signs .*\n$/);
  const rotated = await ambit('rotate', '-o', 'json');
  assert.equal(rotated.code, 0, rotated.errors);
  const report = JSON.parse(rotated.output) as { rotation: string; certificates: { role: string }[] };
  assert.equal(report.rotation, 'introduced');
  assert.deepEqual(
    report.certificates.map(({ role }) => role),
    ['signs', 'signs next'],
  );
  await soon('two roots', async () => decodeCertificates(await cluster.roots('shop')).length === 2);
  const both = await cluster.roots('shop');
  assert.ok(both.startsWith(before));
  const fourth = await cluster.controlPlane('four');
  for (const replica of [...replicas(), fourth]) {
    await soon('both roots from every replica', async () => {
      return (await certificate(replica, proxyToken, 'shop/web')).at(-1) === both;
    });
  }
  const page = JSON.parse((await fourth.page('/debug/authority')).text) as { roots: unknown[]; key: object };
  assert.equal(page.roots.length, 2);
  const again = await ambit('rotate');
  assert.equal(again.code, 1);
  assert.match(again.errors, /AMBIT_CLI_CA_ROTATING/);
  const { metadata } = await cluster.request<{ metadata: { annotations?: object } }>('GET', SECRET);
  assert.equal(ROTATE_ANNOTATION in (metadata.annotations ?? {}), false);
  await fourth[Symbol.asyncDispose]();
});

test('while the API server is away the mesh is served, and afterwards everything goes on', async () => {
  const { state, client } = await first.mesh(proxyToken);
  await soon('the mesh', async () => client.ready);
  await cluster.server.kill();
  assert.deepEqual(await first.page('/readyz'), { status: 200, text: 'ok\n' });
  assert.ok(state.serviceByHostname('web.shop.svc.cluster.local') !== undefined);
  await cluster.server.resume();
  await cluster.namespace('after-the-break');
  await soon('the root', async () => (await cluster.roots('after-the-break')) !== '');
  cluster.apply(SERVICE.replaceAll('name: web', 'name: later'));
  await soon('a new service', async () => state.serviceByHostname('later.shop.svc.cluster.local'));
  client.stop();
});

test('a Secret of others is used as it is and followed; one that cannot be used is waited for', async () => {
  const names = { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls' };
  const secrets = '/api/v1/namespaces/ambit-system/secrets';
  const { data } = await cluster.request<{ data: Record<string, string> }>('GET', SECRET);
  const { 'ca.crt': _, 'rotation.json': __, ...incomplete } = data;
  await cluster.request('DELETE', SECRET);
  await soon('the own Secret to be put back', async () => {
    return cluster.request('GET', SECRET).then(
      () => true,
      (thrown) => !hasStatus(thrown, 404),
    );
  });
  await cluster.request('POST', secrets, { ...names, metadata: { name: 'company-ca' }, data: incomplete });
  const kubeconfig = cluster.server.kubeconfig();
  const starting = cluster.controlPlane('five', { caSecret: 'company-ca', kubeconfig });
  let started = false;
  starting.then(() => {
    started = true;
  });
  const events = '/apis/events.k8s.io/v1/namespaces/ambit-system/events';
  await soon('an Event that says so', async () => {
    const told = await cluster.request<{ items: { reason: string; note: string }[] }>('GET', events);
    const notes = told.items.filter(({ reason }) => reason === 'CertificateAuthority');
    return notes.some(({ note }) => /company-ca has no key ca\.crt \(AMBIT_CA_FILES_INVALID\)/.test(note));
  });
  assert.equal(started, false);
  await cluster.patch(`${secrets}/company-ca`, { data: { 'ca.crt': data['tls.crt'] } });
  const given = await starting;
  assert.equal((await given.page('/readyz')).status, 200);
  const stored = await cluster.request<{ data: Record<string, string> }>('GET', `${secrets}/company-ca`);
  assert.deepEqual(Object.keys(stored.data).sort(), ['ca.crt', 'tls.crt', 'tls.key']);
  await given[Symbol.asyncDispose]();
});

test('nothing that was done needed a right that an installation does not give', async () => {
  for (const replica of replicas()) {
    // An API server that has just come back refuses some requests until it knows the roles again; a lack of rights lasts.
    await soon('no problem but the object that is wrong', async () => {
      const { text } = await replica.page('/debug/problems');
      const problems = JSON.parse(text) as { code: string }[];
      assert.deepEqual(
        problems.map(({ code }) => code),
        ['AMBIT_OBJECTS_INVALID'],
      );
      return true;
    });
    assert.equal(await replica.metric(/^ambit_controlplane_status_writes_total\{.*failed/), 0);
  }
});

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }
`;

const L7_POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: by-path, namespace: shop }
spec: { rules: [{ to: [{ operation: { paths: [/admin] } }] }] }
`;

const UNUSABLE = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: no-address, namespace: shop }
spec: { hosts: [nowhere.example.com], ports: [{ number: 443, name: tls, protocol: TLS }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: no-cidr, namespace: shop }
spec: { hosts: [somewhere.example.com], addresses: [somewhere], ports: [{ number: 443, name: tls }] }
`;

const EXTERNAL = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: one, namespace: shop }
spec: { hosts: [one.example.com], resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: other, namespace: shop }
spec: { hosts: [other.example.com], resolution: DNS, ports: [{ number: 443, name: tls, protocol: TLS }] }
`;
