/** What the reactor threads are told of certificates, by a real manager, a CA in the same process and a clock by hand. */

import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { formatSpiffeId, type SpiffeId } from '../../../src/base/spiffe-id.ts';
import { issueCertificate } from '../../../src/identity/certificate.ts';
import { CertificateManager } from '../../../src/identity/certificate-manager.ts';
import { readCertificateRequest } from '../../../src/identity/certificate-request-reader.ts';
import type { CertificateClient } from '../../../src/identity/certificate-slot.ts';
import { encodePem } from '../../../src/identity/pem.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { IdentityFeed } from '../../../src/ztunnel/control/identity-feed.ts';
import type {
  IdentityMaterial,
  IdentityUnavailable,
  ToReactor,
} from '../../../src/ztunnel/proxy/messages.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';
import { makeRoot, wholeSeconds } from '../identity/authorities.ts';
import { podInfo } from './pod-fixture.ts';

setLogLevels('identity=off');
const ORDERS = 'spiffe://cluster.local/ns/shop/sa/orders';
const TTL_SECONDS = 3600;
const managers: CertificateManager[] = [];
afterEach(() => {
  for (const manager of managers.splice(0)) manager.close();
});

/** Signs whatever it is asked for, unless it is told to fail or to wait. */
class TestCa implements CertificateClient {
  readonly #clock: ManualClock;
  root = makeRoot('root');
  failure: Error | undefined;
  gate: Promise<void> | undefined;
  asked = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async sign(csrPem: string, identity: SpiffeId, ttlSeconds: number): Promise<string[]> {
    this.asked++;
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    const { publicKeyDer } = readCertificateRequest(csrPem);
    const notBeforeMs = this.#clock.nowMs();
    const times = { notBeforeMs, notAfterMs: notBeforeMs + ttlSeconds * 1000 };
    const profile = { kind: 'workload', identity } as const;
    const leaf = issueCertificate(this.root.issuer, { profile, publicKeyDer, ...times });
    return [encodePem('CERTIFICATE', leaf), encodePem('CERTIFICATE', this.root.der)];
  }
}

function bench() {
  const clock = new ManualClock(wholeSeconds());
  const ca = new TestCa(clock);
  const manager = new CertificateManager({ client: ca, clock, ttlSeconds: TTL_SECONDS, random: () => 0.5 });
  managers.push(manager);
  const told: (IdentityMaterial | IdentityUnavailable)[] = [];
  const broadcast = (message: ToReactor) => {
    assert.equal(message.kind, 'identity');
    if (message.kind === 'identity') told.push(message.material);
  };
  return { clock, ca, manager, told, feed: new IdentityFeed(manager, 'cluster.local', broadcast) };
}

function available(material: IdentityMaterial | IdentityUnavailable | undefined): IdentityMaterial {
  assert.equal(material?.kind, 'available');
  return material as IdentityMaterial;
}

test('the certificate of a pod is fetched before anybody waits for it, and goes to the threads with its key', async () => {
  const { ca, feed, told } = bench();
  feed.podStarted(podInfo('u1'));
  await settle();
  assert.equal(ca.asked, 1);
  const material = available(told[0]);
  assert.equal(material.identity, ORDERS);
  const leaf = new X509Certificate(material.certificateChainPem);
  assert.equal(leaf.subjectAltName, `URI:${ORDERS}`);
  assert.ok(leaf.checkPrivateKey(createPrivateKey(material.privateKeyPem)));
  assert.ok(leaf.verify(new X509Certificate(material.trustedRootsPem).publicKey));
});

test('the identity is made of the trust domain of the mesh and of what the agent says of the pod', async () => {
  const { feed, told } = bench();
  feed.podStarted({ ...podInfo('u1'), namespace: 'data', serviceAccount: 'db' });
  await settle();
  assert.equal(told[0]?.identity, 'spiffe://cluster.local/ns/data/sa/db');
});

test('two pods of one identity need one certificate, and it is forgotten with the last of them', async () => {
  const { ca, feed, told } = bench();
  feed.podStarted(podInfo('u1'));
  feed.podStarted(podInfo('u2'));
  await settle();
  assert.deepEqual([ca.asked, told.length], [1, 1]);
  feed.podStopped(podInfo('u1'));
  assert.equal(told.length, 1);
  feed.podStopped(podInfo('u2'));
  assert.deepEqual(told[1], { kind: 'unavailable', identity: ORDERS, reason: 'its last pod has gone' });
});

test('a renewed certificate goes to the threads without anybody asking', async () => {
  const { clock, feed, told } = bench();
  feed.podStarted(podInfo('u1'));
  await settle();
  await clock.advance(TTL_SECONDS * 1000 * 0.9);
  const [first, second] = [available(told[0]), available(told[1])];
  assert.notEqual(first.certificateChainPem, second.certificateChainPem);
});

test('other roots that come with a renewal go to the threads for every identity', async () => {
  const { clock, ca, feed, told } = bench();
  feed.podStarted(podInfo('u1'));
  feed.podStarted({ ...podInfo('u2'), serviceAccount: 'cart' });
  await settle();
  ca.root = makeRoot('new root');
  await clock.advance(TTL_SECONDS * 1000 * 0.9);
  const wanted = encodePem('CERTIFICATE', ca.root.der).trim();
  const last = new Map(told.map((one) => [one.identity, available(one).trustedRootsPem]));
  assert.deepEqual(
    [...last.values()].map((pem) => pem.trim()),
    [wanted, wanted],
  );
});

test('a connection that waits is answered with the certificate once the CA has answered', async () => {
  const { ca, feed, told } = bench();
  const gate = Promise.withResolvers<void>();
  ca.gate = gate.promise;
  feed.podStarted(podInfo('u1'));
  const wanted = feed.wanted(ORDERS);
  await settle();
  assert.deepEqual(told, []);
  gate.resolve();
  await wanted;
  assert.equal(available(told[0]).identity, ORDERS);
});

test('a connection that waits is told when the CA gives no certificate', async () => {
  const { clock, ca, feed, told } = bench();
  ca.failure = new Error('the CA is on fire');
  feed.podStarted(podInfo('u1'));
  const wanted = feed.wanted(ORDERS);
  await clock.advance(10_000);
  await wanted;
  const material = told[0] as IdentityUnavailable;
  assert.deepEqual([material.kind, material.identity], ['unavailable', ORDERS]);
  assert.match(material.reason, /the CA is on fire/);
});

test('an identity without a pod on this node, or that is no SPIFFE ID, is refused without asking the CA', async () => {
  const { ca, feed, told } = bench();
  await feed.wanted(ORDERS);
  await feed.wanted('spiffe://cluster.local/orders');
  assert.equal(ca.asked, 0);
  assert.deepEqual(
    told.map((one) => one.kind),
    ['unavailable', 'unavailable'],
  );
  assert.equal(told[1]?.identity, 'spiffe://cluster.local/orders');
});

test('a certificate that has run out because the CA is away is taken from the threads, and given back later', async () => {
  const { clock, ca, feed, told } = bench();
  feed.podStarted(podInfo('u1'));
  await settle();
  ca.failure = new Error('away');
  await clock.advance(TTL_SECONDS * 1000);
  assert.equal(told.at(-1)?.kind, 'unavailable');
  ca.failure = undefined;
  await clock.advance(TTL_SECONDS * 1000);
  assert.equal(told.at(-1)?.kind, 'available');
  assert.equal(
    told.at(-1)?.identity,
    formatSpiffeId({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'orders' }),
  );
});

test('pods are certified when the CA has answered for each of them; one without a certificate to come is not waited for', async () => {
  const { ca, feed } = bench();
  const { promise, resolve } = Promise.withResolvers<void>();
  ca.gate = promise;
  feed.podStarted(podInfo('u1'));
  let isCertified = false;
  const certified = feed.whenCertified([podInfo('u1')]).then(() => {
    isCertified = true;
  });
  await settle();
  assert.equal(isCertified, false);
  resolve();
  await certified;
  await feed.whenCertified([podInfo('u1'), { ...podInfo('u2'), serviceAccount: 'gone' }]);
});
