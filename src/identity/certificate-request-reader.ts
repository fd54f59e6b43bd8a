/** Reads the certificate requests that peers send to the CA: small, strict, and with proof of the private key. */

import { createPublicKey, type KeyObject } from 'node:crypto';
import { AmbitError } from '../base/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../base/spiffe-id.ts';
import { contextTag, DerReader, TAG } from './der-reader.ts';
import { identityErrors } from './errors.ts';
import { type Extension, readExtensions } from './extensions.ts';
import { OID } from './object-identifiers.ts';
import { decodePem } from './pem.ts';
import { isSignedBy, isSupportedKey } from './signature-algorithm.ts';
import { subjectAlternativeNamesOf } from './subject-alternative-names.ts';

/** Bytes of PEM accepted; a request for an RSA key of 4096 bits has 1.7 KiB, one of the mesh 0.5. */
export const MAX_CSR_BYTES = 8 * 1024;

/** Characters of a peer's text that go into a message. */
const MAX_SHOWN = 200;

const LABELS: readonly (string | undefined)[] = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'];
const ATTRIBUTES_TAG = contextTag(0, 'constructed');

/** What a request is taken to say: who holds which key. The subject and any other wish it holds are ignored. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo in DER, in the one usual encoding. */
  readonly publicKeyDer: Uint8Array;
  /** The one URI name; undefined when the request names nobody, as the call's metadata may do that. */
  readonly identity: SpiffeId | undefined;
}

interface RequestParts {
  readonly info: Uint8Array;
  readonly algorithmOid: string;
  readonly signature: Uint8Array;
  readonly publicKey: Uint8Array;
  readonly extensions: readonly Extension[];
}

/**
 * Throws AMBIT_CSR_TOO_LARGE, AMBIT_CSR_MALFORMED, AMBIT_CSR_KEY (kind of key), AMBIT_CSR_SIGNATURE (the request is
 * not signed by its own key) or AMBIT_CSR_NAMES (anything but one SPIFFE ID).
 */
export function readCertificateRequest(pem: string): CertificateRequest {
  if (pem.length > MAX_CSR_BYTES) {
    throw identityErrors.AMBIT_CSR_TOO_LARGE(
      `a certificate request of ${pem.length} bytes is larger than ${MAX_CSR_BYTES}`,
    );
  }
  const parts = orMalformed(() => readParts(decodeRequest(pem)));
  const publicKey = readPublicKey(parts.publicKey);
  if (!isSignedBy(publicKey, { ...parts, data: parts.info })) {
    throw identityErrors.AMBIT_CSR_SIGNATURE(
      'the certificate request is not signed by the key that it names',
    );
  }
  return { publicKeyDer: parts.publicKey, identity: orMalformed(() => readIdentity(parts.extensions)) };
}

function decodeRequest(pem: string): Uint8Array {
  const blocks = decodePem(pem);
  if (blocks.length === 1 && LABELS.includes(blocks[0]?.label)) return blocks[0]!.der;
  throw identityErrors.AMBIT_CSR_MALFORMED('exactly one PEM block labelled CERTIFICATE REQUEST is expected');
}

/** CertificationRequest, RFC 2986 §4. */
function readParts(der: Uint8Array): RequestParts {
  const outer = new DerReader(der);
  const request = outer.enter(TAG.sequence);
  outer.finish();
  const info = request.element(TAG.sequence);
  const algorithmOid = request.enter(TAG.sequence).oid();
  const signature = request.bitString();
  request.finish();
  return { info, algorithmOid, signature, ...readInfo(new DerReader(info).enter(TAG.sequence)) };
}

function readInfo(info: DerReader): Pick<RequestParts, 'publicKey' | 'extensions'> {
  if (info.smallInteger() !== 0) throw identityErrors.AMBIT_CSR_MALFORMED('the version is not 1');
  info.skip(TAG.sequence);
  const publicKey = info.element(TAG.sequence);
  const extensions = info.atEnd ? [] : readRequestedExtensions(info.enter(ATTRIBUTES_TAG));
  info.finish();
  return { publicKey, extensions };
}

function readRequestedExtensions(attributes: DerReader): Extension[] {
  let found: Extension[] | undefined;
  while (!attributes.atEnd) {
    const attribute = attributes.enter(TAG.sequence);
    const kind = attribute.oid();
    const values = attribute.enter(TAG.set);
    attribute.finish();
    if (kind !== OID.extensionRequest) continue;
    if (found !== undefined) throw identityErrors.AMBIT_CSR_MALFORMED('extensions are requested twice');
    found = readExtensions(values);
    values.finish();
  }
  return found ?? [];
}

function readPublicKey(spki: Uint8Array): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw identityErrors.AMBIT_CSR_KEY('the public key of the certificate request cannot be read', cause);
  }
  if (!isSupportedKey(key)) {
    throw identityErrors.AMBIT_CSR_KEY(
      `the request is for a ${describeKey(key)}, which the mesh does not use`,
    );
  }
  if (!usualEncoding(key).equals(spki)) {
    throw identityErrors.AMBIT_CSR_KEY(
      'the public key is not in its usual encoding: named curve, whole point',
    );
  }
  return key;
}

/**
 * A curve spelled out by its parameters, or a compressed point, would go into the certificate as it is, and other
 * TLS libraries refuse it or, worse, read it differently. The way through JWK drops such forms.
 */
function usualEncoding(key: KeyObject): Buffer {
  const plain = createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' });
  return plain.export({ type: 'spki', format: 'der' });
}

function describeKey(key: KeyObject): string {
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  return `key of type ${key.asymmetricKeyType} ${namedCurve ?? modulusLength ?? ''}`.trimEnd();
}

function readIdentity(extensions: readonly Extension[]): SpiffeId | undefined {
  if (!extensions.some((extension) => extension.oid === OID.subjectAltName)) return undefined;
  const { uris, otherNames } = subjectAlternativeNamesOf(extensions);
  if (uris.length !== 1 || otherNames > 0) {
    throw identityErrors.AMBIT_CSR_NAMES(
      `the request has ${uris.length} URI names and ${otherNames} others; one SPIFFE ID is expected`,
    );
  }
  const identity = parseSpiffeId(uris[0]!);
  if (identity !== undefined) return identity;
  throw identityErrors.AMBIT_CSR_NAMES(`"${uris[0]!.slice(0, MAX_SHOWN)}" is not a SPIFFE ID of the mesh`);
}

/** One code for everything that is wrong with the form, whatever layer noticed it. */
function orMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof AmbitError) || thrown.code.startsWith('AMBIT_CSR_')) throw thrown;
    throw identityErrors.AMBIT_CSR_MALFORMED(
      `the certificate request cannot be read: ${thrown.message}`,
      thrown,
    );
  }
}
