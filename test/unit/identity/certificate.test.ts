/** Certificates as issued, with OpenSSL as the judge of every property that peers rely on. */

import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { AmbitError } from '../../../src/base/errors.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { issueCertificate, issuerOf } from '../../../src/identity/certificate.ts';
import { inspectCertificate } from '../../../src/identity/certificate-info.ts';
import { findPathToRoot } from '../../../src/identity/certificate-path.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { encodePem } from '../../../src/identity/pem.ts';
import { TrustBundle } from '../../../src/identity/trust-bundle.ts';
import { issue, makeIntermediate, makeRoot, spiffeId, wholeSeconds, workload } from './authorities.ts';
import { openssl } from './openssl.ts';

const IDENTITY = spiffeId('spiffe://cluster.local/ns/shop/sa/cart');
const folder = mkdtempSync(join(tmpdir(), 'ambit-certificate-'));
after(() => rmSync(folder, { recursive: true }));

function pemFile(name: string, ...ders: readonly Uint8Array[]): string {
  const path = join(folder, name);
  writeFileSync(path, ders.map((der) => encodePem('CERTIFICATE', der)).join(''));
  return path;
}

function opensslVerify(leaf: Uint8Array, roots: Uint8Array[], above: Uint8Array[], purpose: string): string {
  const untrusted = above.length === 0 ? [] : ['-untrusted', pemFile('above.pem', ...above)];
  const trusted = ['-CAfile', pemFile('roots.pem', ...roots)];
  const strict = ['verify', '-x509_strict', '-purpose', purpose, '-no-CApath', '-no-CAstore'];
  return openssl([...strict, ...trusted, ...untrusted, pemFile('leaf.pem', leaf)]);
}

function textOf(der: Uint8Array): string {
  return openssl(['x509', '-inform', 'DER', '-noout', '-text'], der);
}

const cart = workload(IDENTITY);

test('a workload certificate verifies as client and as server under strict checks', () => {
  const root = makeRoot('root');
  const leaf = issue(root, cart);
  for (const purpose of ['sslclient', 'sslserver']) {
    assert.match(opensslVerify(leaf, [root.der], [], purpose), /leaf\.pem: OK/);
  }
});

test('a workload certificate has one critical URI name, no subject, no CA bit, both usages and a long serial', () => {
  const root = makeRoot('root');
  const text = textOf(issue(root, cart));
  assert.match(text, /Version: 3/);
  assert.match(text, /Subject: *\n/);
  assert.match(text, /Signature Algorithm: ecdsa-with-SHA256/);
  assert.match(text, /Basic Constraints: critical\s+CA:FALSE/);
  assert.match(text, /Key Usage: critical\s+Digital Signature\n/);
  assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication\n/);
  assert.match(text, /Alternative Name: critical\s+URI:spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart\n/);
  assert.match(text, /Serial Number:\s+[4-7][0-9a-f](:[0-9a-f]{2}){15}\n/);
  const rootId = /Subject Key Identifier: *\n\s+(\S+)/.exec(textOf(root.der))?.[1];
  assert.equal(/Authority Key Identifier: *\n\s+(\S+)/.exec(text)?.[1], rootId);
});

test('a root has a critical CA bit and may sign certificates and revocation lists only', () => {
  const text = textOf(makeRoot('root-1').der);
  assert.match(text, /Issuer: O ?= ?cluster\.local, CN ?= ?root-1\n/);
  assert.match(text, /Subject: O ?= ?cluster\.local, CN ?= ?root-1\n/);
  assert.match(text, /Basic Constraints: critical\s+CA:TRUE\n/);
  assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  assert.doesNotMatch(text, /Extended Key Usage/);
});

test('a server certificate is good for its DNS names and addresses, and not for clients', () => {
  const root = makeRoot('root');
  const leaf = issue(root, {
    kind: 'server',
    dnsNames: ['ambit-controlplane.ambit-system.svc', 'localhost'],
    ips: [parseIp('127.0.0.1')!, parseIp('fd00::1')!],
  });
  const path = pemFile('server.pem', leaf);
  assert.match(opensslVerify(leaf, [root.der], [], 'sslserver'), /OK/);
  assert.throws(() => opensslVerify(leaf, [root.der], [], 'sslclient'), /unsuitable certificate purpose/);
  for (const host of ['localhost', 'ambit-controlplane.ambit-system.svc']) {
    assert.match(openssl(['x509', '-in', path, '-noout', '-checkhost', host]), /does match/);
  }
  for (const ip of ['127.0.0.1', 'fd00::1']) {
    assert.match(openssl(['x509', '-in', path, '-noout', '-checkip', ip]), /does match/);
  }
  assert.match(openssl(['x509', '-in', path, '-noout', '-checkhost', 'example.com']), /does NOT match/);
});

test('keys of every supported kind sign certificates that verify', () => {
  const keys = [
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('rsa', { modulusLength: 3072 }),
  ].map((pair) => KeyPair.fromPem(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()));
  for (const key of keys) {
    const root = makeRoot('root', undefined, key);
    assert.match(opensslVerify(issue(root, cart), [root.der], [], 'sslclient'), /OK/);
  }
  assert.match(textOf(makeRoot('r', undefined, keys[0]).der), /ecdsa-with-SHA384/);
  assert.match(textOf(makeRoot('r', undefined, keys[1]).der), /sha256WithRSAEncryption/);
});

test('an issuer certificate made by OpenSSL, RSA with a printable subject, signs workloads', () => {
  const keyPath = join(folder, 'rsa.pem');
  const conf = join(folder, 'ca.cnf');
  writeFileSync(keyPath, openssl(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']));
  writeFileSync(
    conf,
    '[req]\nstring_mask=pkix\ndistinguished_name=d\nx509_extensions=e\nprompt=no\n[d]\nC=DE\nO=Example\n' +
      '[e]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
  );
  const args = ['req', '-x509', '-new', '-key', keyPath, '-config', conf, '-days', '10', '-outform', 'DER'];
  const der = openssl(args, '', 'buffer');
  const key = KeyPair.fromPem(openssl(['pkey', '-in', keyPath]));
  const leaf = issue({ issuer: issuerOf(der, key), der }, cart);
  assert.match(opensslVerify(leaf, [der], [], 'sslclient'), /OK/);
});

test('times are kept to the second, also beyond the year 2049', () => {
  const root = makeRoot('root');
  const notBeforeMs = wholeSeconds();
  const notAfterMs = Date.UTC(2061, 4, 6, 7, 8, 9);
  const der = issueCertificate(root.issuer, {
    profile: cart,
    publicKeyDer: KeyPair.generate().publicKeyDer,
    notBeforeMs,
    notAfterMs,
  });
  const info = inspectCertificate(der);
  assert.equal(info.notBeforeMs, notBeforeMs);
  assert.equal(info.notAfterMs, notAfterMs);
});

test('inspection tells subject, identity, serial number and validity', () => {
  const root = makeRoot('root-1');
  const leaf = issue(root, cart);
  const info = inspectCertificate(leaf);
  assert.deepEqual(info.spiffeId, IDENTITY);
  assert.equal(info.subject, '');
  const hex = /serial=([0-9A-F]+)/.exec(openssl(['x509', '-inform', 'DER', '-noout', '-serial'], leaf))![1];
  assert.equal(info.serialNumber, BigInt(`0x${hex}`).toString());
  assert.equal(inspectCertificate(root.der).subject, 'O=cluster.local, CN=root-1');
  assert.equal(inspectCertificate(root.der).spiffeId, undefined);
  assert.throws(
    () => inspectCertificate(Buffer.from('no certificate')),
    (thrown) => thrown instanceof AmbitError && thrown.code === 'AMBIT_CERTIFICATE_MALFORMED',
  );
});

test('a path to a root is found through intermediates in any order, and judged as OpenSSL judges it', () => {
  const root = makeRoot('root');
  const upper = makeIntermediate(root, 'upper', 1);
  const lower = makeIntermediate(upper, 'lower', 0);
  const leaf = issue(lower, cart);
  const x509 = (...ders: Uint8Array[]) => ders.map((der) => inspectCertificate(der).x509);
  const other = makeRoot('other');
  const path = findPathToRoot(
    x509(leaf)[0]!,
    x509(other.der, upper.der, lower.der),
    x509(other.der, root.der),
  );
  assert.deepEqual(
    path?.map((one) => one.subject.split('\n').at(-1)),
    ['CN=lower', 'CN=upper', 'CN=root'],
  );
  assert.match(opensslVerify(leaf, [root.der], [lower.der, upper.der], 'sslclient'), /OK/);
  assert.equal(findPathToRoot(x509(leaf)[0]!, x509(lower.der), x509(root.der)), undefined);
  assert.equal(findPathToRoot(x509(leaf)[0]!, x509(lower.der, upper.der), x509(other.der)), undefined);
});

test('an intermediate beyond the path length of its issuer leads nowhere, as with OpenSSL', () => {
  const root = makeRoot('root', 0);
  const lower = makeIntermediate(root, 'lower');
  const leaf = issue(lower, cart);
  const [leafX509, lowerX509, rootX509] = [leaf, lower.der, root.der].map(
    (der) => inspectCertificate(der).x509,
  );
  assert.equal(findPathToRoot(leafX509!, [lowerX509!], [rootX509!]), undefined);
  assert.throws(() => opensslVerify(leaf, [root.der], [lower.der], 'sslclient'), /path length constraint/);
});

test('a certificate without CA bit is no issuer, whatever it signed', () => {
  const root = makeRoot('root');
  const key = KeyPair.generate();
  const middle = issue(root, cart, key);
  const leaf = issue({ issuer: issuerOf(middle, key), der: middle }, cart);
  const [leafX509, middleX509, rootX509] = [leaf, middle, root.der].map(
    (der) => inspectCertificate(der).x509,
  );
  assert.equal(findPathToRoot(leafX509!, [middleX509!], [rootX509!]), undefined);
});

test('a root with the name of another but its own key does not verify what the other signed', () => {
  const root = makeRoot('same');
  const impostor = makeRoot('same');
  const leaf = inspectCertificate(issue(root, cart)).x509;
  assert.equal(findPathToRoot(leaf, [], [inspectCertificate(impostor.der).x509]), undefined);
});

test('a trust bundle holds each root once and is compared by content', () => {
  const [a, b] = [makeRoot('a'), makeRoot('b')].map((root) => encodePem('CERTIFICATE', root.der));
  const bundle = TrustBundle.fromPem(`# roots\n${a}${b}${a}`);
  assert.equal(bundle.roots.length, 2);
  assert.ok(bundle.equals(TrustBundle.fromPem(b! + a!)));
  assert.ok(!bundle.equals(TrustBundle.fromPem(a!)));
  assert.ok(!bundle.equals(undefined));
  assert.equal(TrustBundle.fromPem(bundle.pem).pem, bundle.pem);
  for (const wrong of ['', 'hello', a!.slice(0, 100)])
    assert.throws(() => TrustBundle.fromPem(wrong), AmbitError);
});

test('the private key that OpenSSL gets is the one the certificate is for', () => {
  const key = KeyPair.generate();
  const leaf = issue(makeRoot('root'), cart, key);
  assert.ok(inspectCertificate(leaf).x509.checkPrivateKey(createPrivateKey(key.exportPkcs8Pem())));
});
