/** Authorization policies between the wire (istio.security.Authorization) and the mesh model. */

import { Cidr } from '../base/ip.ts';
import {
  type Authorization,
  type AuthorizationMatch,
  authorizationName,
  type StringMatch,
} from '../mesh/authorization.ts';
import * as wire from './authorization-messages.ts';
import type { InitOf } from './message-schema.ts';
import { extensionOf, extensionToWire, invalid, nameOf, portOf } from './wire-values.ts';
import type { NamedResource } from './workload-conversion.ts';

/** Throws AMBIT_PROTOBUF_… for what is not the message, AMBIT_RESOURCE_INVALID with the reason for what cannot be used. */
export function decodeAuthorization(bytes: Uint8Array): Authorization {
  return authorizationFromWire(wire.Authorization.decode(bytes));
}

export function encodeAuthorization(policy: Authorization): Uint8Array {
  return wire.Authorization.encode(authorizationToWire(policy));
}

export function authorizationResource(policy: Authorization): NamedResource {
  return { name: authorizationName(policy), bytes: encodeAuthorization(policy), aliases: [] };
}

/**
 * Throws AMBIT_RESOURCE_INVALID. Nothing is dropped silently: a condition less in a policy lets more through, or
 * denies more, than its author wrote.
 */
export function authorizationFromWire(message: wire.Authorization): Authorization {
  if (message.name === '') throw invalid('a policy without a name');
  return {
    name: message.name,
    namespace: message.namespace,
    scope: nameOf(wire.AuthorizationScope, message.scope, 'scope'),
    action: nameOf(wire.AuthorizationAction, message.action, 'action'),
    rules: message.rules.map(({ clauses }) => ({
      clauses: clauses.map(({ matches }) => ({ matches: matches.map(matchFromWire) })),
    })),
    dryRun: message.dryRun,
    extensions: message.extensions.map(extensionOf),
  };
}

export function authorizationToWire(policy: Authorization): InitOf<typeof wire.Authorization> {
  return {
    ...policy,
    scope: wire.AuthorizationScope[policy.scope],
    action: wire.AuthorizationAction[policy.action],
    rules: policy.rules.map(({ clauses }) => ({
      clauses: clauses.map(({ matches }) => ({ matches: matches.map(matchToWire) })),
    })),
    extensions: policy.extensions.map(extensionToWire),
  };
}

function matchFromWire(match: wire.Match): AuthorizationMatch {
  return {
    namespaces: match.namespaces.map(stringMatchFromWire),
    notNamespaces: match.notNamespaces.map(stringMatchFromWire),
    principals: match.principals.map(stringMatchFromWire),
    notPrincipals: match.notPrincipals.map(stringMatchFromWire),
    sourceIps: match.sourceIps.map(cidrFromWire),
    notSourceIps: match.notSourceIps.map(cidrFromWire),
    destinationIps: match.destinationIps.map(cidrFromWire),
    notDestinationIps: match.notDestinationIps.map(cidrFromWire),
    destinationPorts: match.destinationPorts.map((port) => portOf(port, 'destination_ports')),
    notDestinationPorts: match.notDestinationPorts.map((port) => portOf(port, 'not_destination_ports')),
    serviceAccounts: match.serviceAccounts,
    notServiceAccounts: match.notServiceAccounts,
    extensions: match.extensions.map(extensionOf),
  };
}

function matchToWire(match: AuthorizationMatch): InitOf<typeof wire.Match> {
  return {
    ...match,
    namespaces: match.namespaces.map(stringMatchToWire),
    notNamespaces: match.notNamespaces.map(stringMatchToWire),
    principals: match.principals.map(stringMatchToWire),
    notPrincipals: match.notPrincipals.map(stringMatchToWire),
    sourceIps: match.sourceIps.map(cidrToWire),
    notSourceIps: match.notSourceIps.map(cidrToWire),
    destinationIps: match.destinationIps.map(cidrToWire),
    notDestinationIps: match.notDestinationIps.map(cidrToWire),
    extensions: match.extensions.map(extensionToWire),
  };
}

function stringMatchFromWire({ matchType }: wire.StringMatch): StringMatch {
  if (matchType === undefined) throw invalid('a string match of no kind');
  return matchType.kind === 'presence' ? { kind: 'presence' } : matchType;
}

function stringMatchToWire(match: StringMatch): InitOf<typeof wire.StringMatch> {
  return { matchType: match.kind === 'presence' ? { kind: 'presence', value: {} } : match };
}

const MAPPED_PREFIX_BITS = 96;

/** IPv4 addresses written as IPv6 (::ffff:0:0/96) become IPv4: connections are compared by that form. */
function cidrFromWire({ address, length }: wire.Address): Cidr {
  const bits = address.length * 8;
  if (bits !== 32 && bits !== 128) throw invalid(`an address of ${address.length} bytes; it has 4 or 16`);
  if (length > bits) throw invalid(`a prefix of ${length} bits for an address of ${bits}`);
  const mapped = length >= MAPPED_PREFIX_BITS && isMapped(address);
  return mapped ? new Cidr(address.subarray(12), length - MAPPED_PREFIX_BITS) : new Cidr(address, length);
}

function isMapped(address: Uint8Array): boolean {
  return address.subarray(0, 12).every((byte, i) => byte === (i < 10 ? 0 : 0xff));
}

function cidrToWire(cidr: Cidr): InitOf<typeof wire.Address> {
  return { address: cidr.bytes, length: cidr.prefixLength };
}
