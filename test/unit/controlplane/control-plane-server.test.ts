/** The control plane end to end: objects in a folder, proxies over real gRPC and TLS. */

import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCertificateRequest } from '../../../src/identity/certificate-request.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { MeshState } from '../../../src/mesh/mesh-state.ts';
import { AUTHORIZATION_TYPE_URL, applyUpdate } from '../../../src/xds/mesh-resources.ts';
import { eventually } from '../../support/eventually.ts';
import { putFile } from '../../support/manifest-folder.ts';
import { make, pod, service, waypoint } from '../../support/mesh-objects.ts';
import { ControlPlaneFixture } from './control-plane-fixture.ts';

const WEB = 'Kubernetes//Pod/shop/web';
const HOST = 'web.shop.svc.cluster.local';

const web = (ready = true) =>
  pod({ name: 'web', ip: '10.0.0.1', labels: { app: 'web' }, node: 'n1', serviceAccount: 'seller', ready });

function hasIpv6(): boolean {
  return Object.values(networkInterfaces()).some((one) => one?.some(({ address }) => address === '::1'));
}

test('a node proxy gets the mesh, and every change of it', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('web', web(), service({ name: 'web' }));
  fixture.put('policy', make('AuthorizationPolicy', { name: 'p' }, { spec: { rules: [{}] } }));
  await fixture.start();
  const { state, client } = await fixture.connectState();
  await eventually('the first state', () => client.ready);
  assert.equal(state.workloadByUid(WEB)?.status, 'HEALTHY');
  assert.equal(state.serviceByHostname(HOST)?.addresses[0]?.ip, '10.96.0.1');
  assert.deepEqual([...state.authorizations()].map((one) => one.name).sort(), [
    'istio_converted_static_strict',
    'p',
  ]);

  fixture.put('web', web(false), service({ name: 'web' }));
  await eventually('the pod to be unready', () => state.workloadByUid(WEB)?.status === 'UNHEALTHY');
  fixture.put('web', web(false));
  await eventually('the service to be gone', () => state.serviceByHostname(HOST) === undefined);
  rmSync(join(fixture.folder, 'policy.json'));
  await eventually('the policy to be gone', () => [...state.authorizations()].length === 1);
  fixture.put('more', pod({ name: 'more', ip: '10.0.0.2' }));
  await eventually('a new pod', () => state.workloadByUid('Kubernetes//Pod/shop/more'));
});

test('status is written, and an allocated address reaches the proxy', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put(
    'ext',
    make(
      'ServiceEntry',
      { name: 'ext' },
      { spec: { hosts: ['api.example.com'], resolution: 'DNS', ports: [{ number: 443, name: 'tls' }] } },
    ),
  );
  fixture.put('web', service({ name: 'web', labels: { 'istio.io/use-waypoint': 'wp' } }));
  await fixture.start();
  const { state } = await fixture.connectState();
  const address = await eventually(
    'the address',
    () => state.serviceByHostname('api.example.com')?.addresses[0],
  );
  assert.match(address.ip, /^240\.240\./);
  const overlay = join(fixture.folder, '.overlay/controlplane/Service.shop.web.json');
  const condition = () => {
    const { status } = JSON.parse(readFileSync(overlay, 'utf8'));
    return `${status.conditions[0].status} ${status.conditions[0].reason}`;
  };
  await eventually('the condition', () => condition() === 'False WaypointIsNotReady');
  fixture.put('wp', waypoint({ name: 'wp' }));
  await eventually('the binding', () => condition() === 'True WaypointAccepted');
  await eventually('the waypoint at the proxy', () => state.serviceByHostname(HOST)?.waypoint);
});

test('a broken file changes nothing at the proxy and is shown to the operator', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('web', web());
  await fixture.start();
  const { state, client } = await fixture.connectState();
  await eventually('the first state', () => client.ready);
  putFile(join(fixture.folder, 'web.json'), '{"apiVersion": "v1", "kind": "Pod", ');
  fixture.put('other', pod({ name: 'other', ip: '10.0.0.2' }));
  await eventually('the other pod', () => state.workloadByUid('Kubernetes//Pod/shop/other'));
  assert.notEqual(state.workloadByUid(WEB), undefined);
  assert.match((await fixture.page('/debug/problems')).text, /web\.json:1: /);
});

test('a client without a good token is not served', async (t) => {
  const fixture = await new ControlPlaneFixture(t).start();
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  });
  const subject = { namespace: 'ambit-system', serviceAccount: 'ztunnel' };
  const token = await fixture.tokenFile(subject, foreign.toString());
  const client = await fixture.connect(() => [], token);
  const error = await eventually('the refusal', () => client.lastError);
  assert.match(error, /not known/);
  assert.equal(client.ready, false);
});

test('what a proxy refuses becomes a condition of the object, until it takes it', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('policy', make('AuthorizationPolicy', { name: 'p' }, { spec: { rules: [{}] } }));
  await fixture.start();
  const state = new MeshState();
  let picky = true;
  await fixture.connect((update) => {
    const mine =
      update.typeUrl === AUTHORIZATION_TYPE_URL && update.resources.some((one) => one.name === 'shop/p');
    return picky && mine ? [{ name: 'shop/p', reason: 'not to my taste' }] : applyUpdate(state, update);
  });
  const conditions = async () => (await fixture.page('/debug/conditions')).text;
  const until = async (what: string, pattern: RegExp, there: boolean) => {
    const end = performance.now() + 20_000;
    while (pattern.test(await conditions()) !== there) assert.ok(performance.now() < end, what);
  };
  await until('the condition', /shop\/p is refused by ztunnel~[^"]*: not to my taste/, true);
  assert.match((await fixture.page('/debug/clients')).text, /not to my taste/);
  assert.match(
    (await fixture.page('/metrics')).text,
    /pilot_total_xds_rejects\{type="istio\.security\.Authorization"\} 1/,
  );
  const overlay = join(fixture.folder, '.overlay/controlplane/AuthorizationPolicy.shop.p.json');
  assert.match(readFileSync(overlay, 'utf8'), /ambit\.io\/Delivered/);
  picky = false;
  fixture.put('policy', make('AuthorizationPolicy', { name: 'p' }, { spec: { rules: [{}, {}] } }));
  await until('the end of the condition', /not to my taste/, false);
});

test('a node proxy gets certificates for the pods of its node, and for no others', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('web', web(), pod({ name: 'far', node: 'n2', serviceAccount: 'banker', ip: '10.0.0.2' }));
  await fixture.start();
  const client = await fixture.certificateClient();
  t.after(() => client.close());
  const key = KeyPair.generate();
  const sign = (serviceAccount: string) => {
    const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount };
    return client.sign(createCertificateRequest(key, identity), identity, 3600, AbortSignal.timeout(5000));
  };
  const chain = await sign('seller');
  const leaf = new X509Certificate(chain[0]!);
  const root = new X509Certificate(readFileSync(join(fixture.config.caDir, 'root-cert.pem')));
  assert.match(leaf.subjectAltName ?? '', /URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/seller/);
  assert.ok(leaf.verify(root.publicKey));
  assert.equal(chain.at(-1)?.trim(), root.toString().trim());
  await assert.rejects(sign('banker'), { code: 'AMBIT_GRPC_PERMISSION_DENIED' });
  fixture.put('late', pod({ name: 'late', node: 'n1', serviceAccount: 'late', ip: '10.0.0.3' }));
  const { state } = await fixture.connectState();
  await eventually('the new pod', () => state.workloadByUid('Kubernetes//Pod/shop/late'));
  assert.equal((await sign('late')).length >= 2, true, 'as soon as the pod is known');
  const { text } = await fixture.page('/metrics');
  assert.match(text, /citadel_server_success_cert_issuance_count 2/);
  assert.match(text, /certificates_refused_total\{code="AMBIT_IDENTITY_NOT_ON_NODE"\} 1/);
});

test('after a restart clients come back by themselves, trust the same root, and have lost nothing', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('web', web(), service({ name: 'web' }));
  await fixture.start();
  const { state, client } = await fixture.connectState();
  await eventually('the first state', () => client.ready);
  const { xdsPort } = fixture.server;
  await fixture.server[Symbol.asyncDispose]();
  await eventually('the connection to end', () => !client.connected);
  assert.notEqual(state.workloadByUid(WEB), undefined);
  fixture.put('web', service({ name: 'web' }));
  await fixture.start({ listen: { host: '127.0.0.1', port: xdsPort } });
  await eventually('the news', () => state.workloadByUid(WEB) === undefined, 30_000);
  assert.notEqual(state.serviceByHostname(HOST), undefined);
});

test('pages tell health, metrics, and what is served', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  fixture.put('web', web(), service({ name: 'web' }));
  await fixture.start();
  assert.deepEqual(await fixture.page('/healthz'), { status: 200, text: 'ok\n' });
  assert.deepEqual(await fixture.page('/readyz'), { status: 200, text: 'ok\n' });
  assert.match((await fixture.page('/')).text, /\/debug\/resources/);
  assert.match((await fixture.page('/metrics')).text, /ambit_controlplane_resources\{kind="workload"\} 2/);
  const one = JSON.parse(
    (await fixture.page(`/debug/resources?kind=workload&name=${encodeURIComponent(WEB)}`)).text,
  );
  assert.deepEqual(Object.keys(one.workload), [WEB]);
  assert.deepEqual(one.workload[WEB].services, { [`shop/${HOST}`]: [{ servicePort: 80, targetPort: 8080 }] });
  assert.equal((await fixture.page('/debug/none')).status, 404);
});

test('without a host both families are served', async (t) => {
  const fixture = await new ControlPlaneFixture(t).start({ listen: { port: 0 }, http: { port: 0 } });
  for (const host of ['127.0.0.1', ...(hasIpv6() ? ['[::1]'] : [])]) {
    assert.equal((await fetch(`http://${host}:${fixture.server.httpPort}/healthz`)).status, 200);
  }
  const { state } = await fixture.connectState();
  await eventually('the proxy', () => state.workloadByUid('Kubernetes//Pod/ambit-system/ztunnel-n1'));
});

test('what cannot be had is said at the start', async (t) => {
  const fixture = new ControlPlaneFixture(t);
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await eventually('the listener', () => taken.listening);
  const { port } = taken.address() as { port: number };
  await assert.rejects(fixture.start({ listen: { host: '127.0.0.1', port } }), {
    code: 'AMBIT_CONTROLPLANE_LISTEN_FAILED',
  });
  await assert.rejects(fixture.start({ http: { host: '127.0.0.1', port } }), {
    code: 'AMBIT_CONTROLPLANE_LISTEN_FAILED',
  });
  await assert.rejects(fixture.start({ objects: '/nowhere' }), { code: 'AMBIT_OBJECTS_FOLDER_UNREADABLE' });
  await assert.rejects(fixture.start({ tokenKey: '/nowhere' }), {
    code: 'AMBIT_CONTROLPLANE_CONFIG_INVALID',
  });
});
