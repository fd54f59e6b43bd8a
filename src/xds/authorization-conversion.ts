/** istio.security.Authorization ⇄ the mesh's authorization policy. */

import { Cidr } from '../base/ip.ts';
import type {
  AuthorizationMatch,
  Authorization as MeshAuthorization,
  StringMatch as MeshStringMatch,
} from '../mesh/authorization.ts';
import {
  type Address,
  type Authorization,
  AuthorizationAction,
  AuthorizationScope,
  type Match,
  type StringMatch,
} from './authorization-messages.ts';
import { addressOf, enumName, extensionFromWire, extensionToWire, invalid } from './conversion-basics.ts';
import type { InitOf } from './message-schema.ts';

/**
 * An action or scope of a later version would be misread with grave effect, so such a policy is refused as a whole.
 * @throws AmbitError AMBIT_RESOURCE_INVALID that says what is wrong with it.
 */
export function authorizationFromWire(wire: Authorization): MeshAuthorization {
  const what = `policy ${wire.namespace}/${wire.name}`;
  if (wire.action > 1 || wire.scope > 2) throw invalid(`${what} has an unknown action or scope`);
  return {
    name: wire.name,
    namespace: wire.namespace,
    scope: enumName(AuthorizationScope, wire.scope),
    action: enumName(AuthorizationAction, wire.action),
    rules: wire.rules.map((rule) => ({
      clauses: rule.clauses.map((clause) => ({
        matches: clause.matches.map((one) => matchFromWire(one, what)),
      })),
    })),
    dryRun: wire.dryRun,
    extensions: wire.extensions.map(extensionFromWire),
  };
}

function matchFromWire(wire: Match, what: string): AuthorizationMatch {
  const strings = (list: readonly StringMatch[]) => list.map((one) => stringFromWire(one, what));
  const blocks = (list: readonly Address[]) => list.map((one) => blockFromWire(one, what));
  return {
    namespaces: strings(wire.namespaces),
    notNamespaces: strings(wire.notNamespaces),
    principals: strings(wire.principals),
    notPrincipals: strings(wire.notPrincipals),
    sourceIps: blocks(wire.sourceIps),
    notSourceIps: blocks(wire.notSourceIps),
    destinationIps: blocks(wire.destinationIps),
    notDestinationIps: blocks(wire.notDestinationIps),
    destinationPorts: wire.destinationPorts,
    notDestinationPorts: wire.notDestinationPorts,
    serviceAccounts: wire.serviceAccounts,
    notServiceAccounts: wire.notServiceAccounts,
    extensions: wire.extensions.map(extensionFromWire),
  };
}

function stringFromWire(wire: StringMatch, what: string): MeshStringMatch {
  const match = wire.matchType;
  if (match === undefined) throw invalid(`${what} has a match of an unknown kind`);
  return match.kind === 'presence' ? { kind: 'presence' } : { kind: match.kind, value: match.value };
}

function blockFromWire(wire: Address, what: string): Cidr {
  addressOf(wire.address, what);
  if (wire.length > wire.address.length * 8)
    throw invalid(`${what} has a block of prefix length ${wire.length}`);
  return new Cidr(wire.address, wire.length);
}

export function authorizationToWire(policy: MeshAuthorization): InitOf<typeof Authorization> {
  return {
    name: policy.name,
    namespace: policy.namespace,
    scope: AuthorizationScope[policy.scope],
    action: AuthorizationAction[policy.action],
    rules: policy.rules.map((rule) => ({
      clauses: rule.clauses.map((clause) => ({ matches: clause.matches.map(matchToWire) })),
    })),
    dryRun: policy.dryRun,
    extensions: policy.extensions.map(extensionToWire),
  };
}

function matchToWire(match: AuthorizationMatch): InitOf<typeof Match> {
  return {
    namespaces: match.namespaces.map(stringToWire),
    notNamespaces: match.notNamespaces.map(stringToWire),
    principals: match.principals.map(stringToWire),
    notPrincipals: match.notPrincipals.map(stringToWire),
    sourceIps: match.sourceIps.map(blockToWire),
    notSourceIps: match.notSourceIps.map(blockToWire),
    destinationIps: match.destinationIps.map(blockToWire),
    notDestinationIps: match.notDestinationIps.map(blockToWire),
    destinationPorts: [...match.destinationPorts],
    notDestinationPorts: [...match.notDestinationPorts],
    serviceAccounts: [...match.serviceAccounts],
    notServiceAccounts: [...match.notServiceAccounts],
    extensions: match.extensions.map(extensionToWire),
  };
}

function stringToWire(match: MeshStringMatch): InitOf<typeof StringMatch> {
  if (match.kind === 'presence') return { matchType: { kind: 'presence', value: {} } };
  return { matchType: { kind: match.kind, value: match.value } };
}

function blockToWire(block: Cidr): InitOf<typeof Address> {
  return { address: block.bytes, length: block.prefixLength };
}
