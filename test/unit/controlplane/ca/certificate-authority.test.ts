/** What the CA signs, with roots, with intermediates, and with keys that were made elsewhere. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CertificateAuthority } from '../../../../src/controlplane/ca/certificate-authority.ts';
import { PluggedInAuthority } from '../../../../src/controlplane/ca/plugged-in-authority.ts';
import { makeSigningMaterial, type SigningSource } from '../../../../src/controlplane/ca/signing-material.ts';
import { inspectCertificate } from '../../../../src/identity/certificate-info.ts';
import { decodeCertificates, encodePem } from '../../../../src/identity/pem.ts';
import { WATCH_INTERVAL_MS } from '../../../../src/identity/watched-files.ts';
import { setLogLevels } from '../../../../src/telemetry/log.ts';
import { ManualClock } from '../../../support/manual-clock.ts';
import {
  issue,
  makeIntermediate,
  makeRoot,
  type TestAuthority,
  wholeSeconds,
  workload,
} from '../../identity/authorities.ts';
import { openssl } from '../../identity/openssl.ts';
import { anyKey, CART, DAY_MS, HOUR_MS, verifies } from './chains.ts';

setLogLevels('ca=off');
const folder = mkdtempSync(join(tmpdir(), 'ambit-plugged-'));
after(() => rmSync(folder, { recursive: true }));
let folders = 0;

function pem(...authorities: TestAuthority[]): string {
  return authorities.map((one) => encodePem('CERTIFICATE', one.der)).join('');
}

function keyPem(authority: TestAuthority): string {
  return authority.issuer.key.exportPkcs8Pem();
}

function directoryWith(files: Readonly<Record<string, string>>): string {
  const directory = join(folder, String(folders++));
  mkdirSync(directory);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function istioFiles(
  signer: TestAuthority,
  above: TestAuthority[],
  root: TestAuthority,
): Record<string, string> {
  return {
    'ca-key.pem': keyPem(signer),
    'ca-cert.pem': pem(signer),
    'cert-chain.pem': pem(signer, ...above, root),
    'root-cert.pem': pem(root),
  };
}

function fixed(signer: TestAuthority, chain = '', roots = pem(signer)): SigningSource {
  const material = makeSigningMaterial({ keyPem: keyPem(signer), certificatePem: pem(signer) }, chain, roots);
  return { material, noteIssued: async () => {}, onChange: () => () => {}, close: () => {} };
}

const invalid = { code: 'AMBIT_CA_FILES_INVALID' };

test("with Istio's files the chain is the leaf, every intermediate by itself, and the roots", async () => {
  const root = makeRoot('root');
  const upper = makeIntermediate(root, 'upper', 1);
  const lower = makeIntermediate(upper, 'lower', 0);
  const source = new PluggedInAuthority(directoryWith(istioFiles(lower, [upper], root)), new ManualClock(0));
  const authority = new CertificateAuthority({ source });
  const { chain } = await authority.signWorkload(CART, anyKey(60_000));
  const subjects = chain.map((text) =>
    decodeCertificates(text).map((der) => inspectCertificate(der).subject),
  );
  assert.deepEqual(subjects, [
    [''],
    ['O=cluster.local, CN=lower'],
    ['O=cluster.local, CN=upper'],
    ['O=cluster.local, CN=root'],
  ]);
  assert.ok(verifies(chain, pem(root), Date.now()));
  source.close();
});

test("with cert-manager's files the chain verifies as well", async () => {
  const root = makeRoot('root');
  const signer = makeIntermediate(root, 'signer', 0);
  const files = { 'tls.key': keyPem(signer), 'tls.crt': pem(signer), 'ca.crt': pem(root) };
  const directory = directoryWith(files);
  assert.ok(PluggedInAuthority.isPresent(directory));
  const source = new PluggedInAuthority(directory, new ManualClock(0));
  const { chain } = await new CertificateAuthority({ source }).signWorkload(CART, anyKey(60_000));
  assert.equal(chain.length, 3);
  assert.ok(verifies(chain, pem(root), Date.now()));
  source.close();
});

test('a root as signer needs no chain file, and several roots are handed on', async () => {
  const [root, other] = [makeRoot('root'), makeRoot('other')];
  const files = { 'ca-key.pem': keyPem(root), 'ca-cert.pem': pem(root), 'root-cert.pem': pem(root, other) };
  const source = new PluggedInAuthority(directoryWith(files), new ManualClock(0));
  const { chain } = await new CertificateAuthority({ source }).signWorkload(CART, anyKey(60_000));
  assert.equal(chain.length, 2);
  assert.equal(decodeCertificates(chain[1]!).length, 2);
  source.close();
});

test('an RSA signer made by openssl works', async () => {
  const directory = directoryWith({});
  const [key, certificate] = [join(directory, 'ca-key.pem'), join(directory, 'ca-cert.pem')];
  openssl([
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    key,
    '-out',
    certificate,
    '-subj',
    '/O=Example',
    '-addext',
    'keyUsage=critical,keyCertSign',
  ]);
  writeFileSync(join(directory, 'root-cert.pem'), openssl(['x509', '-in', certificate]));
  const source = new PluggedInAuthority(directory, new ManualClock(0));
  const { chain } = await new CertificateAuthority({ source }).signWorkload(CART, anyKey(60_000));
  assert.ok(verifies(chain, chain.at(-1)!, Date.now()));
  source.close();
});

test('files that do not fit together are refused', () => {
  const [root, other] = [makeRoot('root'), makeRoot('other')];
  const narrow = makeRoot('narrow', 0);
  const signer = makeIntermediate(root, 'signer');
  const tooDeep = makeIntermediate(narrow, 'too deep');
  const leafKey = makeRoot('leaf').issuer.key;
  const leaf = { issuer: { ...root.issuer, key: leafKey }, der: issue(root, workload(CART), leafKey) };
  const files = istioFiles(signer, [], root);
  const cases: [string, Record<string, string>][] = [
    ['no files', {}],
    ['no certificate', { 'ca-key.pem': keyPem(root) }],
    ['key of another', { ...files, 'ca-key.pem': keyPem(other) }],
    ['broken key', { ...files, 'ca-key.pem': 'x' }],
    ['another root', { ...files, 'root-cert.pem': pem(other) }],
    ['no root', { ...files, 'root-cert.pem': '' }],
    ['empty certificate', { ...files, 'ca-cert.pem': '' }],
    ['beyond the path length', istioFiles(tooDeep, [], narrow)],
    ['signer without CA bit', istioFiles(leaf, [], root)],
  ];
  for (const [name, content] of cases) {
    assert.throws(() => new PluggedInAuthority(directoryWith(content), new ManualClock(0)), invalid, name);
  }
});

test('replaced files are followed, and files that are replaced by halves are not', async () => {
  const clock = new ManualClock(wholeSeconds());
  const [root, next] = [makeRoot('root'), makeRoot('next')];
  const directory = directoryWith(istioFiles(root, [], root));
  const source = new PluggedInAuthority(directory, clock);
  const authority = new CertificateAuthority({ source, clock });
  let changes = 0;
  authority.onChange(() => changes++);
  writeFileSync(join(directory, 'ca-key.pem'), keyPem(next));
  await clock.advance(WATCH_INTERVAL_MS);
  assert.equal(changes, 0);
  assert.ok(verifies((await authority.signWorkload(CART, anyKey())).chain, pem(root), clock.nowMs()));
  for (const [name, text] of Object.entries(istioFiles(next, [], next)))
    writeFileSync(join(directory, name), text);
  await clock.advance(WATCH_INTERVAL_MS);
  assert.equal(changes, 1);
  assert.ok(verifies((await authority.signWorkload(CART, anyKey())).chain, pem(next), clock.nowMs()));
  source.close();
  assert.equal(clock.pending, 0);
});

test('the life is 24 hours by default, what was asked for up to the limit, and refused beyond', async () => {
  const clock = new ManualClock(wholeSeconds());
  const authority = new CertificateAuthority({ source: fixed(makeRoot('root')), clock });
  const life = async (ttlMs: number) =>
    (await authority.signWorkload(CART, anyKey(ttlMs))).notAfterMs - clock.nowMs();
  assert.equal(await life(0), DAY_MS);
  assert.equal(await life(HOUR_MS), HOUR_MS);
  assert.equal(await life(90 * DAY_MS), 90 * DAY_MS);
  for (const ttlMs of [90 * DAY_MS + 1, -1, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 63, 0.5]) {
    await assert.rejects(
      authority.signWorkload(CART, anyKey(ttlMs)),
      { code: 'AMBIT_CA_TTL_INVALID' },
      String(ttlMs),
    );
  }
});

test('a certificate is valid at once for a proxy whose clock is two minutes behind', async () => {
  const clock = new ManualClock(wholeSeconds());
  const root = makeRoot('root');
  const authority = new CertificateAuthority({ source: fixed(root), clock });
  const { chain, notBeforeMs } = await authority.signWorkload(CART, anyKey());
  assert.equal(notBeforeMs, clock.nowMs() - 120_000);
  assert.ok(verifies(chain, pem(root), clock.nowMs() - 120_000));
  const short = await authority.signWorkload(CART, anyKey(10_000));
  assert.equal(short.notBeforeMs, clock.nowMs() - 10_000);
});

test('a certificate never outlives what signed it, and an expired CA signs nothing', async () => {
  const clock = new ManualClock(wholeSeconds());
  const root = makeRoot('root');
  const signer = makeIntermediate(root, 'signer');
  const authority = new CertificateAuthority({ source: fixed(signer, '', pem(root)), clock });
  const { notAfterMs: limit } = inspectCertificate(signer.der);
  const { chain, notAfterMs } = await authority.signWorkload(CART, anyKey(2 * HOUR_MS));
  assert.equal(notAfterMs, limit);
  assert.ok(verifies(chain, pem(root), limit - 1000));
  await clock.advance(HOUR_MS + 1000);
  await assert.rejects(authority.signWorkload(CART, anyKey()), { code: 'AMBIT_CA_EXPIRED' });
});
