/** How a service's endpoints are chosen, and who may see the service. */

import type { LoadBalancing, RoutingScope, Visibility } from '../../mesh/service.ts';
import type { ObjectMeta, Service } from '../../objects/core-types.ts';
import type { ServiceEntry } from '../../objects/istio-types.ts';
import type { DesiredCondition } from './desired-condition.ts';
import type { CompileContext } from './object-lookup.ts';
import { ANNOTATIONS } from './well-known-keys.ts';

const SAME_ZONE: readonly RoutingScope[] = ['NETWORK', 'REGION', 'ZONE'];
const SAME_NODE: readonly RoutingScope[] = [...SAME_ZONE, 'SUBZONE', 'NODE'];

/** Values of `trafficDistribution`, in lower case. */
const PREFERENCES: Readonly<Record<string, readonly RoutingScope[]>> = {
  preferclose: SAME_ZONE,
  prefersamezone: SAME_ZONE,
  prefersamenode: SAME_NODE,
};

/** Undefined when every healthy endpoint is as good as any other. */
export function loadBalancingOfService(context: CompileContext, service: Service): LoadBalancing | undefined {
  const healthPolicy = service.spec?.publishNotReadyAddresses === true ? 'ALLOW_ALL' : 'ONLY_HEALTHY';
  if (service.spec?.internalTrafficPolicy === 'Local') {
    return { routingPreference: ['NODE'], mode: 'STRICT', healthPolicy };
  }
  const preference = preferenceOf(context, service.metadata, service.spec?.trafficDistribution);
  if (preference !== undefined) return { routingPreference: preference, mode: 'FAILOVER', healthPolicy };
  return healthPolicy === 'ALLOW_ALL'
    ? { routingPreference: [], mode: 'UNSPECIFIED', healthPolicy }
    : undefined;
}

export function loadBalancingOfServiceEntry(
  context: CompileContext,
  entry: ServiceEntry,
): LoadBalancing | undefined {
  if ((entry.spec.resolution ?? 'NONE') === 'NONE') {
    return { routingPreference: [], mode: 'PASSTHROUGH', healthPolicy: 'ONLY_HEALTHY' };
  }
  const preference = preferenceOf(context, entry.metadata, undefined);
  return preference && { routingPreference: preference, mode: 'FAILOVER', healthPolicy: 'ONLY_HEALTHY' };
}

/** The field wins over the annotation, the object over its namespace; any other word (`Any`) asks for nothing. */
function preferenceOf(
  context: CompileContext,
  metadata: ObjectMeta,
  field: string | undefined,
): readonly RoutingScope[] | undefined {
  const wish =
    field ??
    metadata.annotations?.[ANNOTATIONS.trafficDistribution] ??
    context.objects.get('Namespace', '', metadata.namespace)?.metadata.annotations?.[
      ANNOTATIONS.trafficDistribution
    ];
  const key = wish?.toLowerCase() ?? '';
  return Object.hasOwn(PREFERENCES, key) ? PREFERENCES[key] : undefined;
}

export interface VisibilityDecision {
  readonly visibility: Visibility;
  /** False: nobody may see it, it is not sent at all. */
  readonly exported: boolean;
  readonly condition?: DesiredCondition;
}

export function visibilityOfService({ metadata }: Service): VisibilityDecision {
  return visibilityOf(metadata.annotations?.[ANNOTATIONS.exportTo]?.split(','), metadata.namespace);
}

/** `.` or the own namespace alone: this namespace; `~`: nobody; everything else: everybody. */
export function visibilityOf(exportTo: readonly string[] | undefined, namespace: string): VisibilityDecision {
  const targets = (exportTo ?? []).map((one) => one.trim()).filter((one) => one !== '');
  if (targets.length === 0) return { visibility: 'PUBLIC', exported: true };
  if (targets.every((one) => one === '.' || one === namespace)) {
    const condition = applied('True', 'Namespace', `visible in namespace ${namespace} only`);
    return { visibility: 'NAMESPACE', exported: true, condition };
  }
  if (targets.every((one) => one === '~')) {
    return {
      visibility: 'NAMESPACE',
      exported: false,
      condition: applied('True', 'None', 'visible nowhere'),
    };
  }
  const partly = !targets.includes('*');
  const condition = partly
    ? applied(
        'False',
        'Public',
        `single namespaces in exportTo are not supported (${targets.join(', ')}): visible everywhere`,
      )
    : applied('True', 'Public', 'visible everywhere');
  return { visibility: 'PUBLIC', exported: true, condition };
}

function applied(status: 'True' | 'False', reason: string, message: string): DesiredCondition {
  return { type: 'istio.io/VisibilityApplied', status, reason, message };
}
