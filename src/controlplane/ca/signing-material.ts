/** A key that signs workload certificates, with everything that has to go along with what it signs. */

import { AmbitError } from '../../base/errors.ts';
import { type Issuer, issueCertificate, issuerOf } from '../../identity/certificate.ts';
import { type CertificateInfo, inspectCertificate } from '../../identity/certificate-info.ts';
import { findPathToRoot } from '../../identity/certificate-path.ts';
import { KeyPair } from '../../identity/key-pair.ts';
import { decodeCertificates } from '../../identity/pem.ts';
import { TrustBundle } from '../../identity/trust-bundle.ts';
import { caErrors } from './errors.ts';

/** A key and the certificate for it, both in PEM. */
export interface StoredSigner {
  readonly keyPem: string;
  readonly certificatePem: string;
}

export interface SigningMaterial {
  readonly issuer: Issuer;
  /** What lies between a leaf and its root, in PEM, the signer first; empty when a root signs. */
  readonly intermediatePems: readonly string[];
  readonly trustBundle: TrustBundle;
  /** When the first certificate of the chain above a leaf expires; no leaf may outlive it. */
  readonly expiresMs: number;
}

/** Where the present signing material comes from, and how a change of it becomes known. */
export interface SigningSource {
  readonly material: SigningMaterial;
  /** Takes note of the life of a certificate before it is handed out, for sources that plan by it; never rejects. */
  noteIssued(notAfterMs: number): Promise<void>;
  /** Returns how to stop. */
  onChange(listener: (material: SigningMaterial) => void): () => void;
  close(): void;
}

/**
 * Checks that the parts belong together by the one test that counts: a certificate signed with them must lead to one
 * of the roots, through `chainPem` where need be. Throws AMBIT_CA_FILES_INVALID.
 */
export function makeSigningMaterial(
  signer: StoredSigner,
  chainPem: string,
  rootsPem: string,
): SigningMaterial {
  try {
    const certificate = onlyCertificate(signer.certificatePem);
    const issuer = issuerOf(certificate.x509.raw, KeyPair.fromPem(signer.keyPem));
    const trustBundle = TrustBundle.fromPem(rootsPem);
    const candidates = [certificate, ...decodeCertificates(chainPem).map(inspectCertificate)];
    const path = findPathToRoot(
      inspectCertificate(issueProbe(issuer)).x509,
      candidates.map((one) => one.x509),
      trustBundle.roots.map((one) => one.x509),
    );
    if (path === undefined)
      throw invalid('what the CA key signs cannot be verified with the CA certificate and roots');
    return {
      issuer,
      intermediatePems: path.slice(0, -1).map((one) => one.toString()),
      trustBundle,
      expiresMs: Math.min(...path.map((one) => one.validToDate.getTime())),
    };
  } catch (thrown) {
    if (!(thrown instanceof AmbitError) || thrown.code === 'AMBIT_CA_FILES_INVALID') throw thrown;
    throw invalid(thrown.message, thrown);
  }
}

/** The first one counts: tools put the certificates above it behind it. */
function onlyCertificate(pem: string): CertificateInfo {
  const [first] = decodeCertificates(pem);
  if (first === undefined) throw invalid('the CA certificate is empty');
  return inspectCertificate(first);
}

/** A certificate for a key that nobody holds any more; it never leaves this function's caller. */
function issueProbe(issuer: Issuer): Uint8Array {
  const { publicKeyDer } = KeyPair.generate();
  const profile = { kind: 'server', dnsNames: ['probe.invalid'], ips: [] } as const;
  return issueCertificate(issuer, { profile, publicKeyDer, notBeforeMs: 0, notAfterMs: 0 });
}

function invalid(why: string, cause?: unknown): AmbitError {
  return caErrors.AMBIT_CA_FILES_INVALID(
    `the signing key and certificates of the CA are not usable: ${why}`,
    cause,
  );
}
