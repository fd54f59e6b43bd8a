/** The life of certificates under a clock that is moved by hand, against a CA that signs, fails, lies or is silent. */

import assert from 'node:assert/strict';
import { createPrivateKey } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { AmbitError } from '../../../src/base/errors.ts';
import type { SpiffeId } from '../../../src/base/spiffe-id.ts';
import { issueCertificate } from '../../../src/identity/certificate.ts';
import { type CertificateChange, CertificateManager } from '../../../src/identity/certificate-manager.ts';
import { readCertificateRequest } from '../../../src/identity/certificate-request-reader.ts';
import type { CertificateClient } from '../../../src/identity/certificate-slot.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { encodePem } from '../../../src/identity/pem.ts';
import { tlsMaterialOf } from '../../../src/identity/workload-certificate.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { ManualClock, settle } from '../../support/manual-clock.ts';
import {
  authorityProfile,
  HOUR_MS,
  makeRoot,
  spiffeId,
  type TestAuthority,
  wholeSeconds,
} from './authorities.ts';

const CART = spiffeId('spiffe://cluster.local/ns/shop/sa/cart');
const ORDERS = spiffeId('spiffe://cluster.local/ns/shop/sa/orders');
const DAY_MS = 24 * HOUR_MS;
setLogLevels('identity=off');

/** A CA in the same process whose behaviour a test changes as it goes. */
class TestCa implements CertificateClient {
  root = makeRoot('root');
  bundle: readonly TestAuthority[] = [this.root];
  readonly asked: SpiffeId[] = [];
  readonly signals: AbortSignal[] = [];
  underWay = 0;
  mostUnderWay = 0;
  /** Replaces the proper answer; a promise keeps the request open. */
  behave: (() => Promise<unknown>) | undefined;
  alter: (answer: string[]) => string[] = (answer) => answer;
  /** How old a certificate is when it is handed out. */
  ageMs = 0;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async sign(csrPem: string, identity: SpiffeId, ttlSeconds: number, signal: AbortSignal): Promise<string[]> {
    this.asked.push(identity);
    this.signals.push(signal);
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    try {
      await this.behave?.();
      const request = readCertificateRequest(csrPem);
      assert.deepEqual(request.identity, identity);
      return this.alter(this.answer(identity, request.publicKeyDer, ttlSeconds));
    } finally {
      this.underWay--;
    }
  }

  answer(identity: SpiffeId, publicKeyDer: Uint8Array, ttlSeconds: number): string[] {
    const nowMs = this.#clock.nowMs() - this.ageMs;
    const times = { notBeforeMs: nowMs, notAfterMs: nowMs + ttlSeconds * 1000 };
    const profile = { kind: 'workload', identity } as const;
    const leaf = issueCertificate(this.root.issuer, { profile, publicKeyDer, ...times });
    return [pem(leaf), this.bundle.map((root) => pem(root.der)).join('')];
  }
}

function pem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
}

interface Bench {
  readonly clock: ManualClock;
  readonly ca: TestCa;
  readonly manager: CertificateManager;
  readonly changes: CertificateChange[];
}

const benches: Bench[] = [];
afterEach(async () => {
  for (const { manager, clock } of benches.splice(0)) {
    manager.close();
    await settle();
    assert.equal(clock.pending, 0, 'a timer was left behind');
  }
});

function bench(random: () => number = () => 0.5): Bench {
  const clock = new ManualClock(wholeSeconds());
  const ca = new TestCa(clock);
  const manager = new CertificateManager({ client: ca, clock, random });
  const changes: CertificateChange[] = [];
  manager.onChange((change) => changes.push(change));
  const made = { clock, ca, manager, changes };
  benches.push(made);
  return made;
}

function unavailable(pattern: RegExp): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof AmbitError, String(thrown));
    assert.equal(thrown.code, 'AMBIT_IDENTITY_UNAVAILABLE');
    assert.match(thrown.message, pattern);
    return true;
  };
}

test('a retained identity gets its certificate ahead of the first connection', async () => {
  const { manager, ca, changes } = bench();
  manager.retain(CART);
  assert.equal(manager.state(CART)?.kind, 'initializing');
  await settle();
  const certificate = manager.current(CART);
  assert.deepEqual(certificate?.leaf.spiffeId, CART);
  assert.equal(await manager.fetch(CART), certificate);
  assert.equal(ca.asked.length, 1);
  assert.deepEqual(
    changes.map((change) => change.kind),
    ['roots', 'available'],
  );
});

test('TLS peers with issued certificates verify each other', async () => {
  const { manager } = bench();
  manager.retain(CART);
  manager.retain(ORDERS);
  const [server, client] = [await manager.fetch(CART), await manager.fetch(ORDERS)].map(tlsMaterialOf);
  const options = (material = server!) => ({
    key: material.privateKeyPem,
    cert: material.certificateChainPem,
    ca: material.trustedRootsPem,
  });
  const listener = createServer({ ...options(), requestCert: true, rejectUnauthorized: true });
  const accepted = new Promise<TLSSocket>((resolve, reject) => {
    listener.on('secureConnection', resolve).on('tlsClientError', reject);
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as { port: number };
  const socket = connect({
    host: '127.0.0.1',
    port,
    ...options(client),
    checkServerIdentity: () => undefined,
  });
  const peer = await accepted;
  assert.equal(peer.authorized, true);
  assert.match(peer.getPeerX509Certificate()!.subjectAltName!, /sa\/orders$/);
  socket.destroy();
  peer.destroy();
  listener.close();
});

test('connections that wait for one identity share one request', async () => {
  const { manager, ca } = bench();
  manager.retain(CART);
  const all = await Promise.all(Array.from({ length: 100 }, () => manager.fetch(CART)));
  assert.equal(new Set(all).size, 1);
  assert.equal(ca.asked.length, 1);
});

test('an identity that nobody retains is refused', async () => {
  const { manager } = bench();
  await assert.rejects(manager.fetch(CART), { code: 'AMBIT_IDENTITY_UNKNOWN' });
  assert.equal(manager.current(CART), undefined);
  assert.equal(manager.state(CART), undefined);
});

test('eight requests run at a time, and a waiting connection goes before pods that just appeared', async () => {
  const { manager, ca } = bench();
  const gate = Promise.withResolvers<void>();
  ca.behave = () => gate.promise;
  const identities = Array.from({ length: 20 }, (_, i) => ({ ...CART, serviceAccount: `sa-${i}` }));
  for (const identity of identities) manager.retain(identity);
  await settle();
  assert.equal(ca.asked.length, 8);
  const urgent = manager.fetch(identities[17]!);
  gate.resolve();
  await urgent;
  await settle();
  assert.equal(ca.mostUnderWay, 8);
  assert.deepEqual(ca.asked[8], identities[17]);
  assert.deepEqual(ca.asked[9], identities[8]);
  assert.equal(ca.asked.length, 20);
});

test('pods that just appeared go before renewals', async () => {
  const { manager, ca, clock } = bench();
  const old = Array.from({ length: 8 }, (_, i) => ({ ...CART, serviceAccount: `old-${i}` }));
  for (const identity of [...old, CART]) manager.retain(identity);
  await settle();
  ca.asked.length = 0;
  const gate = Promise.withResolvers<void>();
  ca.behave = () => gate.promise;
  await clock.advance(0.475 * DAY_MS);
  assert.equal(ca.asked.length, 8);
  manager.retain(ORDERS);
  gate.resolve();
  await settle();
  assert.deepEqual(ca.asked.slice(8), [ORDERS, CART]);
});

test('renewal starts in the last tenth before half of the life, never after', async () => {
  for (const random of [0, 0.25, 0.999]) {
    const { manager, ca, clock } = bench(() => random);
    manager.retain(CART);
    await settle();
    await clock.advance(0.45 * DAY_MS - 1);
    assert.equal(ca.asked.length, 1, 'renewed too early');
    await clock.advance(0.05 * DAY_MS + 1);
    assert.equal(ca.asked.length, 2, 'not renewed at half of the life');
  }
});

test('fifty renewals pass without a moment without a valid certificate, each with a key of its own', async () => {
  const { manager, ca, clock } = bench(Math.random);
  manager.retain(CART);
  await settle();
  const keys = new Set<string>();
  while (ca.asked.length <= 50) {
    const certificate = manager.current(CART);
    assert.ok(certificate !== undefined);
    assert.ok(certificate.leaf.notAfterMs > clock.nowMs());
    assert.ok(certificate.leaf.x509.checkPrivateKey(createPrivateKey(certificate.key.exportPkcs8Pem())));
    keys.add(tlsMaterialOf(certificate).privateKeyPem);
    await clock.advance(HOUR_MS);
  }
  assert.ok(keys.size >= 50);
  assert.ok(clock.nowMs() > wholeSeconds() + 22 * DAY_MS);
});

test('lives of seconds and of 90 days are renewed in time as well', async () => {
  for (const ttlSeconds of [4, 90 * 24 * 3600]) {
    const clock = new ManualClock(wholeSeconds());
    const ca = new TestCa(clock);
    const manager = new CertificateManager({ client: ca, clock, ttlSeconds });
    manager.retain(CART);
    for (let i = 0; i < 40; i++) {
      await clock.advance((ttlSeconds * 1000) / 4);
      assert.ok(manager.current(CART) !== undefined);
    }
    assert.ok(ca.asked.length >= 20 && ca.asked.length <= 40, `${ca.asked.length} requests`);
    manager.close();
  }
});

test('while the CA is away the certificate stays until it expires, then new connections fail, then it comes back', async () => {
  const { manager, ca, clock, changes } = bench();
  manager.retain(CART);
  await settle();
  const first = manager.current(CART);
  ca.behave = () => Promise.reject(new Error('connection refused'));
  await clock.advance(DAY_MS - 1);
  assert.equal(await manager.fetch(CART), first);
  const state = manager.state(CART);
  assert.ok(state?.kind === 'available' && state.renewalError !== undefined);
  await clock.advance(1);
  assert.equal(manager.current(CART), undefined);
  assert.equal(changes.at(-1)?.kind, 'expired');
  await assert.rejects(manager.fetch(CART), unavailable(/since 20.*Z: .*connection refused/));
  assert.match(manager.snapshot()[0]!.state, /^Unavailable\(.*connection refused\)$/);
  assert.deepEqual([...manager.expiries().values()], [first!.leaf.notAfterMs], 'told of the expired one too');
  const { failed, ...others } = manager.counters;
  assert.deepEqual({ ...others, hasFailed: failed > 0 }, { issued: 1, expired: 1, hasFailed: true });
  ca.behave = undefined;
  await clock.advance(150_000);
  assert.equal(manager.state(CART)?.kind, 'available');
  assert.equal(changes.at(-1)?.kind, 'available');
});

test('failures are repeated at growing intervals of 150 seconds at most, for each identity by itself', async () => {
  const { manager, ca, clock } = bench(() => 0.999999);
  ca.behave = () => Promise.reject(new Error('no'));
  const times: number[] = [];
  manager.retain(CART);
  await settle();
  for (let asked = 1; clock.nowMs() < wholeSeconds() + 2 * HOUR_MS; ) {
    await clock.advance(250);
    if (ca.asked.length > asked) times.push(clock.nowMs());
    asked = ca.asked.length;
  }
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  assert.ok(gaps[0]! <= 1_000);
  assert.ok(gaps.every((gap, i) => i === 0 || gap >= gaps[i - 1]!));
  assert.equal(gaps.at(-1), 150_000);
  ca.behave = undefined;
  const before = ca.asked.length;
  manager.retain(ORDERS);
  await manager.fetch(ORDERS);
  assert.equal(ca.asked.length, before + 1);
});

test('a connection waits through the first failures after a pod appeared', async () => {
  const { manager, ca, clock } = bench();
  let failures = 2;
  ca.behave = async () => {
    if (failures-- > 0) throw new Error('pod not known yet');
  };
  manager.retain(CART);
  await settle();
  const waiting = manager.fetch(CART);
  await clock.advance(2_000);
  assert.deepEqual((await waiting).identity, CART);
});

test('once attempts are far apart a connection fails at once, with the reason of the CA', async () => {
  const { manager, ca, clock } = bench();
  ca.behave = () => Promise.reject(new Error('not authorized'));
  manager.retain(CART);
  await clock.advance(40_000);
  await assert.rejects(manager.fetch(CART), unavailable(/not authorized$/));
});

test('a CA that never answers is given up, and its place goes to the next request', async () => {
  const { manager, ca, clock } = bench();
  ca.behave = () => new Promise(() => {});
  const identities = Array.from({ length: 9 }, (_, i) => ({ ...CART, serviceAccount: `sa-${i}` }));
  for (const identity of identities) manager.retain(identity);
  await settle();
  const waiting = assert.rejects(manager.fetch(identities[0]!), unavailable(/no answer within 10000 ms/));
  await clock.advance(10_000);
  await waiting;
  assert.equal(ca.asked.length, 9);
  assert.ok(ca.signals[0]!.aborted);
});

test('the certificate is dropped with the last pod, and a request under way is aborted', async () => {
  const { manager, ca, changes, clock } = bench();
  manager.retain(CART);
  manager.retain(CART);
  await settle();
  manager.release(CART);
  assert.ok(manager.current(CART) !== undefined);
  manager.release(CART);
  assert.equal(manager.current(CART), undefined);
  assert.deepEqual(changes.at(-1), { kind: 'forgotten', identity: CART });
  assert.equal(clock.pending, 0);
  ca.behave = () => new Promise(() => {});
  manager.retain(ORDERS);
  await settle();
  const waiting = assert.rejects(manager.fetch(ORDERS), unavailable(/sa\/orders$/));
  manager.release(ORDERS);
  await waiting;
  assert.ok(ca.signals.at(-1)!.aborted);
  manager.release(ORDERS);
  await settle();
});

test('an answer is refused unless it is exactly what was asked for', async () => {
  const { manager, ca, clock } = bench();
  const other = makeRoot('other');
  const foreign = KeyPair.generate().publicKeyDer;
  const now = clock.nowMs();
  const caCertificate = issueCertificate(ca.root.issuer, {
    profile: authorityProfile('x'),
    publicKeyDer: foreign,
    notBeforeMs: now,
    notAfterMs: now + DAY_MS,
  });
  const cases: [string, (answer: string[]) => string[], RegExp][] = [
    ['no roots', (answer) => answer.slice(0, 1), /without roots/],
    ['nothing', () => [], /without roots/],
    ['empty texts', () => ['', ''], /holds no certificate/],
    ['garbage', (answer) => ['garbage', answer[1]!], /holds no certificate/],
    ['broken PEM', (answer) => [answer[0]!.slice(0, 200), answer[1]!], /malformed PEM/],
    ['empty roots', (answer) => [answer[0]!, ''], /trust bundle is empty/],
    [
      'another identity',
      (answer) => [ca.answer(ORDERS, foreign, 60)[0]!, answer[1]!],
      /and not for .*\/sa\/cart/,
    ],
    ['another key', (answer) => [ca.answer(CART, foreign, 60)[0]!, answer[1]!], /another key/],
    ['no identity', (answer) => [pem(caCertificate), answer[1]!], /it is for ""/],
    [
      'roots of somebody else',
      (answer) => [answer[0]!, pem(other.der)],
      /cannot be verified with the 1 roots/,
    ],
    [
      'a private key',
      (answer) => [answer[0]! + KeyPair.generate().exportPkcs8Pem(), answer[1]!],
      /not a certificate/,
    ],
    ['a long chain', (answer) => [answer[0]!, ...Array(20).fill(answer[0]), answer[1]!], /more than 16/],
    ['a huge chain', (answer) => [answer[0]! + ' '.repeat(300_000), answer[1]!], /longer than/],
  ];
  for (const [name, alter, pattern] of cases) {
    ca.alter = alter;
    manager.retain(CART);
    await settle();
    const state = manager.state(CART);
    assert.ok(state?.kind === 'unavailable', name);
    assert.match(state.error.message, pattern, name);
    assert.equal((state.error.cause as AmbitError).code, 'AMBIT_CERTIFICATE_REFUSED', name);
    manager.release(CART);
  }
});

test('a refused answer leaves the certificate in use alone', async () => {
  const { manager, ca, clock } = bench();
  manager.retain(CART);
  await settle();
  const first = manager.current(CART);
  ca.alter = (answer) => [ca.answer(ORDERS, KeyPair.generate().publicKeyDer, 60)[0]!, answer[1]!];
  await clock.advance(0.6 * DAY_MS);
  assert.equal(manager.current(CART), first);
});

test('an answer that has expired is refused', async () => {
  const { manager, ca } = bench();
  ca.ageMs = DAY_MS;
  manager.retain(CART);
  await settle();
  const state = manager.state(CART);
  assert.ok(state?.kind === 'unavailable');
  assert.match(state.error.message, /it expired at/);
});

test('an answer past half of its life is used, and renewed at half of what remains', async () => {
  const { manager, ca, clock } = bench();
  ca.ageMs = 0.9 * DAY_MS;
  manager.retain(CART);
  await settle();
  ca.ageMs = 0;
  await clock.advance(0.045 * DAY_MS);
  assert.equal(ca.asked.length, 1);
  await clock.advance(0.006 * DAY_MS);
  assert.equal(ca.asked.length, 2);
});

test('new roots reach all identities with the first renewal of any, and each is told', async () => {
  const { manager, ca, clock, changes } = bench();
  manager.retain(CART);
  await settle();
  await clock.advance(HOUR_MS);
  manager.retain(ORDERS);
  await settle();
  changes.length = 0;
  ca.bundle = [ca.root, makeRoot('next')];
  await clock.advance(DAY_MS / 2 - HOUR_MS);
  assert.deepEqual(
    changes.map((change) =>
      change.kind === 'available' ? change.certificate.identity.serviceAccount : change.kind,
    ),
    ['roots', 'cart', 'orders'],
  );
  assert.equal(manager.trustBundle?.roots.length, 2);
  for (const identity of [CART, ORDERS]) assert.equal(manager.current(identity)?.trustBundle.roots.length, 2);
  assert.equal(ca.asked.length, 3);
});

test('certificates that new roots no longer cover are renewed within a minute', async () => {
  const { manager, ca, clock } = bench();
  manager.retain(CART);
  await settle();
  await clock.advance(HOUR_MS);
  ca.root = makeRoot('abrupt');
  ca.bundle = [ca.root];
  manager.retain(ORDERS);
  await clock.advance(60_000);
  assert.equal(ca.asked.length, 3);
  assert.equal(manager.current(CART)?.leaf.x509.issuer, manager.current(ORDERS)?.leaf.x509.issuer);
  await clock.advance(HOUR_MS);
  assert.equal(ca.asked.length, 3);
});

test('a listener that throws disturbs neither the others nor the renewal', async () => {
  const { manager, ca, clock } = bench();
  const stop = manager.onChange(() => {
    throw new Error('broken');
  });
  let told = 0;
  manager.onChange(() => told++);
  manager.retain(CART);
  await clock.advance(DAY_MS);
  assert.equal(ca.asked.length, 3);
  assert.ok(told >= 3);
  stop();
});

test('the snapshot has the fields of config_dump and no private key', async () => {
  const { manager } = bench();
  manager.retain(ORDERS);
  manager.retain(CART);
  assert.deepEqual(manager.snapshot()[1], {
    identity: 'spiffe://cluster.local/ns/shop/sa/orders',
    state: 'Initializing',
    certChain: [],
    rootCerts: [],
  });
  await settle();
  const [cart] = manager.snapshot();
  assert.equal(cart?.state, 'Available');
  assert.match(Buffer.from(cart!.certChain[0]!.pem, 'base64').toString(), /^-----BEGIN CERTIFICATE-----\n/);
  assert.match(cart!.certChain[0]!.serialNumber, /^\d{30,}$/);
  assert.match(cart!.certChain[0]!.validFrom, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.match(cart!.rootCerts[0]!.expirationTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const text = JSON.stringify([manager.snapshot(), manager.current(CART)]);
  assert.doesNotMatch(text + Buffer.from(cart!.certChain[0]!.pem, 'base64'), /PRIVATE/);
});

test('when the clock was ahead and is set back, what is not valid yet is renewed, and a failed attempt is repeated', async () => {
  const { clock, ca, manager } = bench();
  manager.retain(CART);
  await settle();
  // Half of a certificate's life ahead: it is renewed, and its successor is not valid yet when the clock is right again.
  await clock.advance(13 * HOUR_MS);
  const ahead = manager.current(CART)!.leaf.notBeforeMs;
  clock.setBack(13 * HOUR_MS);
  assert.ok(ahead > clock.nowMs());
  await clock.advance(60_000);
  assert.ok(manager.current(CART)!.leaf.notBeforeMs <= clock.nowMs());
  // Ahead so far that it has expired, with a CA that fails.
  ca.behave = () => Promise.reject(new Error('away'));
  await clock.advance(30 * HOUR_MS);
  assert.equal(manager.current(CART), undefined);
  clock.setBack(30 * HOUR_MS);
  ca.behave = undefined;
  await clock.advance(150_000);
  assert.ok(manager.current(CART)!.leaf.notAfterMs > clock.nowMs());
});
