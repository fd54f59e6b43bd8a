/** The static table of HPACK (RFC 7541 appendix A). */

import type { HeaderField } from './header-list.ts';

/** Entries 1 to 61; index 0 is not used. */
export const STATIC_TABLE: readonly HeaderField[] = [
  ['', ''],
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** The dynamic table begins behind it. */
export const STATIC_ENTRIES = STATIC_TABLE.length - 1;

const firstOfName = new Map<string, number>();
for (let i = STATIC_ENTRIES; i > 0; i--) firstOfName.set(STATIC_TABLE[i]![0], i);

/** Index of the first entry with that name; 0 for none. */
export function staticNameIndex(name: string): number {
  return firstOfName.get(name) ?? 0;
}

/** Index of the entry with that name and value, given the first one of the name; 0 for none. */
export function staticFieldIndex(first: number, name: string, value: string): number {
  for (let i = first; i > 0 && i <= STATIC_ENTRIES && STATIC_TABLE[i]![0] === name; i++) {
    if (STATIC_TABLE[i]![1] === value) return i;
  }
  return 0;
}
