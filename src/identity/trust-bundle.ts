/** The set of roots that peers are verified against. */

import { type CertificateInfo, inspectCertificate } from './certificate-info.ts';
import { identityErrors } from './errors.ts';
import { decodeCertificates } from './pem.ts';

/** Roots in one bundle at most; every handshake searches them. */
const MAX_ROOTS = 64;
/** Characters of PEM at most. */
const MAX_BUNDLE_LENGTH = 1024 * 1024;

/** Immutable; two bundles are compared by what they contain, not by how it was written down. */
export class TrustBundle {
  readonly roots: readonly CertificateInfo[];
  /** All roots in PEM, each once. */
  readonly pem: string;

  private constructor(roots: readonly CertificateInfo[]) {
    this.roots = roots;
    this.pem = roots.map((root) => root.pem).join('');
  }

  /** Throws AMBIT_PEM_MALFORMED or AMBIT_CERTIFICATE_MALFORMED, also when there is no root in it or too many. */
  static fromPem(text: string): TrustBundle {
    if (text.length > MAX_BUNDLE_LENGTH) throw refused(`longer than ${MAX_BUNDLE_LENGTH} characters`);
    const byPem = new Map<string, CertificateInfo>();
    for (const der of decodeCertificates(text)) {
      const root = inspectCertificate(der);
      byPem.set(root.pem, root);
    }
    if (byPem.size === 0) throw refused('empty');
    if (byPem.size > MAX_ROOTS) throw refused(`of more than ${MAX_ROOTS} roots`);
    return new TrustBundle([...byPem.values()]);
  }

  equals(other: TrustBundle | undefined): boolean {
    if (other?.roots.length !== this.roots.length) return false;
    return this.roots.every((root) => other.roots.some((one) => one.pem === root.pem));
  }
}

function refused(what: string): Error {
  return identityErrors.AMBIT_CERTIFICATE_MALFORMED(`the trust bundle is ${what}`);
}
