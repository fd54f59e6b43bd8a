/** Finds the way from a certificate up to a trusted root, the way a TLS peer will have to. */

import type { X509Certificate } from 'node:crypto';
import { basicConstraints, readCertificateFields } from './certificate-fields.ts';

/** Certificates between a leaf and its root at most. */
const MAX_INTERMEDIATES = 8;

/**
 * The issuers of `certificate` in order, the last one a root; undefined when no such chain exists. Names, key
 * identifiers, signatures, CA bits, key usage and path lengths are checked; validity in time is the caller's question.
 */
export function findPathToRoot(
  certificate: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate[] | undefined {
  return climb(certificate, intermediates, roots, 0);
}

function climb(
  certificate: X509Certificate,
  intermediates: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  below: number,
): X509Certificate[] | undefined {
  const root = roots.find((candidate) => isIssuer(candidate, certificate, below));
  if (root !== undefined) return [root];
  if (below >= MAX_INTERMEDIATES) return undefined;
  for (const candidate of intermediates) {
    if (!isIssuer(candidate, certificate, below)) continue;
    const others = intermediates.filter((one) => one !== candidate);
    const rest = climb(candidate, others, roots, below + 1);
    if (rest !== undefined) return [candidate, ...rest];
  }
  return undefined;
}

/** `below`: how many intermediates lie between the candidate and the leaf (RFC 5280 §4.2.1.9). */
function isIssuer(candidate: X509Certificate, certificate: X509Certificate, below: number): boolean {
  if (!candidate.ca || !certificate.checkIssued(candidate)) return false;
  const { pathLength } = basicConstraints(readCertificateFields(candidate.raw));
  if (pathLength !== undefined && pathLength < below) return false;
  return certificate.verify(candidate.publicKey);
}
