/** Which waypoint an object has asked for, whether it gets it, and what to tell the user about it. */

import type { GatewayAddress } from '../../mesh/gateway-address.ts';
import type { WeightedWaypoint } from '../../mesh/service.ts';
import type { ObjectMeta } from '../../objects/core-types.ts';
import type { Gateway } from '../../objects/gateway-types.ts';
import type { DesiredCondition } from './desired-condition.ts';
import type { CompileContext } from './object-lookup.ts';
import { allowsNamespace, describeWaypoint, handles, isWaypoint, type Waypoint } from './waypoint.ts';
import { ANNOTATIONS, LABELS, type Labels } from './well-known-keys.ts';

/** Condition types and reasons are those of Istio, so that tools that know them work. */
const WAYPOINT_BOUND = 'istio.io/WaypointBound';

export interface WaypointBinding {
  readonly waypoint?: GatewayAddress;
  readonly weightedWaypoints: readonly WeightedWaypoint[];
  /** Absent when no waypoint was asked for. */
  readonly condition?: DesiredCondition;
}

export const UNBOUND: WaypointBinding = { weightedWaypoints: [] };

/** The object that carries the label, and what it says. */
interface Wish {
  readonly name: string;
  readonly namespace: string;
  readonly inherited: boolean;
  /** Labels and annotations beside it, for the canary. */
  readonly labels: Labels;
  readonly annotations: Labels;
}

type Refusal = 'WaypointIsNotReady' | 'AttachmentDenied' | 'UnsupportedTrafficType';
type Resolution =
  | { readonly kind: 'bound'; readonly waypoint: Waypoint; readonly address: GatewayAddress }
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly message: string };

/**
 * The waypoint for traffic to an object: from the label on the object itself, else on its namespace; `none` opts out.
 * A workload ignores a waypoint inherited from its namespace that is only for services.
 */
export function bindWaypoint(
  context: CompileContext,
  metadata: ObjectMeta,
  traffic: 'service' | 'workload',
): WaypointBinding {
  const wish = servesWaypoint(context, metadata) ? undefined : wishOf(context, metadata);
  if (wish === undefined) return UNBOUND;
  const primary = resolve(context, { ...wish, traffic, client: metadata.namespace });
  if (primary.kind === 'refused') {
    const ignored = primary.reason === 'UnsupportedTrafficType' && traffic === 'workload' && wish.inherited;
    return ignored ? UNBOUND : { ...UNBOUND, condition: condition('False', primary.reason, primary.message) };
  }
  const bound = { waypoint: primary.address, weightedWaypoints: [] };
  const message = `attached to waypoint ${wish.namespace}/${wish.name}`;
  const canary = bindCanary(context, wish, { traffic, client: metadata.namespace, primary: primary.address });
  return { ...bound, condition: condition('True', 'WaypointAccepted', message), ...canary };
}

/** The pods and the Service of a waypoint are not behind one: traffic would never arrive. */
function servesWaypoint(context: CompileContext, metadata: ObjectMeta): boolean {
  const gateway = gatewayOf(context, metadata);
  return gateway !== undefined && isWaypoint(gateway);
}

/** The Gateway that an object was made for. */
export function gatewayOf(context: CompileContext, metadata: ObjectMeta): Gateway | undefined {
  const name = metadata.labels?.[LABELS.gatewayName];
  return name === undefined ? undefined : context.objects.get('Gateway', metadata.namespace, name);
}

function condition(status: 'True' | 'False', reason: string, message: string): DesiredCondition {
  return { type: WAYPOINT_BOUND, status, reason, message };
}

function wishOf(context: CompileContext, metadata: ObjectMeta): Wish | undefined {
  const { labels = {}, annotations = {}, namespace } = metadata;
  const own = wishIn(labels, annotations, namespace);
  if (own !== undefined) return own === 'none' ? undefined : { ...own, inherited: false };
  const parent = context.objects.get('Namespace', '', namespace)?.metadata;
  const inherited = wishIn(parent?.labels ?? {}, parent?.annotations ?? {}, namespace);
  return inherited === undefined || inherited === 'none' ? undefined : { ...inherited, inherited: true };
}

function wishIn(
  labels: Labels,
  annotations: Labels,
  namespace: string,
): Omit<Wish, 'inherited'> | 'none' | undefined {
  const name = labels[LABELS.useWaypoint];
  if (name === undefined || name === '') return undefined;
  if (name === 'none') return 'none';
  return { name, namespace: labels[LABELS.useWaypointNamespace] ?? namespace, labels, annotations };
}

interface Target {
  readonly name: string;
  readonly namespace: string;
  readonly traffic: 'service' | 'workload';
  /** Namespace of the object that wants to attach. */
  readonly client: string;
}

function resolve(context: CompileContext, target: Target): Resolution {
  const label = `waypoint ${target.namespace}/${target.name}`;
  const refuse = (reason: Refusal, message: string): Resolution => ({ kind: 'refused', reason, message });
  const gateway = context.objects.get('Gateway', target.namespace, target.name);
  if (gateway === undefined) {
    return refuse('WaypointIsNotReady', `${label} does not exist; traffic goes directly`);
  }
  if (!isWaypoint(gateway)) {
    return refuse(
      'WaypointIsNotReady',
      `Gateway ${target.namespace}/${target.name} is not a waypoint: it has no HBONE listener`,
    );
  }
  if (!allowsNamespace(context, gateway, target.client)) {
    const message = `${label} does not allow attachment from namespace ${target.client} (allowedRoutes of its listener)`;
    return refuse('AttachmentDenied', message);
  }
  const waypoint = describeWaypoint(context, gateway);
  if (!handles(waypoint, target.traffic)) {
    const message = `${label} is for ${waypoint.traffic} traffic, this is ${target.traffic} traffic`;
    return refuse('UnsupportedTrafficType', message);
  }
  if (waypoint.address === undefined) {
    return refuse('WaypointIsNotReady', `${label} has no address yet; traffic goes directly`);
  }
  return { kind: 'bound', waypoint, address: waypoint.address };
}

interface CanaryTarget {
  readonly traffic: 'service' | 'workload';
  readonly client: string;
  readonly primary: GatewayAddress;
}

/** A second waypoint that takes a share of the connections; what is wrong with it does not undo the first one. */
function bindCanary(context: CompileContext, wish: Wish, target: CanaryTarget): Partial<WaypointBinding> {
  const name = wish.labels[LABELS.useWaypointCanary];
  if (name === undefined || name === '') return {};
  const namespace = wish.labels[LABELS.useWaypointCanaryNamespace] ?? wish.namespace;
  if (name === wish.name && namespace === wish.namespace) {
    return {
      condition: condition('False', 'CanarySameAsPrimary', `${namespace}/${name} is the waypoint itself`),
    };
  }
  const weight = canaryWeight(wish.annotations);
  if (weight === undefined) {
    const message = `annotation ${ANNOTATIONS.useWaypointCanaryWeight} must be a whole number from 0 to 100`;
    return { condition: condition('False', 'CanaryInvalidWeight', message) };
  }
  const canary = resolve(context, { name, namespace, traffic: target.traffic, client: target.client });
  if (canary.kind === 'refused') return { condition: condition('False', canary.reason, canary.message) };
  const weighted = [
    { destination: target.primary, weight: 100 - weight },
    { destination: canary.address, weight },
  ];
  return { weightedWaypoints: weighted.filter((one) => one.weight > 0) };
}

function canaryWeight(annotations: Labels): number | undefined {
  const text = annotations[ANNOTATIONS.useWaypointCanaryWeight] ?? '';
  const weight = Number(text);
  return /^\d{1,3}$/.test(text) && weight <= 100 ? weight : undefined;
}
