/** Header fields as HTTP/2 carries them: ordered, names in lower case, one character for each byte of a value. */

/** Name and value; a value's characters are bytes (Latin-1), so that nothing is lost on the way through. */
export type HeaderField = readonly [name: string, value: string];

/** Pseudo-header fields first (RFC 9113 §8.3). */
export type HeaderList = readonly HeaderField[];

/** RFC 7541 §4.1 and RFC 9113 §10.5.1: what a field counts beyond its name and value. */
export const FIELD_OVERHEAD_BYTES = 32;

/** The value of the first field of that name. */
export function headerValue(headers: HeaderList, name: string): string | undefined {
  for (const field of headers) if (field[0] === name) return field[1];
  return undefined;
}
