/** Turns an AuthorizationPolicy into the policy that node proxies enforce, and says what they do not. */

import type { Authorization, AuthorizationScope } from '../../mesh/authorization.ts';
import type { AuthorizationPolicy, PolicyTargetReference } from '../../objects/istio-types.ts';
import { convertRule, type RuleResult } from './authorization-rule.ts';
import type { DesiredCondition } from './desired-condition.ts';
import type { CompileContext } from './object-lookup.ts';
import { bindWaypoint } from './waypoint-binding.ts';
import { ANNOTATIONS } from './well-known-keys.ts';

const ZTUNNEL_ACCEPTED = 'ZtunnelAccepted';

export interface CompiledPolicy {
  /** Absent when node proxies have nothing to do with the policy. */
  readonly authorization?: Authorization;
  readonly condition?: DesiredCondition;
}

export function compileAuthorizationPolicy(
  context: CompileContext,
  policy: AuthorizationPolicy,
): CompiledPolicy {
  const targets = targetsOf(policy);
  if (targets.length > 0) return withCondition(targetCondition(context, policy, targets));
  const action = policy.spec?.action ?? 'ALLOW';
  if (action !== 'ALLOW' && action !== 'DENY') {
    return withCondition(condition('UnsupportedValue', `ztunnel does not support the ${action} action`));
  }
  const { name, namespace } = policy.metadata;
  const results = (policy.spec?.rules ?? []).map((rule) => convertRule(rule, action, namespace));
  const authorization: Authorization = {
    name,
    namespace,
    scope: scopeOf(context, policy),
    action,
    rules: results.flatMap(({ rule }) => rule ?? []),
    dryRun: policy.metadata.annotations?.[ANNOTATIONS.dryRun] === 'true',
    extensions: [],
  };
  return { authorization, condition: conditionOf(authorization, results) };
}

/** Whether the policy is one that workloads name, because its selector selects them. */
export function isSelectedByWorkloads(policy: AuthorizationPolicy): boolean {
  const action = policy.spec?.action ?? 'ALLOW';
  return targetsOf(policy).length === 0 && hasSelector(policy) && (action === 'ALLOW' || action === 'DENY');
}

function targetsOf({ spec }: AuthorizationPolicy): readonly PolicyTargetReference[] {
  return [...(spec?.targetRef === undefined ? [] : [spec.targetRef]), ...(spec?.targetRefs ?? [])];
}

function hasSelector({ spec }: AuthorizationPolicy): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
}

function scopeOf(context: CompileContext, policy: AuthorizationPolicy): AuthorizationScope {
  if (hasSelector(policy)) return 'WORKLOAD_SELECTOR';
  return policy.metadata.namespace === context.options.rootNamespace ? 'GLOBAL' : 'NAMESPACE';
}

function withCondition(one: DesiredCondition | undefined): CompiledPolicy {
  return one === undefined ? {} : { condition: one };
}

function condition(reason: string, message: string): DesiredCondition {
  return { type: ZTUNNEL_ACCEPTED, status: 'False', reason, message };
}

function conditionOf({ action, rules }: Authorization, results: readonly RuleResult[]): DesiredCondition {
  const unsupported = [...new Set(results.flatMap((result) => result.unsupported))];
  const invalid = results.flatMap((result, at) => result.invalid.map((one) => `rules[${at}].${one}`));
  const lost = results.length - rules.length;
  if (unsupported.length > 0) {
    const found = `ztunnel does not support ${unsupported.join(', ')}: use a waypoint with targetRefs`;
    return condition('UnsupportedValue', `${found}. ${consequence(action, lost, results.length)}`);
  }
  if (invalid.length > 0) {
    const reason = rules.length === 0 ? 'Invalid' : 'PartiallyInvalid';
    return condition(reason, `${invalid.join('; ')}. ${consequence(action, lost, results.length)}`);
  }
  const message = 'enforced by ztunnel';
  return { type: ZTUNNEL_ACCEPTED, status: 'True', reason: 'Accepted', message };
}

/** What the user gets instead of what was written. */
function consequence(action: 'ALLOW' | 'DENY', lost: number, total: number): string {
  if (action === 'ALLOW') {
    const all = lost === total ? ', so nothing is allowed by this policy' : '';
    return `${lost} of ${total} rules are left out${all}: more is refused than was asked for.`;
  }
  const kept =
    lost === total ? '' : ' The rest of each rule is enforced alone: more is refused than was asked for.';
  return lost === 0 ? kept.trimStart() : `${lost} of ${total} rules have no effect.${kept}`;
}

/** Policies with targets are for waypoints; here is only said when none of them will enforce one. */
function targetCondition(
  context: CompileContext,
  policy: AuthorizationPolicy,
  targets: readonly PolicyTargetReference[],
): DesiredCondition | undefined {
  const { namespace } = policy.metadata;
  const refuse = (reason: string, message: string): DesiredCondition => ({
    type: 'WaypointAccepted',
    status: 'False',
    reason,
    message,
  });
  for (const { kind, name } of targets) {
    const state = targetState(context, namespace, kind, name);
    if (state === 'missing') return refuse('TargetNotFound', `${kind} ${name} does not exist`);
    if (state === 'without waypoint') {
      return refuse('AncestorNotBound', `${kind} ${name} has no waypoint, so nothing enforces this policy`);
    }
  }
  return undefined;
}

type TargetState = 'missing' | 'without waypoint' | 'there';

function targetState(context: CompileContext, namespace: string, kind: string, name: string): TargetState {
  if (kind === 'Service' || kind === 'ServiceEntry') {
    const target = context.objects.get(kind, namespace, name);
    if (target === undefined) return 'missing';
    const { waypoint } = bindWaypoint(context, target.metadata, 'service');
    return waypoint === undefined ? 'without waypoint' : 'there';
  }
  const gateway = kind === 'Gateway' && context.objects.get('Gateway', namespace, name) !== undefined;
  const ofClass = kind === 'GatewayClass' && context.objects.get('GatewayClass', '', name) !== undefined;
  return gateway || ofClass ? 'there' : 'missing';
}
