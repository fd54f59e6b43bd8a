/** The ASN.1 structures that certificates and certificate requests have in common. */

import { type IpAddress, ipToBytes } from '../base/ip.ts';
import {
  booleanTrue,
  contextPrimitive,
  type DerValue,
  encodeDer,
  nullValue,
  octetString,
  oid,
  sequence,
} from './der-writer.ts';
import type { SignatureAlgorithm } from './signature-algorithm.ts';

/** Tags of GeneralName, RFC 5280 §4.2.1.6. */
const DNS_NAME = 2;
const URI = 6;
const IP_ADDRESS = 7;

/** AlgorithmIdentifier: RSA has NULL parameters (RFC 4055 §5), ECDSA none. */
export function encodeAlgorithm(algorithm: SignatureAlgorithm): DerValue {
  return sequence(oid(algorithm.oid), algorithm.keyType === 'rsa' ? nullValue() : undefined);
}

/** Extension; `kind` is one of OID. */
export function encodeExtension(kind: string, value: DerValue, critical: 'critical' | 'optional'): DerValue {
  const content = octetString(encodeDer(value));
  return sequence(oid(kind), critical === 'critical' ? booleanTrue() : undefined, content);
}

/** GeneralNames of one URI. */
export function encodeUriName(uri: string): DerValue {
  return sequence(contextPrimitive(URI, Buffer.from(uri, 'ascii')));
}

/** GeneralNames of a server. */
export function encodeServerNames(dnsNames: readonly string[], ips: readonly IpAddress[]): DerValue {
  return sequence(
    ...dnsNames.map((name) => contextPrimitive(DNS_NAME, Buffer.from(name, 'ascii'))),
    ...ips.map((ip) => contextPrimitive(IP_ADDRESS, ipToBytes(ip))),
  );
}
