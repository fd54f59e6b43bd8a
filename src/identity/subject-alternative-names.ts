/** The names in a subjectAltName extension (RFC 5280 §4.2.1.6), taken from its bytes and never from a printed form. */

import { contextTag, DerReader, TAG } from './der-reader.ts';
import { identityErrors } from './errors.ts';
import { type Extension, findExtension } from './extensions.ts';
import { OID } from './object-identifiers.ts';

/** uniformResourceIdentifier. */
const URI_TAG = contextTag(6, 'primitive');
/** Names in one certificate at most: those of a busy gateway fit, a certificate made to cost us time does not. */
const MAX_NAMES = 256;

/** The URIs of a certificate, and how many names of other kinds it has. */
export interface SubjectAlternativeNames {
  readonly uris: readonly string[];
  readonly otherNames: number;
}

/** The names that a list of extensions holds, none when the extension is missing. Throws AMBIT_DER_MALFORMED. */
export function subjectAlternativeNamesOf(extensions: readonly Extension[]): SubjectAlternativeNames {
  const extension = findExtension(extensions, OID.subjectAltName);
  return extension === undefined ? { uris: [], otherNames: 0 } : readNames(extension.value);
}

/** Throws AMBIT_DER_MALFORMED, also when a URI has characters no URI may have. */
function readNames(extensionValue: Uint8Array): SubjectAlternativeNames {
  const outer = new DerReader(extensionValue);
  const names = outer.enter(TAG.sequence);
  outer.finish();
  const uris: string[] = [];
  let otherNames = 0;
  while (!names.atEnd) {
    if (names.nextTag === URI_TAG) uris.push(uriText(names.content(URI_TAG)));
    else {
      names.skip(names.nextTag);
      otherNames++;
    }
    if (uris.length + otherNames > MAX_NAMES) {
      throw identityErrors.AMBIT_DER_MALFORMED(`more than ${MAX_NAMES} alternative names`);
    }
  }
  return { uris, otherNames };
}

/** RFC 3986 §2: visible ASCII only. A NUL, a comma list or a line break never gets as far as a comparison. */
function uriText(content: Uint8Array): string {
  const text = Buffer.from(content.buffer, content.byteOffset, content.length).toString('latin1');
  if (/^[\x21-\x7e]+$/.test(text)) return text;
  throw identityErrors.AMBIT_DER_MALFORMED('a URI name has characters that no URI has');
}
