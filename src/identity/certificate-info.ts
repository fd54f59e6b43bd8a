/** What people and programs want to know of a certificate, as OpenSSL reads it. */

import { X509Certificate } from 'node:crypto';
import { AmbitError } from '../base/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { readCertificateFields } from './certificate-fields.ts';
import { identityErrors } from './errors.ts';
import { type SubjectAlternativeNames, subjectAlternativeNamesOf } from './subject-alternative-names.ts';

export interface CertificateInfo {
  readonly x509: X509Certificate;
  readonly pem: string;
  /** One line, as `O=cluster.local, CN=…`; empty for a workload. */
  readonly subject: string;
  /** All URI names. */
  readonly uris: readonly string[];
  /** Names that are no URI. */
  readonly otherNames: number;
  /** The identity, when there is exactly one URI name and it is a SPIFFE ID of the mesh. */
  readonly spiffeId: SpiffeId | undefined;
  /** Decimal, as istioctl prints it. */
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Throws AMBIT_CERTIFICATE_MALFORMED when OpenSSL or the strict reader cannot read it. */
export function inspectCertificate(der: Uint8Array): CertificateInfo {
  const x509 = parseX509(der);
  const { serialNumber, uris, otherNames } = readStrictly(der);
  return {
    x509,
    pem: x509.toString(),
    subject: (x509.subject ?? '').replaceAll('\n', ', '),
    uris,
    otherNames,
    spiffeId: uris.length === 1 ? parseSpiffeId(uris[0]!) : undefined,
    serialNumber: decimal(serialNumber),
    notBeforeMs: x509.validFromDate.getTime(),
    notAfterMs: x509.validToDate.getTime(),
  };
}

function parseX509(der: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch (cause) {
    throw identityErrors.AMBIT_CERTIFICATE_MALFORMED('a certificate cannot be read', cause);
  }
}

function readStrictly(der: Uint8Array): SubjectAlternativeNames & { readonly serialNumber: Uint8Array } {
  try {
    const { serialNumber, extensions } = readCertificateFields(der);
    return { serialNumber, ...subjectAlternativeNamesOf(extensions) };
  } catch (thrown) {
    if (!(thrown instanceof AmbitError)) throw thrown;
    throw identityErrors.AMBIT_CERTIFICATE_MALFORMED(
      `a certificate cannot be read: ${thrown.message}`,
      thrown,
    );
  }
}

/** The octets are a number in two's complement: negative serial numbers are forbidden, and exist. */
function decimal(octets: Uint8Array): string {
  const unsigned = BigInt(`0x${Buffer.from(octets).toString('hex')}`);
  return BigInt.asIntN(octets.length * 8, unsigned).toString();
}
