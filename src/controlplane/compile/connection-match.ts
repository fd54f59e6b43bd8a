/** Builds the matches that authorization policies are made of. */

import type { AuthorizationMatch, StringMatch } from '../../mesh/authorization.ts';

const EMPTY: AuthorizationMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  serviceAccounts: [],
  notServiceAccounts: [],
  extensions: [],
};

/** A match that asks for these attributes and for nothing else. */
export function matchOf(attributes: Partial<AuthorizationMatch>): AuthorizationMatch {
  return { ...EMPTY, ...attributes };
}

/** A connection without an identity. That nothing is present is said by denying that anything is. */
export const NO_IDENTITY: AuthorizationMatch = matchOf({ notPrincipals: [{ kind: 'presence' }] });

export function isEmptyMatch(match: AuthorizationMatch): boolean {
  return Object.values(match).every((list: readonly unknown[]) => list.length === 0);
}

/** `*` is presence, `*x` a suffix, `x*` a prefix, all else exact. */
export function stringMatchOf(text: string): StringMatch {
  if (text === '*') return { kind: 'presence' };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  return { kind: 'exact', value: text };
}
