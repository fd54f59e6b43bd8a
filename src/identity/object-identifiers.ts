/** The object identifiers of X.509 that the mesh uses, in the form that comparing them takes: their content octets. */

export const OID = {
  organizationName: octetsOf('2.5.4.10'),
  commonName: octetsOf('2.5.4.3'),
  /** PKCS #9, RFC 2985 §5.4.2. */
  extensionRequest: octetsOf('1.2.840.113549.1.9.14'),
  /** RFC 5280 §4.2.1. */
  subjectKeyIdentifier: octetsOf('2.5.29.14'),
  keyUsage: octetsOf('2.5.29.15'),
  subjectAltName: octetsOf('2.5.29.17'),
  basicConstraints: octetsOf('2.5.29.19'),
  authorityKeyIdentifier: octetsOf('2.5.29.35'),
  extKeyUsage: octetsOf('2.5.29.37'),
  serverAuth: octetsOf('1.3.6.1.5.5.7.3.1'),
  clientAuth: octetsOf('1.3.6.1.5.5.7.3.2'),
  /** RFC 5280 §5.2.5. */
  issuingDistributionPoint: octetsOf('2.5.29.28'),
  /** RFC 4055 §5. */
  sha256WithRsa: octetsOf('1.2.840.113549.1.1.11'),
  sha384WithRsa: octetsOf('1.2.840.113549.1.1.12'),
  sha512WithRsa: octetsOf('1.2.840.113549.1.1.13'),
  /** RFC 5758 §3.2. */
  ecdsaWithSha256: octetsOf('1.2.840.10045.4.3.2'),
  ecdsaWithSha384: octetsOf('1.2.840.10045.4.3.3'),
  ecdsaWithSha512: octetsOf('1.2.840.10045.4.3.4'),
} as const;

/** X.690 §8.19, one character per octet. */
function octetsOf(dotted: string): string {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]];
  return [first * 40 + second, ...rest].map(base128).join('');
}

function base128(arc: number): string {
  const low = String.fromCharCode(arc & 0x7f);
  let high = '';
  for (let left = arc >>> 7; left > 0; left >>>= 7) high = String.fromCharCode((left & 0x7f) | 0x80) + high;
  return high + low;
}
