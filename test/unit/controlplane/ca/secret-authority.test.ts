/** The CA in a Secret: made once for all replicas, rotated on request, given by others, exchanged while it signs. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AmbitError } from '../../../../src/base/errors.ts';
import { ROTATE_ANNOTATION, STATE_KEY } from '../../../../src/controlplane/ca/ca-secret.ts';
import { CertificateAuthority } from '../../../../src/controlplane/ca/certificate-authority.ts';
import { SecretAuthority } from '../../../../src/controlplane/ca/secret-authority.ts';
import { encodePem } from '../../../../src/identity/pem.ts';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { ManualClock, settle } from '../../../support/manual-clock.ts';
import { MemorySecret } from '../../../support/memory-secret.ts';
import { makeIntermediate, makeRoot, type TestAuthority, wholeSeconds } from '../../identity/authorities.ts';
import { anyKey, CART, DAY_MS, HOUR_MS, verifies } from './chains.ts';

setLogLevels('ca=off');

class Bench {
  readonly clock = new ManualClock(wholeSeconds());
  readonly secret = new MemorySecret();
  readonly problems: AmbitError[] = [];

  replica(): Promise<SecretAuthority> {
    const { clock, secret } = this;
    const onProblem = (problem: AmbitError) => this.problems.push(problem);
    return SecretAuthority.open({ secret, trustDomain: 'cluster.local', clock, onProblem });
  }

  /** Both see the same Secret, as two pods of the Deployment do. */
  async replicas(): Promise<readonly [SecretAuthority, SecretAuthority]> {
    const both = await Promise.all([this.replica(), this.replica()]);
    await settle();
    return both;
  }

  async sign(source: SecretAuthority): Promise<readonly string[]> {
    const authority = new CertificateAuthority({ source, clock: this.clock });
    const { chain } = await authority.signWorkload(CART, anyKey());
    await settle();
    return chain;
  }

  annotate(annotations: Readonly<Record<string, string>>): void {
    this.secret.put(this.secret.current!.data, annotations);
  }
}

function pemOf({ der }: TestAuthority): string {
  return encodePem('CERTIFICATE', der);
}

/** As cert-manager writes it. */
function given(signer: TestAuthority, root: TestAuthority): Record<string, string> {
  return { 'ca.crt': pemOf(root), 'tls.crt': pemOf(signer), 'tls.key': signer.issuer.key.exportPkcs8Pem() };
}

function rootsOf(source: SecretAuthority): string {
  return source.material.trustBundle.pem;
}

test('of two replicas that start at once, both use the root of one, laid out as by cert-manager', async () => {
  const bench = new Bench();
  const [one, other] = await bench.replicas();
  assert.equal(rootsOf(one), rootsOf(other));
  const { data } = bench.secret.current!;
  assert.equal(data['ca.crt'], rootsOf(one));
  assert.equal(data['tls.crt'], rootsOf(one));
  assert.match(data['tls.key']!, /^-----BEGIN PRIVATE KEY-----/);
  const third = await bench.replica();
  assert.equal(rootsOf(third), rootsOf(one));
  for (const source of [one, other, third]) source.close();
  assert.equal(bench.clock.pending, 0);
});

test('an annotation begins one rotation in all replicas, and goes with its beginning', async () => {
  const bench = new Bench();
  const [one, other] = await bench.replicas();
  await bench.sign(one);
  bench.annotate({ [ROTATE_ANNOTATION]: 'now', keep: 'this' });
  await settle();
  assert.deepEqual(bench.secret.current!.annotations, { keep: 'this' });
  assert.equal(rootsOf(one), rootsOf(other));
  assert.equal(one.material.trustBundle.roots.length, 2);
  assert.deepEqual(bench.problems, []);
  one.close();
  other.close();
});

test('a rotation runs to its end although replicas come and go, and every certificate verifies meanwhile', async () => {
  const bench = new Bench();
  const [one, other] = await bench.replicas();
  const before = await bench.sign(one);
  bench.annotate({ [ROTATE_ANNOTATION]: 'now' });
  await settle();
  one.close();
  const third = await bench.replica();
  await settle();
  assert.deepEqual(third.owner, other.owner);
  const [a, b] = [await bench.sign(third), await bench.sign(other)];
  assert.ok(verifies(before, a.at(-1)!, bench.clock.nowMs()));
  assert.ok(verifies(a, before.at(-1)!, bench.clock.nowMs()) && verifies(b, a.at(-1)!, bench.clock.nowMs()));
  await bench.clock.advance(DAY_MS + 2 * HOUR_MS);
  const [c, d] = [await bench.sign(third), await bench.sign(other)];
  assert.ok(verifies(c, a.at(-1)!, bench.clock.nowMs()) && verifies(d, b.at(-1)!, bench.clock.nowMs()));
  assert.ok(!verifies(c, before.at(-1)!, bench.clock.nowMs()));
  await bench.clock.advance(DAY_MS + 2 * HOUR_MS);
  for (const source of [third, other]) {
    assert.equal(source.owner.kind === 'own' && source.owner.rotation.kind, 'stable');
    assert.equal(source.material.trustBundle.roots.length, 1);
    source.close();
  }
});

test('a second rotation during the first is refused, and said to be', async () => {
  const bench = new Bench();
  const source = await bench.replica();
  await bench.sign(source);
  for (let i = 0; i < 2; i++) {
    bench.annotate({ [ROTATE_ANNOTATION]: String(i) });
    await settle();
  }
  assert.deepEqual(bench.secret.current!.annotations, {});
  assert.deepEqual(
    bench.problems.map(({ code }) => code),
    ['AMBIT_CA_ROTATION_UNDER_WAY'],
  );
  source.close();
});

test('a Secret that is deleted is put back as it was', async () => {
  const bench = new Bench();
  const [one, other] = await bench.replicas();
  const roots = rootsOf(one);
  bench.secret.delete();
  await settle();
  assert.equal(bench.secret.current?.data['ca.crt'], roots);
  assert.equal(rootsOf(other), roots);
  one.close();
  other.close();
});

test('a key that others have put there signs, with its chain, and is never written', async () => {
  const bench = new Bench();
  const root = makeRoot('Company root');
  const signer = makeIntermediate(root, 'Mesh issuer');
  bench.secret.put(given(signer, root));
  const source = await bench.replica();
  assert.deepEqual(source.owner, { kind: 'given' });
  const chain = await bench.sign(source);
  assert.equal(chain.length, 3);
  assert.ok(verifies(chain, pemOf(root), bench.clock.nowMs()));
  assert.equal(bench.secret.writes, 1);
  source.close();
});

test("Istio's layout of such a Secret is understood as well", async () => {
  const bench = new Bench();
  const root = makeRoot('Company root');
  const signer = makeIntermediate(root, 'Mesh issuer');
  bench.secret.put({
    'ca-cert.pem': pemOf(signer),
    'ca-key.pem': signer.issuer.key.exportPkcs8Pem(),
    'cert-chain.pem': pemOf(signer) + pemOf(root),
    'root-cert.pem': pemOf(root),
  });
  const source = await bench.replica();
  assert.ok(verifies(await bench.sign(source), pemOf(root), bench.clock.nowMs()));
  source.close();
});

test('a given key that is replaced signs from then on; one that cannot be used changes nothing and is reported', async () => {
  const bench = new Bench();
  const [first, second] = [makeRoot('First'), makeRoot('Second')];
  bench.secret.put(given(first, first));
  const source = await bench.replica();
  const heard: string[] = [];
  source.onChange(({ trustBundle }) => heard.push(trustBundle.pem));
  for (const bad of [{}, { ...given(second, second), 'tls.key': '' }, given(second, first)]) {
    bench.secret.put(bad);
    await settle();
    assert.equal(rootsOf(source), pemOf(first));
  }
  bench.secret.delete();
  await settle();
  assert.equal(rootsOf(source), pemOf(first));
  assert.deepEqual(new Set(bench.problems.map(({ code }) => code)), new Set(['AMBIT_CA_FILES_INVALID']));
  bench.secret.put(given(second, second));
  await settle();
  assert.deepEqual(heard, [pemOf(second)]);
  source.close();
  assert.equal(bench.clock.pending, 0);
});

test('a given Secret that cannot be used is an error at the start', async () => {
  const bench = new Bench();
  bench.secret.put({ 'tls.crt': 'x' });
  await assert.rejects(bench.replica(), {
    code: 'AMBIT_CA_FILES_INVALID',
    message: /ambit-system\/ambit-ca/,
  });
  bench.secret.put({ [STATE_KEY]: '{}' });
  await assert.rejects(bench.replica(), { code: 'AMBIT_CA_STATE_UNREADABLE' });
});

test('an own key may be replaced by a given one, and back', async () => {
  const bench = new Bench();
  const source = await bench.replica();
  await settle();
  const own = bench.secret.current!.data;
  const root = makeRoot('Company root');
  bench.secret.put(given(root, root));
  await settle();
  assert.deepEqual([source.owner.kind, rootsOf(source)], ['given', pemOf(root)]);
  bench.secret.put(own);
  await settle();
  assert.deepEqual([source.owner.kind, rootsOf(source)], ['own', own['ca.crt']]);
  source.close();
  assert.equal(bench.clock.pending, 0);
});

test('a given key is not rotated here', async () => {
  const bench = new Bench();
  const root = makeRoot('Company root');
  bench.secret.put(given(root, root));
  const source = await bench.replica();
  bench.annotate({ [ROTATE_ANNOTATION]: 'now' });
  await settle();
  assert.equal(rootsOf(source), pemOf(root));
  assert.deepEqual(bench.secret.current!.annotations, {});
  assert.deepEqual(
    bench.problems.map(({ code }) => code),
    ['AMBIT_CA_NOT_OWN'],
  );
  source.close();
});

test('a Secret that cannot be read for a while is read again, and signing goes on', async () => {
  const bench = new Bench();
  const source = await bench.replica();
  await bench.sign(source);
  bench.secret.failure = new Error('etcd is down');
  bench.annotate({ [ROTATE_ANNOTATION]: 'now' });
  await settle();
  await bench.sign(source);
  assert.equal(source.material.trustBundle.roots.length, 1);
  bench.secret.failure = undefined;
  await bench.clock.advance(10_000);
  await settle();
  assert.equal(source.material.trustBundle.roots.length, 2);
  source.close();
});
