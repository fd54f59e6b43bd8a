/** Certificate revocation lists (RFC 5280 §5): parsed once, asked at every handshake. */

import { createPublicKey } from 'node:crypto';
import { AmbitError } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import { type CertificateFields, readCertificateFields } from './certificate-fields.ts';
import { contextTag, DerReader, TAG } from './der-reader.ts';
import { identityErrors } from './errors.ts';
import { type Extension, readExtensions } from './extensions.ts';
import { OID } from './object-identifiers.ts';
import { decodePem } from './pem.ts';
import { isSignedBy } from './signature-algorithm.ts';

const log = logger('crl');

const EXTENSIONS_TAG = contextTag(0, 'constructed');
/** IssuingDistributionPoint.indirectCRL, RFC 5280 §5.2.5. */
const INDIRECT_TAG = contextTag(4, 'primitive');

interface IssuerList {
  readonly nextUpdateMs: number | undefined;
  /** Serial numbers in hexadecimal, as {@link hex} writes them. */
  readonly serials: ReadonlySet<string>;
  readonly signed: {
    readonly data: Uint8Array;
    readonly algorithmOid: string;
    readonly signature: Uint8Array;
  };
  complained: boolean;
}

/** The certificate that a list names. */
export interface RevokedCertificate {
  /** Its place in the chain, 0 for the leaf. */
  readonly depth: number;
  /** Hexadecimal. */
  readonly serialNumber: string;
}

/** All lists of one file, indexed by the issuer's name. Nothing in it changes, so every thread may have its own. */
export class RevocationList {
  static readonly empty = new RevocationList();
  readonly #byIssuer = new Map<string, IssuerList[]>();

  private constructor() {}

  /**
   * Reads one list in DER, or any number in PEM. Throws AMBIT_CRL_MALFORMED, also for a list with a critical
   * extension that is not understood (RFC 5280 §5.2) and for an indirect list, which names other issuers' certificates.
   */
  static parse(content: Uint8Array): RevocationList {
    const list = new RevocationList();
    for (const der of orMalformed(() => splitLists(content))) {
      const { issuer, ...rest } = orMalformed(() => readList(der));
      list.#byIssuer.set(issuer, [...(list.#byIssuer.get(issuer) ?? []), rest]);
    }
    return list;
  }

  /** How many certificates are listed. */
  get size(): number {
    return [...this.#byIssuer.values()].flat().reduce((sum, list) => sum + list.serials.size, 0);
  }

  /**
   * The first certificate of a verified chain (DER, leaf first) that is revoked. A certificate whose issuer has no
   * list counts as good, and so does one whose list is past its nextUpdate or is not signed by the issuer's key;
   * both are logged once. Throws AMBIT_DER_MALFORMED.
   */
  findRevoked(chain: readonly Uint8Array[], nowMs: number): RevokedCertificate | undefined {
    if (this.#byIssuer.size === 0) return undefined;
    for (let depth = 0; depth < chain.length; depth++) {
      const certificate = readCertificateFields(chain[depth]!);
      const serialNumber = hex(certificate.serialNumber);
      const lists = this.#byIssuer.get(nameKey(certificate.issuer)) ?? [];
      for (const list of lists) {
        if (!isInForce(list, nowMs) || !list.serials.has(serialNumber)) continue;
        const issuer = readCertificateFields(chain[depth + 1] ?? chain[depth]!);
        if (isGenuine(list, issuer, certificate)) return { depth, serialNumber };
      }
    }
    return undefined;
  }
}

function isInForce(list: IssuerList, nowMs: number): boolean {
  if (list.nextUpdateMs === undefined || list.nextUpdateMs > nowMs) return true;
  complain(list, 'a revocation list is past its nextUpdate and is ignored: renew the file');
  return false;
}

/** Verified only when a serial number is listed, which is rare; where the chain lacks the issuer, the file is believed. */
function isGenuine(list: IssuerList, issuer: CertificateFields, certificate: CertificateFields): boolean {
  if (!Buffer.from(issuer.subject).equals(certificate.issuer)) return true;
  const key = createPublicKey({ key: Buffer.from(issuer.publicKeyDer), format: 'der', type: 'spki' });
  if (isSignedBy(key, list.signed)) return true;
  complain(list, 'a revocation list is not signed by the key of the issuer it names and is ignored');
  return false;
}

function complain(list: IssuerList, message: string): void {
  if (!list.complained) log.warn(message, { revoked: list.serials.size });
  list.complained = true;
}

function splitLists(content: Uint8Array): Uint8Array[] {
  if (content[0] === TAG.sequence) return [content];
  return decodePem(Buffer.from(content).toString('latin1')).map((block) => {
    if (block.label === 'X509 CRL') return block.der;
    throw identityErrors.AMBIT_CRL_MALFORMED(`a block "${block.label}" stands among the revocation lists`);
  });
}

/** CertificateList, RFC 5280 §5.1. */
function readList(der: Uint8Array): IssuerList & { readonly issuer: string } {
  const outer = new DerReader(der);
  const list = outer.enter(TAG.sequence);
  outer.finish();
  const data = list.element(TAG.sequence);
  const algorithmOid = list.enter(TAG.sequence).oid();
  const signature = list.bitString();
  list.finish();
  const body = readBody(new DerReader(data).enter(TAG.sequence));
  return { ...body, signed: { data, algorithmOid, signature }, complained: false };
}

function readBody(
  tbs: DerReader,
): Pick<IssuerList, 'nextUpdateMs' | 'serials'> & { readonly issuer: string } {
  tbs.skipIf(TAG.integer);
  tbs.skip(TAG.sequence);
  const issuer = nameKey(tbs.element(TAG.sequence));
  tbs.timeMs();
  const hasNextUpdate = tbs.nextTag === TAG.utcTime || tbs.nextTag === TAG.generalizedTime;
  const nextUpdateMs = hasNextUpdate ? tbs.timeMs() : undefined;
  const serials = tbs.nextTag === TAG.sequence ? readEntries(tbs.enter(TAG.sequence)) : new Set<string>();
  if (tbs.nextTag === EXTENSIONS_TAG) {
    for (const extension of readExtensions(tbs.enter(EXTENSIONS_TAG))) checkListExtension(extension);
  }
  tbs.finish();
  return { issuer, nextUpdateMs, serials };
}

function readEntries(entries: DerReader): Set<string> {
  const serials = new Set<string>();
  while (!entries.atEnd) {
    const entry = entries.enter(TAG.sequence);
    serials.add(hex(entry.integer()));
    entry.timeMs();
    if (!entry.atEnd) readExtensions(entry).forEach(checkEntryExtension);
    entry.finish();
  }
  return serials;
}

function checkListExtension(extension: Extension): void {
  if (extension.oid !== OID.issuingDistributionPoint) return checkEntryExtension(extension);
  const fields = new DerReader(extension.value).enter(TAG.sequence);
  while (!fields.atEnd) {
    if (fields.nextTag === INDIRECT_TAG && fields.content(INDIRECT_TAG)[0] !== 0) {
      throw identityErrors.AMBIT_CRL_MALFORMED('an indirect revocation list is not supported');
    }
    fields.skip(fields.nextTag);
  }
}

function checkEntryExtension(extension: Extension): void {
  if (extension.critical) {
    throw identityErrors.AMBIT_CRL_MALFORMED(
      'a revocation list has a critical extension that is not supported',
    );
  }
}

/** Names are compared by their bytes, as everywhere in TLS. */
function nameKey(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
}

function hex(octets: Uint8Array): string {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString('hex');
}

function orMalformed<T>(read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof AmbitError) || thrown.code === 'AMBIT_CRL_MALFORMED') throw thrown;
    throw identityErrors.AMBIT_CRL_MALFORMED(`a revocation list cannot be read: ${thrown.message}`, thrown);
  }
}
