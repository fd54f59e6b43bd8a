/** A policy of the whole mesh as the control plane would compile it, for proxies that are fed by hand. */

import type { Authorization, AuthorizationMatch } from '../../src/mesh/authorization.ts';

const NOTHING: AuthorizationMatch = {
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

/** Denies the connections that match. */
export function denyPolicy(
  namespace: string,
  name: string,
  match: Partial<AuthorizationMatch>,
): Authorization {
  return {
    name,
    namespace,
    scope: 'GLOBAL',
    action: 'DENY',
    rules: [{ clauses: [{ matches: [{ ...NOTHING, ...match }] }] }],
    dryRun: false,
    extensions: [],
  };
}
