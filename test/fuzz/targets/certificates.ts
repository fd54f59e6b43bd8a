/** Certificates: PEM, DER, requests for certificates, revocation lists. */

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  basicConstraints,
  readCertificateFields,
  subjectKeyIdentifier,
} from '../../../src/identity/certificate-fields.ts';
import { inspectCertificate } from '../../../src/identity/certificate-info.ts';
import { findPathToRoot } from '../../../src/identity/certificate-path.ts';
import { readCertificateRequest } from '../../../src/identity/certificate-request-reader.ts';
import { encodeDer } from '../../../src/identity/der-writer.ts';
import { KeyPair } from '../../../src/identity/key-pair.ts';
import { decodePem, encodePem } from '../../../src/identity/pem.ts';
import { RevocationList } from '../../../src/identity/revocation-list.ts';
import { encodeAlgorithm } from '../../../src/identity/x509-writer.ts';
import { documented, type FuzzTarget, magnitude, textTarget } from '../fuzz-target.ts';

const read = (name: string): string => readFileSync(join(import.meta.dirname, '..', 'seeds', name), 'utf8');
const CHAIN = read('chain.pem');
const REQUEST = read('request.pem');
const REVOCATIONS = read('revocations.pem');
const DER = decodePem(CHAIN).map(({ der }) => der);
/** The chain without its leaf. */
const ISSUERS = DER.slice(1).map((der) => new X509Certificate(der));
const NOW_MS = 1_800_000_000_000;

export const pemTarget = textTarget({
  name: 'pem',
  seeds: () => [CHAIN, REQUEST, REVOCATIONS],
  words: [
    '-----BEGIN CERTIFICATE-----\n',
    '-----END CERTIFICATE-----\n',
    '=',
    '\r\n',
    'Proc-Type: 4,ENCRYPTED\n',
    '-----',
  ],
  run: (text) =>
    documented(() => {
      const blocks = decodePem(text);
      for (const { label, der } of blocks)
        assert.deepEqual(decodePem(encodePem(label, der)), [{ label, der }]);
      return `${blocks.length} ${magnitude(blocks[0]?.der.length ?? 0)}`;
    }),
});

/** Whoever reads a certificate reads the same: OpenSSL, and our own reader. */
export const certificateTarget: FuzzTarget = {
  name: 'certificates',
  seeds: () => DER,
  words: ['\x30\x82', '\x06\x03\x55\x1d\x11', '\x86\x01', 'spiffe://', '\xa3', '\x02\x81'],
  run: (input) => {
    const known = documented(() => {
      const info = inspectCertificate(input);
      const names = new X509Certificate(input).subjectAltName?.match(/URI:/g)?.length ?? 0;
      assert.ok(info.uris.length <= names, `${info.uris.length} URI names, OpenSSL knows ${names}`);
      return `${info.uris.length} ${info.otherNames} ${info.spiffeId !== undefined}`;
    });
    const fields = documented(() => {
      const found = readCertificateFields(input);
      const { isAuthority, pathLength } = basicConstraints(found);
      return `${isAuthority} ${pathLength !== undefined} ${subjectKeyIdentifier(found) !== undefined}`;
    });
    const path = documented(() => {
      const { x509 } = inspectCertificate(input);
      return String(findPathToRoot(x509, ISSUERS, ISSUERS.slice(-1))?.length);
    });
    return `${known} ${fields} ${path}`;
  },
};

/** The request itself, without its armour: that has a target of its own. */
export const requestTarget: FuzzTarget = {
  name: 'certificate-requests',
  seeds: () => decodePem(REQUEST).map(({ der }) => der),
  words: ['\x30\x82', '\x06\x03\x55\x1d\x11', 'spiffe://', '\xa0', '\x31', '\x03\x42\x00\x04'],
  run: (input) =>
    documented(() => {
      const { identity } = readCertificateRequest(encodePem('CERTIFICATE REQUEST', input));
      return String(identity !== undefined);
    }),
};

const key = KeyPair.generate();
/** The tag that attributes of a request begin with (RFC 2986 §4.1). */
const ATTRIBUTES_TAG = 0xa0;

function element(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  const long = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  const size = length < 0x80 ? [length] : long;
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** What somebody wishes for who signs it: behind the signature lie readers that no other request reaches. */
export const signedRequestTarget: FuzzTarget = {
  name: 'signed-requests',
  // What follows the public key.
  seeds: () => {
    const request = Buffer.from(decodePem(REQUEST)[0]!.der);
    const attributes = request.subarray(
      request.indexOf(ATTRIBUTES_TAG, request.indexOf('03420004', 'hex') + 68),
    );
    return [attributes.subarray(0, 2 + attributes[1]!), Buffer.alloc(0)];
  },
  words: ['\x30\x82', '\x06\x03\x55\x1d\x11', 'spiffe://a/ns/b/sa/c', '\x86\x01', '\x31', '\x01\x01\xff'],
  run: (input) =>
    documented(() => {
      const begin = [element(2, Buffer.alloc(1)), element(0x30), key.publicKeyDer];
      const info = element(0x30, ...begin, input);
      const algorithm = encodeDer(encodeAlgorithm(key.algorithm));
      const der = element(0x30, info, algorithm, element(3, Buffer.alloc(1), key.sign(info)));
      const { identity } = readCertificateRequest(encodePem('CERTIFICATE REQUEST', der));
      return String(identity !== undefined);
    }),
};

export const revocationTarget: FuzzTarget = {
  name: 'revocation-lists',
  seeds: () => decodePem(REVOCATIONS).map(({ der }) => der),
  words: ['\x30\x82', '\x06\x03\x55\x1d\x14', '\x17\x0d', '\x02\x14', '\xa0', '-----BEGIN X509 CRL-----'],
  run: (input) =>
    documented(() => {
      const list = RevocationList.parse(input);
      return `${magnitude(list.size)} ${list.findRevoked(DER, NOW_MS) !== undefined}`;
    }),
};
