/** Turns PeerAuthentication into policies that deny connections without an identity. */

import type { Authorization } from '../../mesh/authorization.ts';
import { authorizationName } from '../../mesh/authorization.ts';
import type { MutualTls, PeerAuthentication } from '../../objects/istio-types.ts';
import { matchOf, NO_IDENTITY } from './connection-match.ts';
import type { DesiredCondition } from './desired-condition.ts';
import type { CompileContext } from './object-lookup.ts';
import { labelKeys, selects } from './selectors.ts';
import { compareAge } from './service-hosts.ts';
import type { Labels } from './well-known-keys.ts';

const STATIC_STRICT = 'istio_converted_static_strict';
const CONVERTED_PREFIX = 'converted_peer_authentication_';

/** The one policy that every strict workload names: deny whoever shows no identity. */
export function staticStrictPolicy(context: CompileContext): Authorization {
  return {
    ...denyTemplate(context.options.rootNamespace, STATIC_STRICT),
    rules: [{ clauses: [{ matches: [NO_IDENTITY] }] }],
  };
}

/** Names of the policies that peer authentication asks of a workload. */
export function peerAuthenticationPolicies(
  context: CompileContext,
  namespace: string,
  labels: Labels,
): readonly string[] {
  const own = oldest(
    candidates(context, namespace, labels).filter(
      (one) => hasSelector(one) && selects(one.spec?.selector?.matchLabels ?? {}, labels),
    ),
  );
  const inherited = isStrictNamespace(context, namespace);
  if (own !== undefined && portExceptions(own, inherited).length > 0) {
    return [authorizationName({ namespace, name: CONVERTED_PREFIX + own.metadata.name })];
  }
  const strict = own === undefined ? inherited : isStrict(own.spec?.mtls, inherited);
  return strict ? [authorizationName({ namespace: context.options.rootNamespace, name: STATIC_STRICT })] : [];
}

export interface CompiledPeerAuthentication {
  /** Only for a policy that treats single ports in another way. */
  readonly authorization?: Authorization;
  readonly condition: DesiredCondition;
}

export function compilePeerAuthentication(
  context: CompileContext,
  policy: PeerAuthentication,
): CompiledPeerAuthentication {
  const { namespace, name } = policy.metadata;
  const condition = conditionOf(context, policy);
  const inherited = isStrictNamespace(context, namespace);
  const exceptions = hasSelector(policy) ? portExceptions(policy, inherited) : [];
  if (exceptions.length === 0) return { condition };
  const strict = isStrict(policy.spec?.mtls, inherited);
  // All ports in one match, where one of them is enough: a clause each would have to match all at once.
  const ports = strict
    ? matchOf({ notDestinationPorts: exceptions })
    : matchOf({ destinationPorts: exceptions });
  const authorization = {
    ...denyTemplate(namespace, CONVERTED_PREFIX + name),
    rules: [{ clauses: [{ matches: [NO_IDENTITY] }, { matches: [ports] }] }],
  };
  return { authorization, condition };
}

function denyTemplate(namespace: string, name: string): Omit<Authorization, 'rules'> {
  return { namespace, name, scope: 'WORKLOAD_SELECTOR', action: 'DENY', dryRun: false, extensions: [] };
}

/** What holds for workloads of the namespace that no selector selects: its own policy over that of the mesh. */
function isStrictNamespace(context: CompileContext, namespace: string): boolean {
  const { rootNamespace } = context.options;
  const ofMesh = namespacePolicy(context, rootNamespace);
  const inherited = isStrict(ofMesh?.spec?.mtls, false);
  if (namespace === rootNamespace) return inherited;
  return isStrict(namespacePolicy(context, namespace)?.spec?.mtls, inherited);
}

function namespacePolicy(context: CompileContext, namespace: string): PeerAuthentication | undefined {
  return oldest(candidates(context, namespace, {}).filter((one) => !hasSelector(one)));
}

function candidates(context: CompileContext, namespace: string, labels: Labels): PeerAuthentication[] {
  return labelKeys(namespace, labels).flatMap((key) => [
    ...context.objects.find('peerAuthenticationBySelector', key),
  ]);
}

function hasSelector({ spec }: PeerAuthentication): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
}

/** Of several policies for the same workloads the oldest counts. */
function oldest(policies: readonly PeerAuthentication[]): PeerAuthentication | undefined {
  return [...policies].sort((a, b) => compareAge(a.metadata, b.metadata))[0];
}

/** DISABLE is the same as PERMISSIVE: a captured workload cannot refuse HBONE. */
function isStrict(mtls: MutualTls | undefined, inherited: boolean): boolean {
  const mode = mtls?.mode ?? 'UNSET';
  return mode === 'UNSET' ? inherited : mode === 'STRICT';
}

/** The ports that are not treated as the policy treats the rest, in ascending order. */
function portExceptions(policy: PeerAuthentication, inherited: boolean): readonly number[] {
  const strict = isStrict(policy.spec?.mtls, inherited);
  const ports = Object.entries(policy.spec?.portLevelMtls ?? {})
    .filter(([port, mtls]) => isPort(port) && isStrict(mtls, strict) !== strict)
    .map(([port]) => Number(port));
  return ports.sort((a, b) => a - b);
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) > 0 && Number(text) <= 65535;
}

function conditionOf(context: CompileContext, policy: PeerAuthentication): DesiredCondition {
  const { spec, metadata } = policy;
  const type = 'ZtunnelAccepted';
  const refuse = (reason: string, message: string): DesiredCondition => ({
    type,
    status: 'False',
    reason,
    message,
  });
  const ports = Object.keys(spec?.portLevelMtls ?? {});
  const wrong = ports.filter((port) => !isPort(port));
  const modes = [spec?.mtls, ...Object.values(spec?.portLevelMtls ?? {})].map((one) => one?.mode);
  const rival = olderRival(context, policy);
  if (rival !== undefined) {
    return refuse(
      'Conflicted',
      `${metadata.namespace}/${rival.metadata.name} is older and is for the same workloads; this policy has no effect`,
    );
  }
  if (wrong.length > 0) {
    return refuse('PartiallyInvalid', `portLevelMtls has keys that are no port: ${wrong.join(', ')}`);
  }
  if (ports.length > 0 && !hasSelector(policy)) {
    return refuse('UnsupportedValue', 'portLevelMtls has no effect without a selector');
  }
  if (modes.includes('DISABLE')) {
    return refuse('UnsupportedValue', 'DISABLE is not possible in ambient mode; it is treated as PERMISSIVE');
  }
  return { type, status: 'True', reason: 'Accepted', message: 'enforced by ztunnel' };
}

/** An older policy with the very same selector. */
function olderRival(context: CompileContext, policy: PeerAuthentication): PeerAuthentication | undefined {
  const labels = policy.spec?.selector?.matchLabels ?? {};
  const first = oldest(
    candidates(context, policy.metadata.namespace, labels).filter((other) => sameSelector(other, policy)),
  );
  return first?.metadata.name === policy.metadata.name ? undefined : first;
}

function sameSelector(a: PeerAuthentication, b: PeerAuthentication): boolean {
  const [labelsA, labelsB] = [a.spec?.selector?.matchLabels ?? {}, b.spec?.selector?.matchLabels ?? {}];
  return Object.keys(labelsA).length === Object.keys(labelsB).length && selects(labelsA, labelsB);
}
