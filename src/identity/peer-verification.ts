/** Decides from a peer's verified certificate chain who the peer is, and whether it may be that at all. */

import { AmbitError } from '../base/errors.ts';
import { formatSpiffeId, parseSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { basicConstraints, type CertificateFields, readCertificateFields } from './certificate-fields.ts';
import { identityErrors } from './errors.ts';
import type { RevocationList } from './revocation-list.ts';
import { subjectAlternativeNamesOf } from './subject-alternative-names.ts';

/** Identities written into an error message at most. */
const MAX_LISTED = 8;
/** Characters of a peer's text that go into a message. */
const MAX_SHOWN = 200;

/** What came out of looking at a peer; an error is returned and not thrown, as this runs inside event handlers. */
export type PeerVerdict =
  | { readonly kind: 'accepted'; readonly identity: SpiffeId }
  | { readonly kind: 'refused'; readonly error: AmbitError };

/** The revocation lists to apply and the present time. */
export interface RevocationCheck {
  readonly list: RevocationList;
  readonly nowMs: number;
}

/**
 * Who connects to us: any identity of the trust domain (what it may do is for policies to say). The chain is DER,
 * leaf first, and OpenSSL has verified it up to a root of ours for the purpose of a client.
 */
export function verifyDownstream(
  chain: readonly Uint8Array[],
  trustDomain: string,
  revocation?: RevocationCheck,
): PeerVerdict {
  return verdict(chain, revocation, (identity) => {
    if (identity.trustDomain === trustDomain) return undefined;
    return identityErrors.AMBIT_PEER_TRUST_DOMAIN(
      `the peer ${formatSpiffeId(identity)} is not of trust domain ${trustDomain}`,
    );
  });
}

/**
 * Whom we connected to: exactly one of the expected identities. The chain is DER, leaf first, and OpenSSL has
 * verified it up to a root of ours for the purpose of a server.
 */
export function verifyUpstream(
  chain: readonly Uint8Array[],
  expected: readonly SpiffeId[],
  revocation?: RevocationCheck,
): PeerVerdict {
  return verdict(chain, revocation, (identity) => {
    if (expected.some((one) => isSame(one, identity))) return undefined;
    return identityErrors.AMBIT_PEER_IDENTITY_MISMATCH(
      `the peer is ${formatSpiffeId(identity)}; expected was ${listed(expected)}`,
    );
  });
}

function verdict(
  chain: readonly Uint8Array[],
  revocation: RevocationCheck | undefined,
  objectionTo: (identity: SpiffeId) => AmbitError | undefined,
): PeerVerdict {
  try {
    const identity = identityOf(chain);
    const error = objectionTo(identity) ?? revocationOf(chain, revocation, identity);
    return error === undefined ? { kind: 'accepted', identity } : { kind: 'refused', error };
  } catch (thrown) {
    return { kind: 'refused', error: asMalformed(thrown) };
  }
}

/**
 * X509-SVID §2 and §4.1: exactly one URI name, and no CA bit on a leaf. Istio's proxy takes the first of several URIs;
 * here a certificate that could be read as two identities is nobody's.
 */
function identityOf(chain: readonly Uint8Array[]): SpiffeId {
  const leaf = chain[0];
  if (leaf === undefined) throw identityErrors.AMBIT_PEER_IDENTITY_MISSING('the peer sent no certificate');
  const fields = readCertificateFields(leaf);
  const uri = onlyUri(fields);
  const identity = parseSpiffeId(uri);
  if (identity === undefined) {
    throw identityErrors.AMBIT_PEER_IDENTITY_MISSING(
      `the peer's certificate names "${uri.slice(0, MAX_SHOWN)}", which is not a SPIFFE ID of the mesh`,
    );
  }
  if (basicConstraints(fields).isAuthority) {
    throw identityErrors.AMBIT_PEER_IDENTITY_MISSING(
      `the peer presents the CA certificate of ${uri} as its own`,
    );
  }
  return identity;
}

function onlyUri(fields: CertificateFields): string {
  const { uris } = subjectAlternativeNamesOf(fields.extensions);
  if (uris.length === 1) return uris[0]!;
  throw identityErrors.AMBIT_PEER_IDENTITY_MISSING(
    `the peer's certificate has ${uris.length} URI names; exactly one is expected`,
  );
}

function revocationOf(
  chain: readonly Uint8Array[],
  revocation: RevocationCheck | undefined,
  identity: SpiffeId,
): AmbitError | undefined {
  const revoked = revocation?.list.findRevoked(chain, revocation.nowMs);
  if (revoked === undefined) return undefined;
  const what = revoked.depth === 0 ? 'the certificate' : `certificate ${revoked.depth} above that`;
  return identityErrors.AMBIT_PEER_REVOKED(
    `${what} of the peer ${formatSpiffeId(identity)} is revoked: serial number ${revoked.serialNumber}`,
  );
}

function isSame(a: SpiffeId, b: SpiffeId): boolean {
  return (
    a.serviceAccount === b.serviceAccount && a.namespace === b.namespace && a.trustDomain === b.trustDomain
  );
}

function listed(identities: readonly SpiffeId[]): string {
  if (identities.length === 0) return 'nobody';
  const names = identities.slice(0, MAX_LISTED).map(formatSpiffeId).join(', ');
  return identities.length > MAX_LISTED ? `${names} or ${identities.length - MAX_LISTED} more` : names;
}

function asMalformed(thrown: unknown): AmbitError {
  if (thrown instanceof AmbitError && thrown.code.startsWith('AMBIT_PEER_')) return thrown;
  return identityErrors.AMBIT_PEER_CERTIFICATE_MALFORMED(
    "the peer's certificate, though verified, cannot be read strictly",
    thrown,
  );
}
