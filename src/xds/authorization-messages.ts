/** The messages of istio.security: authorization policies as node proxies enforce them. */

import { message, oneof, optional, repeated, singular, type ValueOf } from './message-schema.ts';
import { Any, Empty } from './well-known-messages.ts';
import { BOOL, BYTES, ENUM, STRING, UINT32 } from './wire-type.ts';

export const AuthorizationScope = { GLOBAL: 0, NAMESPACE: 1, WORKLOAD_SELECTOR: 2 } as const;
export const AuthorizationAction = { ALLOW: 0, DENY: 1 } as const;

/** A block of addresses. */
export const Address = message('istio.security.Address', {
  address: singular(1, BYTES),
  length: singular(2, UINT32),
});
export type Address = ValueOf<typeof Address>;

export const StringMatch = message('istio.security.StringMatch', {
  matchType: oneof({ exact: [1, STRING], prefix: [2, STRING], suffix: [3, STRING], presence: [4, Empty] }),
});
export type StringMatch = ValueOf<typeof StringMatch>;

export const ServiceAccountMatch = message('istio.security.ServiceAccountMatch', {
  namespace: singular(1, STRING),
  serviceAccount: singular(2, STRING),
});
export type ServiceAccountMatch = ValueOf<typeof ServiceAccountMatch>;

export const Extension = message('istio.security.Extension', {
  name: singular(1, STRING),
  config: optional(2, Any),
});
export type Extension = ValueOf<typeof Extension>;

export const Match = message('istio.security.Match', {
  namespaces: repeated(1, StringMatch),
  notNamespaces: repeated(2, StringMatch),
  principals: repeated(3, StringMatch),
  notPrincipals: repeated(4, StringMatch),
  sourceIps: repeated(5, Address),
  notSourceIps: repeated(6, Address),
  destinationIps: repeated(7, Address),
  notDestinationIps: repeated(8, Address),
  destinationPorts: repeated(9, UINT32),
  notDestinationPorts: repeated(10, UINT32),
  serviceAccounts: repeated(11, ServiceAccountMatch),
  notServiceAccounts: repeated(12, ServiceAccountMatch),
  extensions: repeated(13, Extension),
});
export type Match = ValueOf<typeof Match>;

export const Clause = message('istio.security.Clause', { matches: repeated(2, Match) });
export type Clause = ValueOf<typeof Clause>;

export const Rule = message('istio.security.Rule', { clauses: repeated(1, Clause) });
export type Rule = ValueOf<typeof Rule>;

/** The resource of type URL `type.googleapis.com/istio.security.Authorization`. */
export const Authorization = message('istio.security.Authorization', {
  name: singular(1, STRING),
  namespace: singular(2, STRING),
  scope: singular(3, ENUM),
  action: singular(4, ENUM),
  /** Called `groups` in older copies; the wire is the same. */
  rules: repeated(5, Rule),
  dryRun: singular(6, BOOL),
  extensions: repeated(7, Extension),
});
export type Authorization = ValueOf<typeof Authorization>;
