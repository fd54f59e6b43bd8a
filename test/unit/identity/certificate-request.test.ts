/** Certificate requests: ours as OpenSSL reads them, OpenSSL's as we read them, and an attacker's. */

import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { AmbitError } from '../../../src/base/errors.ts';
import { parseSpiffeId } from '../../../src/base/spiffe-id.ts';
import { createCertificateRequest } from '../../../src/identity/certificate-request.ts';
import { MAX_CSR_BYTES, readCertificateRequest } from '../../../src/identity/certificate-request-reader.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { decodePem, encodePem } from '../../../src/identity/pem.ts';
import { openssl } from './openssl.ts';

const IDENTITY = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/cart')!;
const folder = mkdtempSync(join(tmpdir(), 'ambit-csr-'));
after(() => rmSync(folder, { recursive: true }));

function refusedAs(code: string): (thrown: unknown) => boolean {
  return (thrown) => {
    assert.ok(thrown instanceof AmbitError, String(thrown));
    assert.equal(thrown.code, code);
    return true;
  };
}

/** A request by the openssl command for a key, with the given subjectAltName or none. */
function opensslRequest(key: KeyObject | string, names?: string, ...more: string[]): string {
  const file = join(folder, 'key.pem');
  writeFileSync(file, typeof key === 'string' ? key : key.export({ type: 'pkcs8', format: 'pem' }));
  const extension = names === undefined ? [] : ['-addext', `subjectAltName=${names}`];
  return openssl(['req', '-new', '-key', file, '-subj', '/O=someone', ...extension, ...more]);
}

function ecKey(namedCurve = 'P-256'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey;
}

function opensslKey(): string {
  return openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']);
}

function rsaKey(modulusLength: number, publicExponent = 65537): KeyObject {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey;
}

const URI = 'URI:spiffe://cluster.local/ns/shop/sa/cart';

test('OpenSSL accepts our request: self-signed with ECDSA-SHA256, an empty subject, one URI name', () => {
  const key = KeyPair.generate();
  const pem = createCertificateRequest(key, IDENTITY);
  const text = openssl(['req', '-noout', '-text', '-verify'], pem);
  assert.match(text, /Subject: *\n/);
  assert.match(text, /ASN1 OID: prime256v1/);
  assert.match(
    text,
    /Subject Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart\n/,
  );
  assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
  assert.deepEqual(readCertificateRequest(pem), { publicKeyDer: key.publicKeyDer, identity: IDENTITY });
});

test('requests by OpenSSL are read for every kind of key the mesh takes', () => {
  const keys = [ecKey(), ecKey('P-384'), rsaKey(2048), rsaKey(4096)];
  for (const key of keys)
    assert.deepEqual(readCertificateRequest(opensslRequest(key, URI)).identity, IDENTITY);
});

test('a request without names, or with an empty attribute list, names nobody', () => {
  assert.equal(readCertificateRequest(opensslRequest(ecKey())).identity, undefined);
});

test('other wishes in a request are ignored: subject, CA bit, key usage, challenge password', () => {
  const pem = opensslRequest(ecKey(), URI, '-addext', 'basicConstraints=critical,CA:TRUE');
  assert.deepEqual(readCertificateRequest(pem).identity, IDENTITY);
});

test('keys the mesh does not use are refused by name', () => {
  const explicit = openssl([
    ...['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
    ...['-pkeyopt', 'ec_param_enc:explicit'],
  ]);
  const compressed = openssl(['ec', '-conv_form', 'compressed'], opensslKey());
  const keys = [
    ecKey('P-521'),
    ecKey('secp256k1'),
    rsaKey(1024),
    rsaKey(2048, 3),
    generateKeyPairSync('ed25519').privateKey,
    explicit,
    compressed,
  ];
  for (const key of keys) {
    assert.throws(() => readCertificateRequest(opensslRequest(key, URI)), refusedAs('AMBIT_CSR_KEY'));
  }
});

test('anything but one SPIFFE ID as name is refused', () => {
  const cases = [
    `${URI},${URI}`,
    `${URI},URI:spiffe://cluster.local/ns/kube-system/sa/admin`,
    'DNS:cart.shop.svc.cluster.local',
    `${URI},DNS:cart.shop`,
    `${URI},email:a@b.c`,
    `${URI},IP:10.0.0.1`,
    'URI:https://cluster.local/ns/shop/sa/cart',
    'URI:spiffe://cluster.local/ns/shop/sa/cart/',
    'URI:spiffe://cluster.local/ns/shop',
  ];
  for (const names of cases) {
    assert.throws(
      () => readCertificateRequest(opensslRequest(ecKey(), names)),
      refusedAs('AMBIT_CSR_NAMES'),
      names,
    );
  }
});

test('a request that its key did not sign is refused, as is one signed with SHA-1', () => {
  const { der } = decodePem(createCertificateRequest(KeyPair.generate(), IDENTITY))[0]!;
  const at = Buffer.from(der).indexOf('/sa/cart');
  der[at + 4] = 'd'.charCodeAt(0);
  assert.throws(
    () => readCertificateRequest(encodePem('CERTIFICATE REQUEST', der)),
    refusedAs('AMBIT_CSR_SIGNATURE'),
  );
  const weak = opensslRequest(ecKey(), URI, '-sha1');
  assert.throws(() => readCertificateRequest(weak), refusedAs('AMBIT_CSR_SIGNATURE'));
});

test('a request that is too large is refused before it is looked at', () => {
  const pem = createCertificateRequest(KeyPair.generate(), IDENTITY);
  assert.throws(
    () => readCertificateRequest(pem + '\n'.repeat(MAX_CSR_BYTES)),
    refusedAs('AMBIT_CSR_TOO_LARGE'),
  );
});

test('two blocks, another label and no block are refused', () => {
  const pem = createCertificateRequest(KeyPair.generate(), IDENTITY);
  for (const wrong of [pem + pem, pem.replaceAll('CERTIFICATE REQUEST', 'CERTIFICATE'), '', 'hello']) {
    assert.throws(() => readCertificateRequest(wrong), refusedAs('AMBIT_CSR_MALFORMED'));
  }
});

/** Changes to bytes that keep most of the structure, which is how the deeper layers are reached. */
function mutate(der: Uint8Array, changes: readonly [number, number, number][]): Uint8Array {
  let bytes = Array.from(der);
  for (const [kind, where, value] of changes) {
    const at = where % Math.max(1, bytes.length);
    if (kind === 0) bytes[at] = value;
    else if (kind === 1) bytes.splice(at, 1 + (value % 8));
    else if (kind === 2) bytes.splice(at, 0, ...bytes.slice(at, at + value));
    else bytes = bytes.slice(0, at);
  }
  return Uint8Array.from(bytes);
}

test('a mutated request is read or refused under a code of the catalogue, nothing else', () => {
  const originals = [
    createCertificateRequest(KeyPair.generate(), IDENTITY),
    opensslRequest(rsaKey(2048), URI),
  ].map((pem) => decodePem(pem)[0]!.der);
  const codes = new Set<string>();
  const change = fc.tuple(fc.constantFrom(0, 0, 0, 0, 1, 2, 3), fc.nat(2000), fc.nat(255));
  fc.assert(
    fc.property(
      fc.constantFrom(...originals),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      (der, changes) => {
        try {
          readCertificateRequest(encodePem('CERTIFICATE REQUEST', mutate(der, changes)));
        } catch (thrown) {
          assert.ok(thrown instanceof AmbitError, String(thrown));
          codes.add(thrown.code);
        }
      },
    ),
    { numRuns: 3000 },
  );
  for (const code of ['AMBIT_CSR_MALFORMED', 'AMBIT_CSR_SIGNATURE', 'AMBIT_CSR_KEY'])
    assert.ok(codes.has(code), code);
});

test('a key pair shows its private part neither as JSON nor as text, and gives it to OpenSSL on demand', () => {
  const key = KeyPair.generate();
  assert.doesNotMatch(JSON.stringify(key), /PRIVATE|privateKey/);
  const again = openssl(['pkey', '-pubout', '-outform', 'DER'], key.exportPkcs8Pem(), 'buffer');
  assert.deepEqual(again, Buffer.from(key.publicKeyDer));
});

test('keys on other curves, encrypted keys and text that is no key are not taken', () => {
  const encrypted = ecKey().export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' });
  const other = ecKey('secp256k1').export({ type: 'pkcs8', format: 'pem' });
  for (const pem of [encrypted, other, 'nothing']) {
    assert.throws(() => KeyPair.fromPem(pem.toString()), refusedAs('AMBIT_KEY_UNSUPPORTED'));
  }
});
