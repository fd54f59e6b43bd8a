/** Reads the extensions list of certificates, certificate requests and revocation lists (RFC 5280 §4.2). */

import { type DerReader, TAG } from './der-reader.ts';
import { identityErrors } from './errors.ts';

export interface Extension {
  /** As in OID. */
  readonly oid: string;
  readonly critical: boolean;
  /** The DER inside the octet string. */
  readonly value: Uint8Array;
}

/** Reads the SEQUENCE OF Extension that comes next; throws AMBIT_DER_MALFORMED. */
export function readExtensions(reader: DerReader): Extension[] {
  const extensions: Extension[] = [];
  const list = reader.enter(TAG.sequence);
  while (!list.atEnd) {
    const item = list.enter(TAG.sequence);
    const oidOctets = item.oid();
    const critical = item.nextTag === TAG.boolean && item.boolean();
    extensions.push({ oid: oidOctets, critical, value: item.content(TAG.octetString) });
    item.finish();
  }
  return extensions;
}

/** The extension of that kind; throws AMBIT_DER_MALFORMED when there are two, as each reader might take another. */
export function findExtension(extensions: readonly Extension[], wanted: string): Extension | undefined {
  const found = extensions.filter((one) => one.oid === wanted);
  if (found.length > 1) throw identityErrors.AMBIT_DER_MALFORMED('the same extension appears twice');
  return found[0];
}
