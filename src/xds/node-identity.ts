/** How a node proxy names itself to the control plane (istio-ambient §3.1). */

import type { Node } from './discovery-messages.ts';
import type { InitOf } from './message-schema.ts';
import { PARTIAL_RESPONSES_FEATURE } from './partial-responses.ts';
import type { JsonObject } from './struct-value.ts';

export interface NodeIdentity {
  readonly instanceIp: string;
  readonly podName: string;
  readonly podNamespace: string;
  readonly nodeName: string;
  readonly clusterId: string;
  /** JSON values, from ISTIO_META_… and ISTIO_METAJSON_…; they win over the rest. */
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** What Istio's ztunnel sends when it does not know its address; istiod wants one in the node id. */
const UNKNOWN_IP = '1.1.1.1';

export function nodeOf(identity: NodeIdentity): InitOf<typeof Node> {
  const { podName, podNamespace, nodeName, clusterId, metadata = {} } = identity;
  const instanceIp = identity.instanceIp || UNKNOWN_IP;
  return {
    id: `ztunnel~${instanceIp}~${podName}.${podNamespace}~${podNamespace}.svc.cluster.local`,
    metadata: {
      NAME: podName,
      NAMESPACE: podNamespace,
      INSTANCE_IPS: instanceIp,
      NODE_NAME: nodeName,
      CLUSTER_ID: clusterId,
      ...(metadata as JsonObject),
    },
    userAgentName: 'ambit',
    clientFeatures: [PARTIAL_RESPONSES_FEATURE],
  };
}
