/** The control plane's own serving certificate over time. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '../../../../src/base/ip.ts';
import { CertificateAuthority } from '../../../../src/controlplane/ca/certificate-authority.ts';
import { SelfSignedAuthority } from '../../../../src/controlplane/ca/self-signed-authority.ts';
import { ServingCertificate } from '../../../../src/controlplane/ca/serving-certificate.ts';
import {
  makeSigningMaterial,
  type SigningMaterial,
  type SigningSource,
} from '../../../../src/controlplane/ca/signing-material.ts';
import { encodePem } from '../../../../src/identity/pem.ts';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import { makeIntermediate, makeRoot, type TestAuthority, wholeSeconds } from '../../identity/authorities.ts';
import { openssl } from '../../identity/openssl.ts';
import { DAY_MS, HOUR_MS, MemoryStore, verifies } from './chains.ts';

setLogLevels('ca=off');

async function bench() {
  const clock = new ManualClock(wholeSeconds());
  const source = await SelfSignedAuthority.open({
    store: new MemoryStore(),
    trustDomain: 'cluster.local',
    clock,
  });
  const authority = new CertificateAuthority({ source, clock });
  const dnsNames = ['ambit-controlplane.ambit-system.svc', 'localhost'];
  const ips = [parseIp('127.0.0.1')!, parseIp('::1')!];
  const serving = await ServingCertificate.create({ authority, dnsNames, ips, clock });
  return { clock, source, authority, serving };
}

test('it is good for all names and addresses of the control plane', async () => {
  const { clock, source, authority, serving } = await bench();
  const { certificateChainPem, privateKeyPem } = serving.current;
  assert.ok(verifies([certificateChainPem, ''], authority.trustBundle.pem, clock.nowMs()));
  assert.match(openssl(['x509', '-noout', '-checkhost', 'localhost'], certificateChainPem), /does match/);
  assert.match(openssl(['x509', '-noout', '-checkip', '::1'], certificateChainPem), /does match/);
  assert.equal(
    openssl(['x509', '-noout', '-pubkey'], certificateChainPem),
    openssl(['pkey', '-pubout'], privateKeyPem),
  );
  serving.close();
  source.close();
});

test('it is renewed by itself and is valid at every moment of a month', async () => {
  const { clock, source, authority, serving } = await bench();
  let renewals = 0;
  serving.onChange(() => renewals++);
  for (let day = 0; day < 30; day++) {
    await clock.advance(DAY_MS);
    assert.ok(verifies([serving.current.certificateChainPem, ''], authority.trustBundle.pem, clock.nowMs()));
  }
  assert.ok(renewals >= 58 && renewals <= 61, `${renewals} renewals`);
  serving.close();
  source.close();
  assert.equal(clock.pending, 0);
});

test('one that was signed while the clock was ahead is replaced within a minute of its being set back', async () => {
  const { clock, source, authority, serving } = await bench();
  await clock.advance(13 * HOUR_MS);
  clock.setBack(13 * HOUR_MS);
  const isValid = () =>
    verifies([serving.current.certificateChainPem, ''], authority.trustBundle.pem, clock.nowMs());
  assert.equal(isValid(), false);
  await clock.advance(60_000);
  assert.ok(isValid());
  serving.close();
  source.close();
});

test('it follows the CA to a new root', async () => {
  const { clock, source, authority, serving } = await bench();
  await source.rotate();
  await clock.advance(2 * DAY_MS + 6 * HOUR_MS);
  assert.equal(source.rotation.kind, 'stable');
  assert.ok(verifies([serving.current.certificateChainPem, ''], authority.trustBundle.pem, clock.nowMs()));
  serving.close();
  source.close();
});

test('an expired CA is asked again until it can sign, at growing intervals', async () => {
  const clock = new ManualClock(wholeSeconds());
  const root = makeRoot('root');
  let signer = makeIntermediate(root, 'expires within the hour');
  let attempts = 0;
  const source: SigningSource = {
    get material() {
      attempts++;
      return materialOf(signer, root);
    },
    noteIssued: async () => {},
    onChange: () => () => {},
    close: () => {},
  };
  const authority = new CertificateAuthority({ source, clock });
  const serving = await ServingCertificate.create({ authority, dnsNames: ['localhost'], ips: [], clock });
  await clock.advance(DAY_MS);
  assert.ok(attempts > 1_000 && attempts < 4_000, `${attempts} attempts in a day`);
  signer = root;
  await clock.advance(60_000);
  assert.ok(verifies([serving.current.certificateChainPem, ''], authority.trustBundle.pem, clock.nowMs()));
  serving.close();
  assert.equal(clock.pending, 0);
});

function materialOf(signer: TestAuthority, root: TestAuthority): SigningMaterial {
  const keyPem = signer.issuer.key.exportPkcs8Pem();
  const [certificatePem, rootsPem] = [signer, root].map((one) => encodePem('CERTIFICATE', one.der));
  return makeSigningMaterial({ keyPem, certificatePem: certificatePem! }, '', rootsPem!);
}
