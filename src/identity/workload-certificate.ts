/** A workload's certificate as the proxies use it, and the check that a CA's answer may become one. */

import { AmbitError } from '../base/errors.ts';
import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { type CertificateInfo, inspectCertificate } from './certificate-info.ts';
import { findPathToRoot } from './certificate-path.ts';
import { identityErrors } from './errors.ts';
import type { KeyPair } from './key-pair.ts';
import { decodeCertificates } from './pem.ts';
import { TrustBundle } from './trust-bundle.ts';

/** Certificates of an answer's chain at most, roots not counted. */
const MAX_CHAIN_LENGTH = 16;
/** Characters of an answer's chain at most, roots not counted; a certificate has about 1,000. */
const MAX_CHAIN_TEXT = 256 * 1024;

/** Everything a TLS context needs; immutable, replaced as a whole. */
export interface WorkloadCertificate {
  readonly identity: SpiffeId;
  readonly key: KeyPair;
  readonly leaf: CertificateInfo;
  readonly intermediates: readonly CertificateInfo[];
  /** What peers are verified against. */
  readonly trustBundle: TrustBundle;
}

/** The same as texts, for an OpenSSL context in this or another thread of the process. It holds the private key. */
export interface TlsMaterial {
  /** The leaf, then the intermediates. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  readonly trustedRootsPem: string;
}

export function tlsMaterialOf(certificate: WorkloadCertificate): TlsMaterial {
  const chain = [certificate.leaf, ...certificate.intermediates];
  return {
    certificateChainPem: chain.map((one) => one.pem).join(''),
    privateKeyPem: certificate.key.exportPkcs8Pem(),
    trustedRootsPem: certificate.trustBundle.pem,
  };
}

/** Whether a peer that trusts `bundle` can verify the certificate. */
export function isVerifiableWith(
  certificate: Pick<WorkloadCertificate, 'leaf' | 'intermediates'>,
  bundle: TrustBundle,
): boolean {
  const x509Of = (infos: readonly CertificateInfo[]) => infos.map((info) => info.x509);
  const { leaf, intermediates } = certificate;
  return findPathToRoot(leaf.x509, x509Of(intermediates), x509Of(bundle.roots)) !== undefined;
}

/**
 * Takes a CA's answer: PEM texts, the first one the leaf, the last one the roots, intermediates between (any text may
 * hold several certificates). Throws AMBIT_CERTIFICATE_REFUSED unless the leaf is for exactly this identity and this
 * key, is no CA, has not expired, and can be verified with the roots that came along.
 */
export function takeIssuedCertificate(
  answer: readonly string[],
  wanted: { readonly identity: SpiffeId; readonly key: KeyPair; readonly nowMs: number },
): WorkloadCertificate {
  const { leaf, intermediates, trustBundle } = readAnswer(answer);
  const objection = objectionTo(leaf, wanted);
  if (objection !== undefined) throw refused(objection);
  if (!isVerifiableWith({ leaf, intermediates }, trustBundle)) {
    throw refused(`it cannot be verified with the ${trustBundle.roots.length} roots that came with it`);
  }
  return { identity: wanted.identity, key: wanted.key, leaf, intermediates, trustBundle };
}

function objectionTo(
  leaf: CertificateInfo,
  wanted: { readonly identity: SpiffeId; readonly key: KeyPair; readonly nowMs: number },
): string | undefined {
  const name = formatSpiffeId(wanted.identity);
  if (leaf.uris.length !== 1 || leaf.uris[0] !== name)
    return `it is for "${leaf.uris.join(' ')}" and not for ${name}`;
  const publicKey = leaf.x509.publicKey.export({ type: 'spki', format: 'der' });
  if (!publicKey.equals(wanted.key.publicKeyDer)) return 'it is for another key';
  if (leaf.x509.ca) return 'it is a CA certificate';
  if (!(leaf.notAfterMs > wanted.nowMs)) return `it expired at ${leaf.x509.validTo}`;
  return undefined;
}

function readAnswer(
  answer: readonly string[],
): Pick<WorkloadCertificate, 'leaf' | 'intermediates' | 'trustBundle'> {
  if (answer.length < 2) throw refused('it came without roots');
  const text = answer.slice(0, -1).join('\n');
  if (text.length > MAX_CHAIN_TEXT) throw refused(`its chain is longer than ${MAX_CHAIN_TEXT} characters`);
  try {
    const [leaf, ...intermediates] = decodeCertificates(text).map(inspectCertificate);
    if (leaf === undefined) throw refused('the answer holds no certificate');
    if (intermediates.length >= MAX_CHAIN_LENGTH)
      throw refused(`more than ${MAX_CHAIN_LENGTH} certificates came`);
    return { leaf, intermediates, trustBundle: TrustBundle.fromPem(answer.at(-1)!) };
  } catch (thrown) {
    if (!(thrown instanceof AmbitError) || thrown.code === 'AMBIT_CERTIFICATE_REFUSED') throw thrown;
    throw refused(thrown.message, thrown);
  }
}

function refused(why: string, cause?: unknown): AmbitError {
  return identityErrors.AMBIT_CERTIFICATE_REFUSED(`the certificate from the CA is not usable: ${why}`, cause);
}
