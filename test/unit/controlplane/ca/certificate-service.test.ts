/** CreateCertificate from the token to the chain, and a node's certificates over weeks against it. */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { AmbitError } from '../../../../src/base/errors.ts';
import type { SpiffeId } from '../../../../src/base/spiffe-id.ts';
import type { Caller } from '../../../../src/controlplane/ca/caller.ts';
import { CertificateAuthority } from '../../../../src/controlplane/ca/certificate-authority.ts';
import { CertificateService } from '../../../../src/controlplane/ca/certificate-service.ts';
import { caErrors, grpcStatusOf } from '../../../../src/controlplane/ca/errors.ts';
import { NodeAuthorization, type PodRecord } from '../../../../src/controlplane/ca/node-authorization.ts';
import { BURST, REQUESTS_PER_SECOND } from '../../../../src/controlplane/ca/request-limiter.ts';
import { SelfSignedAuthority } from '../../../../src/controlplane/ca/self-signed-authority.ts';
import { CertificateManager } from '../../../../src/identity/certificate-manager.ts';
import { createCertificateRequest } from '../../../../src/identity/certificate-request.ts';
import type { CertificateClient } from '../../../../src/identity/certificate-slot.ts';
import { identityErrors } from '../../../../src/identity/errors.ts';
import { KeyPair } from '../../../../src/identity/key-pair.ts';
import { verifyDownstream, verifyUpstream } from '../../../../src/identity/peer-verification.ts';
import { tlsMaterialOf, type WorkloadCertificate } from '../../../../src/identity/workload-certificate.ts';
import { resetLogLevels, setLogLevels, setLogSink } from '../../../../src/telemetry/log.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';
import { spiffeId, wholeSeconds } from '../../identity/authorities.ts';
import { openssl } from '../../identity/openssl.ts';
import { CART, DAY_MS, HOUR_MS, MemoryStore, ORDERS, verifies } from './chains.ts';
import { callerFrom, TestPods } from './pods.ts';

setLogLevels('ca=off,identity=off');

interface Bench {
  readonly clock: ManualClock;
  readonly source: SelfSignedAuthority;
  readonly pods: TestPods;
  readonly proxy: PodRecord;
  readonly service: CertificateService;
}

const benches: Bench[] = [];
afterEach(() => {
  for (const { source } of benches.splice(0)) source.close();
});

async function bench(): Promise<Bench> {
  const clock = new ManualClock(wholeSeconds());
  const trustDomain = 'cluster.local';
  const source = await SelfSignedAuthority.open({ store: new MemoryStore(), trustDomain, clock });
  const pods = new TestPods();
  const proxy = pods.add('node-1', 'ambit-system/ztunnel');
  pods.add('node-1', 'shop/cart');
  const authorization = new NodeAuthorization({ trustDomain, pods });
  const authority = new CertificateAuthority({ source, clock });
  const made = {
    clock,
    source,
    pods,
    proxy,
    service: new CertificateService({ authority, authorization, clock }),
  };
  benches.push(made);
  return made;
}

function requestFor(
  identity: SpiffeId,
  metadata: Record<string, unknown> = {},
  validityDurationSeconds = 3600,
) {
  return { csr: createCertificateRequest(KeyPair.generate(), identity), validityDurationSeconds, metadata };
}

function opensslRequest(subject: string, ...more: string[]): string {
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  return openssl(['req', '-new', ...newKey, '-subj', subject, ...more]);
}

async function refusal(service: CertificateService, caller: Caller, request: ReturnType<typeof requestFor>) {
  try {
    await service.createCertificate(request, caller);
  } catch (thrown) {
    assert.ok(thrown instanceof AmbitError, String(thrown));
    return [thrown.code, grpcStatusOf(thrown)];
  }
  return assert.fail('a certificate was signed');
}

test('a node proxy gets a chain for a pod of its node, with and without ImpersonatedIdentity', async () => {
  const { service, proxy, clock } = await bench();
  for (const metadata of [{}, { ImpersonatedIdentity: 'spiffe://cluster.local/ns/shop/sa/cart' }]) {
    const chain = await service.createCertificate(requestFor(CART, metadata), callerFrom(proxy));
    assert.ok(verifies(chain, chain.at(-1)!, clock.nowMs()));
    assert.match(
      openssl(['x509', '-noout', '-text'], chain[0]),
      /URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart\n/,
    );
  }
  assert.equal(service.counters.signed, 2);
});

test('a request without name is for the identity in the metadata, or else for the caller', async () => {
  const { service, proxy, pods } = await bench();
  const csr = opensslRequest('/');
  const nameOf = async (metadata: Record<string, unknown>, caller: Caller) => {
    const chain = await service.createCertificate({ csr, validityDurationSeconds: 0, metadata }, caller);
    return /URI:(\S+)/.exec(openssl(['x509', '-noout', '-text'], chain[0]))?.[1];
  };
  const cart = 'spiffe://cluster.local/ns/shop/sa/cart';
  assert.equal(await nameOf({ ImpersonatedIdentity: cart }, callerFrom(proxy)), cart);
  const waypoint = callerFrom(pods.add('node-2', 'shop/waypoint'));
  assert.equal(await nameOf({}, waypoint), 'spiffe://cluster.local/ns/shop/sa/waypoint');
});

test('the subject, CA wish and key usages of a request do not get into the certificate', async () => {
  const { service, proxy } = await bench();
  const wishes = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign'];
  const csr = opensslRequest('/CN=root', ...wishes);
  const metadata = { ImpersonatedIdentity: 'spiffe://cluster.local/ns/shop/sa/cart' };
  const request = { csr, validityDurationSeconds: 0, metadata };
  const text = openssl(
    ['x509', '-noout', '-text'],
    (await service.createCertificate(request, callerFrom(proxy)))[0],
  );
  assert.match(text, /CA:FALSE/);
  assert.doesNotMatch(text, /Certificate Sign|CN ?= ?root\n.*Subject Public/);
  assert.match(text, /Subject: *\n/);
});

test('every refusal has its code and its gRPC status', async () => {
  const { service, proxy, pods } = await bench();
  const caller = callerFrom(proxy);
  const other = callerFrom(pods.add('node-1', 'shop/orders'));
  const foreign = spiffeId('spiffe://other.local/ns/shop/sa/cart');
  const gone = spiffeId('spiffe://cluster.local/ns/shop/sa/gone');
  const cases: [Caller, ReturnType<typeof requestFor>, string, string][] = [
    [caller, { ...requestFor(CART), csr: 'x' }, 'AMBIT_CSR_MALFORMED', 'INVALID_ARGUMENT'],
    [caller, { ...requestFor(CART), csr: 'x'.repeat(9_000) }, 'AMBIT_CSR_TOO_LARGE', 'INVALID_ARGUMENT'],
    [caller, requestFor(CART, {}, 91 * 24 * 3600), 'AMBIT_CA_TTL_INVALID', 'INVALID_ARGUMENT'],
    [caller, requestFor(CART, {}, -1), 'AMBIT_CA_TTL_INVALID', 'INVALID_ARGUMENT'],
    [caller, requestFor(CART, { ImpersonatedIdentity: 'x' }), 'AMBIT_IDENTITY_AMBIGUOUS', 'INVALID_ARGUMENT'],
    [caller, requestFor(CART, { ImpersonatedIdentity: 7 }), 'AMBIT_IDENTITY_AMBIGUOUS', 'INVALID_ARGUMENT'],
    [
      caller,
      requestFor(CART, { ImpersonatedIdentity: 'spiffe://cluster.local/ns/shop/sa/orders' }),
      'AMBIT_IDENTITY_AMBIGUOUS',
      'INVALID_ARGUMENT',
    ],
    [caller, requestFor(foreign), 'AMBIT_IDENTITY_FOREIGN', 'PERMISSION_DENIED'],
    [caller, requestFor(gone), 'AMBIT_IDENTITY_NOT_ON_NODE', 'PERMISSION_DENIED'],
    [other, requestFor(CART), 'AMBIT_CALLER_NOT_NODE_PROXY', 'PERMISSION_DENIED'],
    [{ ...caller, podUid: 'x' }, requestFor(CART), 'AMBIT_CALLER_POD_UNKNOWN', 'PERMISSION_DENIED'],
  ];
  for (const [who, request, code, status] of cases) {
    assert.deepEqual(await refusal(service, who, request), [code, status]);
  }
  assert.equal(service.counters.refused.get('AMBIT_IDENTITY_AMBIGUOUS'), 3);
  assert.equal(service.counters.signed, 0);
});

test('gRPC statuses of errors from elsewhere', () => {
  assert.equal(grpcStatusOf(caErrors.AMBIT_CALLER_TOKEN_INVALID('x')), 'UNAUTHENTICATED');
  assert.equal(grpcStatusOf(identityErrors.AMBIT_DER_MALFORMED('x')), 'INTERNAL');
});

test('one node that asks without end is held back, and others are not', async () => {
  const { service, proxy, pods, clock } = await bench();
  const broken = { ...requestFor(CART), csr: 'x' };
  const caller = callerFrom(proxy);
  for (let i = 0; i < BURST; i++) await refusal(service, caller, broken);
  assert.deepEqual(await refusal(service, caller, broken), ['AMBIT_CA_RATE_LIMITED', 'RESOURCE_EXHAUSTED']);
  pods.add('node-2', 'shop/cart');
  const neighbour = callerFrom(pods.add('node-2', 'ambit-system/ztunnel'));
  await service.createCertificate(requestFor(CART), neighbour);
  await clock.advance(1_000);
  for (let i = 0; i < REQUESTS_PER_SECOND; i++) await service.createCertificate(requestFor(CART), caller);
  assert.deepEqual(await refusal(service, caller, broken), ['AMBIT_CA_RATE_LIMITED', 'RESOURCE_EXHAUSTED']);
});

test('what was signed and what was refused is logged with the caller', async () => {
  const { service, proxy } = await bench();
  const lines: string[] = [];
  setLogLevels('ca=info');
  setLogSink((text) => lines.push(text));
  try {
    await service.createCertificate(requestFor(CART), callerFrom(proxy));
    await refusal(service, callerFrom(proxy), requestFor(ORDERS));
    const { flushLog } = await import('../../../../src/telemetry/log.ts');
    flushLog();
  } finally {
    resetLogLevels();
    setLogLevels('ca=off,identity=off');
  }
  const text = lines.join('');
  const who = 'caller=ambit-system/ztunnel pod=ztunnel-0 node=node-1';
  assert.ok(
    text.includes(`certificate signed\tidentity=spiffe://cluster.local/ns/shop/sa/cart ${who}`),
    text,
  );
  assert.ok(text.includes(`no certificate was signed\t${who} code=AMBIT_IDENTITY_NOT_ON_NODE`), text);
});

/** A node's own way to the service, without a network between. */
function clientOf({ service, proxy }: Bench): CertificateClient {
  return {
    sign: async (csr, identity, validityDurationSeconds) => {
      const metadata = {
        ImpersonatedIdentity: `spiffe://cluster.local/ns/${identity.namespace}/sa/${identity.serviceAccount}`,
      };
      return [
        ...(await service.createCertificate({ csr, validityDurationSeconds, metadata }, callerFrom(proxy))),
      ];
    },
  };
}

function derChain(certificate: WorkloadCertificate): Uint8Array[] {
  return [certificate.leaf, ...certificate.intermediates].map((info) => info.x509.raw);
}

test('over weeks and a root rotation two pods have valid certificates at every hour and always trust each other', async () => {
  const made = await bench();
  const { clock, source, service } = made;
  made.pods.add('node-1', 'shop/orders');
  const manager = new CertificateManager({ client: clientOf(made), clock });
  manager.retain(CART);
  await clock.advance(5 * HOUR_MS);
  manager.retain(ORDERS);
  await settle();
  const steps = new Set<string>();
  const roots = new Set<number>();
  for (let hour = 0; hour < 26 * 24; hour++) {
    if (hour === 10 * 24) await source.rotate();
    await clock.advance(HOUR_MS);
    const [cart, orders] = [manager.current(CART), manager.current(ORDERS)];
    assert.ok(cart !== undefined && orders !== undefined);
    assert.equal(verifyDownstream(derChain(cart), 'cluster.local').kind, 'accepted');
    assert.equal(verifyUpstream(derChain(orders), [ORDERS]).kind, 'accepted');
    steps.add(source.rotation.kind);
    roots.add(manager.trustBundle!.roots.length);
    if (hour % 6 > 0) continue;
    for (const [one, other] of [
      [cart, orders],
      [orders, cart],
    ] as const) {
      const { certificateChainPem } = tlsMaterialOf(one);
      assert.ok(
        verifies([certificateChainPem, ''], tlsMaterialOf(other).trustedRootsPem, clock.nowMs()),
        `hour ${hour}`,
      );
    }
  }
  assert.deepEqual([...steps], ['stable', 'introduced', 'switched']);
  assert.deepEqual([...roots], [1, 2]);
  assert.equal(manager.trustBundle!.roots.length, 1);
  assert.ok(service.counters.signed > 100);
  assert.equal(service.counters.refused.size, 0);
  manager.close();
});

test('a pod that the control plane does not know yet gets its certificate as soon as it does', async () => {
  const made = await bench();
  const manager = new CertificateManager({ client: clientOf(made), clock: made.clock });
  manager.retain(ORDERS);
  await settle();
  const waiting = manager.fetch(ORDERS);
  assert.equal(made.service.counters.refused.get('AMBIT_IDENTITY_NOT_ON_NODE'), 1);
  made.pods.add('node-1', 'shop/orders');
  await made.clock.advance(1_000);
  assert.deepEqual((await waiting).identity, ORDERS);
  manager.close();
});

test('after days without a CA a node recovers by itself', async () => {
  const made = await bench();
  const client = clientOf(made);
  let away = false;
  const manager = new CertificateManager({
    clock: made.clock,
    client: {
      sign: (...args) => (away ? Promise.reject(new Error('connection refused')) : client.sign(...args)),
    },
  });
  manager.retain(CART);
  await settle();
  away = true;
  await made.clock.advance(DAY_MS - HOUR_MS);
  assert.ok(manager.current(CART) !== undefined);
  await made.clock.advance(DAY_MS);
  assert.equal(manager.current(CART), undefined);
  const refused = assert.rejects(manager.fetch(CART), { code: 'AMBIT_IDENTITY_UNAVAILABLE' });
  // By chance the next attempt may be so near that the connection waits for it.
  await made.clock.advance(150_000);
  await refused;
  away = false;
  await made.clock.advance(150_000);
  assert.ok(manager.current(CART) !== undefined);
  manager.close();
});
