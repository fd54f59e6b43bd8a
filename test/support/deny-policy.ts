/** A policy of the whole mesh as the control plane would compile it, for proxies that are fed by hand. */

import { matchOf } from '../../src/controlplane/compile/connection-match.ts';
import type { Authorization, AuthorizationMatch } from '../../src/mesh/authorization.ts';

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
    rules: [{ clauses: [{ matches: [matchOf(match)] }] }],
    dryRun: false,
    extensions: [],
  };
}
