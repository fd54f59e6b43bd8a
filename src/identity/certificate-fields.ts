/** The fields of a certificate that decide who it is for and who signed it, read straight from its bytes. */

import { contextTag, DerReader, TAG } from './der-reader.ts';
import { type Extension, findExtension, readExtensions } from './extensions.ts';
import { OID } from './object-identifiers.ts';

const VERSION_TAG = contextTag(0, 'constructed');
const ISSUER_ID_TAG = contextTag(1, 'primitive');
const SUBJECT_ID_TAG = contextTag(2, 'primitive');
const EXTENSIONS_TAG = contextTag(3, 'constructed');

export interface CertificateFields {
  /** Content octets of the integer. */
  readonly serialNumber: Uint8Array;
  /** Names as whole DER elements: equal names have equal bytes, as in every TLS library. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** SubjectPublicKeyInfo in DER. */
  readonly publicKeyDer: Uint8Array;
  readonly extensions: readonly Extension[];
}

export interface BasicConstraints {
  readonly isAuthority: boolean;
  /** How many intermediates may follow below; undefined is any number. */
  readonly pathLength: number | undefined;
}

/**
 * Reads TBSCertificate (RFC 5280 §4.1) of a certificate whose signature somebody else checks. Nothing is copied: the
 * results point into `der`. Throws AMBIT_DER_MALFORMED.
 */
export function readCertificateFields(der: Uint8Array): CertificateFields {
  const outer = new DerReader(der);
  const tbs = outer.enter(TAG.sequence).enter(TAG.sequence);
  outer.finish();
  tbs.skipIf(VERSION_TAG);
  const serialNumber = tbs.integer();
  tbs.skip(TAG.sequence);
  const issuer = tbs.element(TAG.sequence);
  tbs.skip(TAG.sequence);
  const subject = tbs.element(TAG.sequence);
  const publicKeyDer = tbs.element(TAG.sequence);
  tbs.skipIf(ISSUER_ID_TAG);
  tbs.skipIf(SUBJECT_ID_TAG);
  const extensions = tbs.atEnd ? [] : readExtensions(tbs.enter(EXTENSIONS_TAG));
  tbs.finish();
  return { serialNumber, issuer, subject, publicKeyDer, extensions };
}

/** RFC 5280 §4.2.1.9; a certificate without the extension is nobody's issuer. */
export function basicConstraints(fields: CertificateFields): BasicConstraints {
  const extension = findExtension(fields.extensions, OID.basicConstraints);
  if (extension === undefined) return { isAuthority: false, pathLength: undefined };
  const content = new DerReader(extension.value).enter(TAG.sequence);
  const isAuthority = content.nextTag === TAG.boolean && content.boolean();
  const pathLength = content.nextTag === TAG.integer ? content.smallInteger() : undefined;
  content.finish();
  return { isAuthority, pathLength };
}

/** The subject key identifier, which issued certificates point to; undefined when the certificate has none. */
export function subjectKeyIdentifier(fields: CertificateFields): Uint8Array | undefined {
  const extension = findExtension(fields.extensions, OID.subjectKeyIdentifier);
  return extension && new DerReader(extension.value).content(TAG.octetString);
}
