/** What makes an HTTP message malformed in HTTP/2 (RFC 9113 §8.1 to §8.5). */

import type { HeaderList } from './header-list.ts';

export type MessageKind = 'request' | 'response' | 'trailers';

/** RFC 9113 §8.2.2: their meaning ends at one connection. */
const CONNECTION_SPECIFIC = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
]);
/** RFC 9110 §5.6.2 in lower case (RFC 9113 §8.2.1). */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
/** RFC 9113 §8.2.1: no NUL, LF or CR anywhere, no blank at either end. */
const BAD_VALUE = /[\0\r\n]|^[ \t]|[ \t]$/;
const STATUS = /^[1-9]\d\d$/;
const DIGITS = /^\d{1,15}$/;

/** Pseudo-header fields of a message; undefined for one that is missing. */
interface PseudoFields {
  method?: string;
  scheme?: string;
  authority?: string;
  path?: string;
  status?: string;
}

const PSEUDO_KEYS: Readonly<Record<MessageKind, ReadonlyMap<string, keyof PseudoFields>>> = {
  request: new Map([
    [':method', 'method'],
    [':scheme', 'scheme'],
    [':authority', 'authority'],
    [':path', 'path'],
  ]),
  response: new Map([[':status', 'status']]),
  trailers: new Map(),
};

/** Why the message is malformed, or undefined when it is not. */
export function messageFault(kind: MessageKind, headers: HeaderList): string | undefined {
  const pseudo: PseudoFields = {};
  let regular = false;
  for (const [name, value] of headers) {
    if (BAD_VALUE.test(value)) return 'a field value has a forbidden character';
    if (name.charCodeAt(0) !== 0x3a) {
      regular = true;
      const fault = fieldFault(name, value);
      if (fault !== undefined) return fault;
      continue;
    }
    const key = PSEUDO_KEYS[kind].get(name);
    if (regular) return 'a pseudo-header field comes after a regular one';
    if (key === undefined) return 'a pseudo-header field does not belong here';
    if (pseudo[key] !== undefined) return 'a pseudo-header field comes twice';
    pseudo[key] = value;
  }
  if (kind === 'request') return requestFault(pseudo, headers);
  return kind === 'response' ? responseFault(pseudo) : undefined;
}

function fieldFault(name: string, value: string): string | undefined {
  if (!FIELD_NAME.test(name)) return 'a field name has a forbidden character';
  if (CONNECTION_SPECIFIC.has(name)) return 'a field is specific to a connection';
  if (name === 'te' && value !== 'trailers') return 'te says something else than trailers';
  return undefined;
}

/** RFC 9113 §8.3.1, §8.5. */
function requestFault(pseudo: PseudoFields, headers: HeaderList): string | undefined {
  const { method, scheme, authority, path } = pseudo;
  if (method === undefined || method === '') return 'there is no method';
  if (method === 'CONNECT') {
    if (scheme !== undefined || path !== undefined) return 'CONNECT has a scheme or a path';
    if (authority === undefined || authority === '') return 'CONNECT has no authority';
  } else if (scheme === undefined || path === undefined || path === '') {
    return 'there is no scheme or no path';
  }
  return hostFault(authority, headers);
}

/** Two parts of the mesh must not read different hosts out of one request. */
function hostFault(authority: string | undefined, headers: HeaderList): string | undefined {
  if (authority === undefined) return undefined;
  for (const [name, value] of headers) {
    if (name === 'host' && value.toLowerCase() !== authority.toLowerCase()) {
      return 'host and authority differ';
    }
  }
  return undefined;
}

/** RFC 9113 §8.3.2, §8.6: 101 does not exist in HTTP/2. */
function responseFault(pseudo: PseudoFields): string | undefined {
  if (pseudo.status === undefined || !STATUS.test(pseudo.status)) return 'there is no proper status';
  return pseudo.status === '101' ? 'status 101 does not exist in HTTP/2' : undefined;
}

/** The value of content-length; -1 without one, undefined when it is not one number (RFC 9110 §8.6). */
export function contentLength(headers: HeaderList): number | undefined {
  let length = -1;
  for (const [name, value] of headers) {
    if (name !== 'content-length') continue;
    if (!DIGITS.test(value) || (length >= 0 && length !== Number(value))) return undefined;
    length = Number(value);
  }
  return length;
}
