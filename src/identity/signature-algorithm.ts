/** The signature algorithms of X.509 that the mesh signs with and accepts, and the keys it takes. */

import { type KeyObject, verify } from 'node:crypto';
import { OID } from './object-identifiers.ts';

export interface SignatureAlgorithm {
  /** As in OID. */
  readonly oid: string;
  readonly keyType: 'ec' | 'rsa';
  readonly hash: 'sha256' | 'sha384' | 'sha512';
}

/** SHA-1 is missing on purpose; RSA is PKCS #1 v1.5, as in nearly every certificate there is. */
const ALGORITHMS: readonly SignatureAlgorithm[] = [
  { oid: OID.ecdsaWithSha256, keyType: 'ec', hash: 'sha256' },
  { oid: OID.ecdsaWithSha384, keyType: 'ec', hash: 'sha384' },
  { oid: OID.ecdsaWithSha512, keyType: 'ec', hash: 'sha512' },
  { oid: OID.sha256WithRsa, keyType: 'rsa', hash: 'sha256' },
  { oid: OID.sha384WithRsa, keyType: 'rsa', hash: 'sha384' },
  { oid: OID.sha512WithRsa, keyType: 'rsa', hash: 'sha512' },
];

/** OpenSSL's names of P-256 and P-384. */
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1'];
/** Shorter RSA keys are broken within the decade; verifying for longer ones is work that a peer could make us do. */
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 4096;
/** The only exponent in real use; a peer's huge one would make each verification slow. */
const RSA_EXPONENT = 65537n;

/** Whether the mesh takes a key of this kind, private or public. */
export function isSupportedKey(key: KeyObject): boolean {
  const { namedCurve, modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec') return CURVES.includes(namedCurve);
  if (key.asymmetricKeyType !== 'rsa' || publicExponent !== RSA_EXPONENT) return false;
  return modulusLength >= MIN_RSA_BITS && modulusLength <= MAX_RSA_BITS;
}

/** What to sign with a supported key: the hash is as strong as the curve (RFC 5758 §3.2). */
export function algorithmFor(key: KeyObject): SignatureAlgorithm {
  const hash = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256';
  return ALGORITHMS.find((one) => one.keyType === key.asymmetricKeyType && one.hash === hash)!;
}

/** Whether `signature` over `data` was made by the holder of `publicKey`; an unknown algorithm is no signature. */
export function isSignedBy(
  publicKey: KeyObject,
  signed: { readonly data: Uint8Array; readonly algorithmOid: string; readonly signature: Uint8Array },
): boolean {
  const algorithm = ALGORITHMS.find((one) => one.oid === signed.algorithmOid);
  if (algorithm === undefined || algorithm.keyType !== publicKey.asymmetricKeyType) return false;
  try {
    return verify(algorithm.hash, signed.data, publicKey, signed.signature);
  } catch {
    return false;
  }
}
