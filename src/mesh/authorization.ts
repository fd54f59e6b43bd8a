/** An authorization policy as the control plane compiles it for node proxies: L4 attributes only. */

import type { Cidr } from '../base/ip.ts';
import type { Extension } from './gateway-address.ts';

/** GLOBAL: every workload. NAMESPACE: those of the policy's namespace. WORKLOAD_SELECTOR: those that name it. */
export type AuthorizationScope = 'GLOBAL' | 'NAMESPACE' | 'WORKLOAD_SELECTOR';
export type AuthorizationAction = 'ALLOW' | 'DENY';

/** `presence` matches whatever is not empty. */
export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'suffix'; readonly value: string }
  | { readonly kind: 'presence' };

export interface ServiceAccountMatch {
  readonly namespace: string;
  readonly serviceAccount: string;
}

/**
 * Attributes of a connection that must all agree; within a list one entry is enough, of a `not…` list none may agree.
 * An empty list asks nothing. A match in which every list is empty never matches.
 */
export interface AuthorizationMatch {
  readonly namespaces: readonly StringMatch[];
  readonly notNamespaces: readonly StringMatch[];
  /** Without the `spiffe://` prefix. */
  readonly principals: readonly StringMatch[];
  readonly notPrincipals: readonly StringMatch[];
  readonly sourceIps: readonly Cidr[];
  readonly notSourceIps: readonly Cidr[];
  readonly destinationIps: readonly Cidr[];
  readonly notDestinationIps: readonly Cidr[];
  readonly destinationPorts: readonly number[];
  readonly notDestinationPorts: readonly number[];
  readonly serviceAccounts: readonly ServiceAccountMatch[];
  readonly notServiceAccounts: readonly ServiceAccountMatch[];
  readonly extensions: readonly Extension[];
}

/** One of the matches must match; a clause without matches always does. */
export interface AuthorizationClause {
  readonly matches: readonly AuthorizationMatch[];
}

/** All clauses must match. */
export interface AuthorizationRule {
  readonly clauses: readonly AuthorizationClause[];
}

/** istio.security.Authorization. One of the rules must match; a policy without rules never does. */
export interface Authorization {
  readonly name: string;
  readonly namespace: string;
  readonly scope: AuthorizationScope;
  readonly action: AuthorizationAction;
  readonly rules: readonly AuthorizationRule[];
  /** Evaluated and reported, never enforced. */
  readonly dryRun: boolean;
  readonly extensions: readonly Extension[];
}

/** `namespace/name`: the xDS resource name of a policy. */
export function authorizationName(policy: Pick<Authorization, 'namespace' | 'name'>): string {
  return `${policy.namespace}/${policy.name}`;
}
