/** The object identifiers of X.509 that the mesh uses, in the form that comparing them takes: their content octets. */

import asn1 from 'node-forge/lib/asn1.js';
import names from 'node-forge/lib/oids.js';

/** Content octets of an object identifier, one character per octet. */
function octetsOf(dotted: string): string {
  return asn1.oidToDer(dotted).getBytes();
}

export const OID = {
  organizationName: octetsOf(names.organizationName!),
  commonName: octetsOf(names.commonName!),
  extensionRequest: octetsOf(names.extensionRequest!),
  subjectKeyIdentifier: octetsOf(names.subjectKeyIdentifier!),
  authorityKeyIdentifier: octetsOf(names.authorityKeyIdentifier!),
  keyUsage: octetsOf(names.keyUsage!),
  extKeyUsage: octetsOf(names.extKeyUsage!),
  basicConstraints: octetsOf(names.basicConstraints!),
  subjectAltName: octetsOf(names.subjectAltName!),
  serverAuth: octetsOf(names.serverAuth!),
  clientAuth: octetsOf(names.clientAuth!),
  sha256WithRsa: octetsOf(names.sha256WithRSAEncryption!),
  sha384WithRsa: octetsOf(names.sha384WithRSAEncryption!),
  sha512WithRsa: octetsOf(names.sha512WithRSAEncryption!),
  /** RFC 5758 §3.2; node-forge has no name for the ECDSA algorithms. */
  ecdsaWithSha256: octetsOf('1.2.840.10045.4.3.2'),
  ecdsaWithSha384: octetsOf('1.2.840.10045.4.3.3'),
  ecdsaWithSha512: octetsOf('1.2.840.10045.4.3.4'),
  /** RFC 5280 §5.2.5. */
  issuingDistributionPoint: octetsOf('2.5.29.28'),
} as const;
