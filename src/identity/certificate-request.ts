/** Writes certificate requests (PKCS#10, RFC 2986) for identities of this node. */

import { formatSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import {
  bitString,
  contextConstructed,
  encodeDer,
  encoded,
  integer,
  oid,
  sequence,
  set,
} from './der-writer.ts';
import type { KeyPair } from './key-pair.ts';
import { OID } from './object-identifiers.ts';
import { encodePem } from './pem.ts';
import { encodeAlgorithm, encodeExtension, encodeUriName } from './x509-writer.ts';

/** A PEM request for one SPIFFE ID and no other name, signed by the key it is for. */
export function createCertificateRequest(key: KeyPair, identity: SpiffeId): string {
  const names = encodeExtension(OID.subjectAltName, encodeUriName(formatSpiffeId(identity)), 'critical');
  const info = sequence(
    integer(Uint8Array.of(0)),
    sequence(),
    encoded(key.publicKeyDer),
    contextConstructed(0, sequence(oid(OID.extensionRequest), set(sequence(names)))),
  );
  const signature = key.sign(encodeDer(info));
  const request = sequence(info, encodeAlgorithm(key.algorithm), bitString(signature));
  return encodePem('CERTIFICATE REQUEST', encodeDer(request));
}
