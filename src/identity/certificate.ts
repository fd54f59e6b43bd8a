/** Issues X.509 certificates of the three kinds the mesh has: workload, server and authority. */

import { createHash, randomBytes } from 'node:crypto';
import type { IpAddress } from '../base/ip.ts';
import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { readCertificateFields, subjectKeyIdentifier } from './certificate-fields.ts';
import { DerReader, TAG } from './der-reader.ts';
import {
  bitString,
  booleanTrue,
  contextConstructed,
  contextPrimitive,
  type DerValue,
  encodeDer,
  encoded,
  integer,
  octetString,
  oid,
  sequence,
  set,
  time,
  utf8String,
} from './der-writer.ts';
import type { KeyPair } from './key-pair.ts';
import { OID } from './object-identifiers.ts';
import { encodeAlgorithm, encodeExtension, encodeServerNames, encodeUriName } from './x509-writer.ts';

/** Octets of a serial number: 126 random bits, where CA/Browser Forum rules ask for 64 and RFC 5280 allows 159. */
const SERIAL_OCTETS = 16;
const KEY_IDENTIFIER_OCTETS = 20;
const VERSION_3 = Uint8Array.of(2);

/** What a certificate is for; it decides names, CA bit, key usage and extended key usage. */
export type CertificateProfile =
  | { readonly kind: 'workload'; readonly identity: SpiffeId }
  | { readonly kind: 'server'; readonly dnsNames: readonly string[]; readonly ips: readonly IpAddress[] }
  | {
      readonly kind: 'authority';
      readonly organization: string;
      readonly commonName: string;
      /** Intermediates that may follow below; undefined sets no limit. */
      readonly pathLength?: number;
    };

export interface CertificateOrder {
  readonly profile: CertificateProfile;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Uint8Array;
  /** Whole seconds are kept of both. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** A key that signs, and how the certificates it signs point to it. */
export interface Issuer {
  readonly key: KeyPair;
  /** The Name in DER, byte for byte as in the issuer's own certificate. */
  readonly name: Uint8Array;
  readonly keyIdentifier: Uint8Array | undefined;
}

/** The issuer that a CA certificate and its key make. Throws AMBIT_DER_MALFORMED. */
export function issuerOf(certificateDer: Uint8Array, key: KeyPair): Issuer {
  const fields = readCertificateFields(certificateDer);
  return { key, name: fields.subject, keyIdentifier: subjectKeyIdentifier(fields) };
}

/** A certificate in DER, signed by `issuer`. */
export function issueCertificate(issuer: Issuer, order: CertificateOrder): Uint8Array {
  const algorithm = encodeAlgorithm(issuer.key.algorithm);
  const body = sequence(
    contextConstructed(0, integer(VERSION_3)),
    integer(randomSerial()),
    algorithm,
    encoded(issuer.name),
    sequence(time(order.notBeforeMs), time(order.notAfterMs)),
    subjectOf(order.profile),
    encoded(order.publicKeyDer),
    contextConstructed(3, sequence(...extensionsOf(issuer, order))),
  );
  const signature = issuer.key.sign(encodeDer(body));
  return encodeDer(sequence(body, algorithm, bitString(signature)));
}

/** A certificate in DER that an authority signs for itself: a root. */
export function issueRootCertificate(
  key: KeyPair,
  order: Omit<CertificateOrder, 'publicKeyDer'>,
): Uint8Array {
  const name = encodeDer(subjectOf(order.profile));
  const keyIdentifier = keyIdentifierOf(key.publicKeyDer);
  return issueCertificate({ key, name, keyIdentifier }, { ...order, publicKeyDer: key.publicKeyDer });
}

/** The top bit is clear, as serial numbers are positive, and the next one set, so that no octet is lost. */
function randomSerial(): Uint8Array {
  const octets = randomBytes(SERIAL_OCTETS);
  octets[0] = (octets[0]! & 0x3f) | 0x40;
  return octets;
}

/** Empty except for authorities: workloads and servers are known by their alternative names alone. */
function subjectOf(profile: CertificateProfile): DerValue {
  if (profile.kind !== 'authority') return sequence();
  return sequence(
    set(sequence(oid(OID.organizationName), utf8String(profile.organization))),
    set(sequence(oid(OID.commonName), utf8String(profile.commonName))),
  );
}

function extensionsOf(issuer: Issuer, order: CertificateOrder): DerValue[] {
  const { profile } = order;
  const own = octetString(keyIdentifierOf(order.publicKeyDer));
  const extensions = [
    encodeExtension(OID.basicConstraints, constraintsOf(profile), 'critical'),
    encodeExtension(OID.keyUsage, keyUsageOf(profile), 'critical'),
    encodeExtension(OID.subjectKeyIdentifier, own, 'optional'),
  ];
  if (issuer.keyIdentifier !== undefined) {
    const pointer = sequence(contextPrimitive(0, issuer.keyIdentifier));
    extensions.push(encodeExtension(OID.authorityKeyIdentifier, pointer, 'optional'));
  }
  if (profile.kind === 'authority') return extensions;
  const purposes = profile.kind === 'workload' ? [OID.serverAuth, OID.clientAuth] : [OID.serverAuth];
  extensions.push(encodeExtension(OID.extKeyUsage, sequence(...purposes.map(oid)), 'optional'));
  // RFC 5280 §4.2.1.6: critical where the subject is empty.
  extensions.push(encodeExtension(OID.subjectAltName, namesOf(profile), 'critical'));
  return extensions;
}

function constraintsOf(profile: CertificateProfile): DerValue {
  if (profile.kind !== 'authority') return sequence();
  const { pathLength } = profile;
  return sequence(booleanTrue(), pathLength === undefined ? undefined : integer(Uint8Array.of(pathLength)));
}

/** RFC 5280 §4.2.1.3: keyCertSign and cRLSign are bits 5 and 6, digitalSignature is bit 0. */
function keyUsageOf(profile: CertificateProfile): DerValue {
  return profile.kind === 'authority' ? bitString(Uint8Array.of(0x06), 1) : bitString(Uint8Array.of(0x80), 7);
}

function namesOf(profile: Exclude<CertificateProfile, { kind: 'authority' }>): DerValue {
  if (profile.kind === 'workload') return encodeUriName(formatSpiffeId(profile.identity));
  return encodeServerNames(profile.dnsNames, profile.ips);
}

/** RFC 7093 §2 method 1: the first 160 bits of the SHA-256 of the public key's bits. */
function keyIdentifierOf(publicKeyDer: Uint8Array): Uint8Array {
  const info = new DerReader(publicKeyDer).enter(TAG.sequence);
  info.skip(TAG.sequence);
  return createHash('sha256').update(info.bitString()).digest().subarray(0, KEY_IDENTIFIER_OCTETS);
}
