/** Revocation lists made by openssl ca, and their file as it changes. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { verifyDownstream } from '../../../src/identity/peer-verification.ts';
import { decodePem, encodePem } from '../../../src/identity/pem.ts';
import { RevocationFile } from '../../../src/identity/revocation-file.ts';
import { RevocationList } from '../../../src/identity/revocation-list.ts';
import { WATCH_INTERVAL_MS } from '../../../src/identity/watched-files.ts';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import {
  HOUR_MS,
  issue,
  makeIntermediate,
  makeRoot,
  spiffeId,
  type TestAuthority,
  workload,
} from './authorities.ts';
import { openssl } from './openssl.ts';

const CART = workload(spiffeId('spiffe://cluster.local/ns/shop/sa/cart'));
const folder = mkdtempSync(join(tmpdir(), 'ambit-crl-'));
setLogLevels('crl=off');
after(() => rmSync(folder, { recursive: true }));

const CONFIG = `
[ca]
default_ca = c
[c]
database = ${folder}/index.txt
default_md = sha256
crl_extensions = v2
[v2]
authorityKeyIdentifier = keyid
[delta]
2.5.29.27 = critical,ASN1:INTEGER:1
[partition]
issuingDistributionPoint = critical,@idp
[idp]
onlyuser = TRUE
[indirect]
issuingDistributionPoint = critical,@idpi
[idpi]
indirectCRL = TRUE
`;

/** A list by `openssl ca -gencrl` in which these certificates are revoked. */
function revoke(authority: TestAuthority, revoked: readonly Uint8Array[], ...more: string[]): string {
  const lines = revoked.map((der) => {
    const serial = openssl(['x509', '-inform', 'DER', '-noout', '-serial'], der)
      .trim()
      .slice('serial='.length);
    return `R\t991231235959Z\t260101000000Z,keyCompromise\t${serial}\tunknown\t/CN=x\n`;
  });
  writeFileSync(join(folder, 'index.txt'), lines.join(''));
  writeFileSync(join(folder, 'index.txt.attr'), 'unique_subject = no\n');
  writeFileSync(join(folder, 'ca.cnf'), CONFIG);
  writeFileSync(join(folder, 'ca.key'), authority.issuer.key.exportPkcs8Pem());
  writeFileSync(join(folder, 'ca.crt'), encodePem('CERTIFICATE', authority.der));
  const days = more.includes('-crldays') || more.includes('-crl_nextupdate') ? [] : ['-crldays', '7'];
  const files = [
    '-config',
    join(folder, 'ca.cnf'),
    '-keyfile',
    join(folder, 'ca.key'),
    '-cert',
    join(folder, 'ca.crt'),
  ];
  return openssl(['ca', '-gencrl', ...files, ...days, ...more]);
}

function parse(text: string): RevocationList {
  return RevocationList.parse(Buffer.from(text));
}

const malformed = (thrown: unknown): boolean => {
  assert.ok(thrown instanceof AmbitError, String(thrown));
  return thrown.code === 'AMBIT_CRL_MALFORMED';
};

const root = makeRoot('root');
const intermediate = makeIntermediate(root, 'intermediate');
const [good, bad] = [issue(intermediate, CART), issue(intermediate, CART)];
const chainOf = (leaf: Uint8Array): Uint8Array[] => [leaf, intermediate.der, root.der];

test('a listed certificate is revoked, another of the same issuer is not', () => {
  const list = parse(revoke(intermediate, [bad]));
  assert.equal(list.size, 1);
  assert.equal(list.findRevoked(chainOf(bad), Date.now())?.depth, 0);
  assert.equal(list.findRevoked(chainOf(good), Date.now()), undefined);
});

test('a revoked intermediate revokes everything below it', () => {
  const list = parse(revoke(root, [intermediate.der]));
  assert.equal(list.findRevoked(chainOf(good), Date.now())?.depth, 1);
});

test('the verdict on a peer names the revoked serial number', () => {
  const list = parse(revoke(intermediate, [bad]));
  const verdict = verifyDownstream(chainOf(bad), 'cluster.local', { list, nowMs: Date.now() });
  assert.ok(verdict.kind === 'refused');
  assert.equal(verdict.error.code, 'AMBIT_PEER_REVOKED');
  assert.match(verdict.error.message, /serial number [0-9a-f]{32}$/);
  const other = verifyDownstream(chainOf(good), 'cluster.local', { list, nowMs: Date.now() });
  assert.equal(other.kind, 'accepted');
});

test('lists of several issuers stand in one PEM file, and one list may be DER', () => {
  const text = revoke(root, [intermediate.der]) + revoke(intermediate, [bad, good]);
  assert.equal(parse(text).size, 3);
  const der = decodePem(revoke(intermediate, [bad]))[0]!.der;
  assert.equal(RevocationList.parse(der).findRevoked(chainOf(bad), Date.now())?.depth, 0);
});

test('a certificate of an issuer without list is good, and so is everything under an empty list', () => {
  const other = makeRoot('other');
  assert.equal(parse(revoke(other, [bad])).findRevoked(chainOf(bad), Date.now()), undefined);
  assert.equal(parse(revoke(intermediate, [])).findRevoked(chainOf(bad), Date.now()), undefined);
  assert.equal(RevocationList.empty.findRevoked(chainOf(bad), Date.now()), undefined);
});

test('a list past its nextUpdate is ignored', () => {
  const list = parse(revoke(intermediate, [bad], '-crldays', '1'));
  assert.ok(list.findRevoked(chainOf(bad), Date.now()) !== undefined);
  assert.equal(list.findRevoked(chainOf(bad), Date.now() + 25 * HOUR_MS), undefined);
});

test('a list signed by another key under the same issuer name revokes nothing', () => {
  const impostor = makeRoot('intermediate');
  const list = parse(revoke(impostor, [bad]));
  assert.equal(list.findRevoked(chainOf(bad), Date.now()), undefined);
});

test('where the chain ends below the issuer, the list is believed', () => {
  assert.equal(parse(revoke(intermediate, [bad])).findRevoked([bad], Date.now())?.depth, 0);
});

test('partitioned lists are taken, delta and indirect ones refused', () => {
  const partitioned = parse(revoke(intermediate, [bad], '-crlexts', 'partition'));
  assert.equal(partitioned.findRevoked(chainOf(bad), Date.now())?.depth, 0);
  for (const kind of ['delta', 'indirect']) {
    const text = revoke(intermediate, [bad], '-crlexts', kind);
    assert.throws(() => parse(text), malformed, kind);
  }
});

test('what is no list is refused', () => {
  for (const text of [
    '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n',
    encodePem('CERTIFICATE', root.der),
  ]) {
    assert.throws(() => parse(text), malformed);
  }
  assert.throws(() => RevocationList.parse(Uint8Array.of(0x30, 0x03, 1, 2, 3)), malformed);
  assert.equal(parse('').size, 0);
});

test('a mutated list is read or refused as malformed, and never disturbs the look-up', () => {
  const original = decodePem(revoke(intermediate, [bad, good]))[0]!.der;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(original.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      fc.nat(original.length),
      (changes, cut) => {
        const der = Uint8Array.from(original);
        for (const [at, value] of changes) der[at] = value;
        for (const bytes of [der, der.subarray(0, cut)]) {
          try {
            RevocationList.parse(bytes).findRevoked(chainOf(bad), Date.now());
          } catch (thrown) {
            assert.ok(malformed(thrown), String(thrown));
          }
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('the file is read again when a mounted volume swaps its symbolic link, and listeners are told', async () => {
  const mount = join(folder, 'mount');
  const put = (version: string, text: string): void => {
    mkdirSync(join(mount, version), { recursive: true });
    writeFileSync(join(mount, version, 'ca-crl.pem'), text);
    symlinkSync(version, join(mount, '..next'));
    renameSync(join(mount, '..next'), join(mount, '..data'));
  };
  put('..1', revoke(intermediate, []));
  symlinkSync(join('..data', 'ca-crl.pem'), join(mount, 'ca-crl.pem'));
  const clock = new ManualClock(Date.now());
  const file = new RevocationFile(join(mount, 'ca-crl.pem'), clock);
  const told: number[] = [];
  const stop = file.onChange((list) => told.push(list.size));
  await clock.advance(5 * WATCH_INTERVAL_MS);
  assert.deepEqual(told, []);
  put('..2', revoke(intermediate, [bad]));
  await clock.advance(WATCH_INTERVAL_MS);
  assert.deepEqual(told, [1]);
  put('..3', 'no list: \n-----BEGIN X509 CRL-----\n');
  await clock.advance(WATCH_INTERVAL_MS);
  assert.equal(file.current.size, 1);
  assert.deepEqual(told, [1]);
  stop();
  put('..4', revoke(intermediate, [bad, good]));
  await clock.advance(WATCH_INTERVAL_MS);
  assert.deepEqual([file.current.size, told.length], [2, 1]);
  file.close();
  assert.equal(clock.pending, 0);
});

test('a missing file revokes nothing until it appears, and an unreadable start is an error', async () => {
  const clock = new ManualClock(Date.now());
  const path = join(folder, 'later.pem');
  const file = new RevocationFile(path, clock);
  assert.equal(file.current.size, 0);
  writeFileSync(path, revoke(intermediate, [bad]));
  await clock.advance(WATCH_INTERVAL_MS);
  assert.equal(file.current.size, 1);
  file.close();
  writeFileSync(path, '-----BEGIN X509 CRL-----');
  assert.throws(() => new RevocationFile(path, clock), malformed);
});
