/** Whether gateways at the edge of the mesh send traffic for a service through its waypoint. */

import type { ObjectMeta } from '../../objects/core-types.ts';
import type { CompileContext } from './object-lookup.ts';
import { LABELS } from './well-known-keys.ts';

/** The label on the object, else on its namespace. */
export function ingressUsesWaypoint(context: CompileContext, metadata: ObjectMeta): boolean {
  const own = metadata.labels?.[LABELS.ingressUseWaypoint];
  const namespace = context.objects.get('Namespace', '', metadata.namespace);
  return (own ?? namespace?.metadata.labels?.[LABELS.ingressUseWaypoint]) === 'true';
}
