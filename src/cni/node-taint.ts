/** The taint that keeps pods away from a node until its agent can enrol them. */

import type { KubeClient } from '../kube/kube-client.ts';
import { MERGE_PATCH_TYPE } from '../kube/kube-client.ts';
import { hasStatus } from '../kube/kube-request-error.ts';
import { logger } from '../telemetry/log.ts';

/** Operators register nodes with it, with the effect NoSchedule. */
export const NOT_READY_TAINT = 'ambit.io/agent-not-ready';
/** Others write nodes all the time; each attempt reads anew. */
const MAX_CONFLICTS = 10;

interface TaintedNode {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: { readonly taints?: readonly { readonly key: string }[] };
}

const log = logger('cni');

/** Does nothing when the node does not have it. @throws {KubeRequestError} */
export async function removeNotReadyTaint(client: KubeClient, node: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const path = `/api/v1/nodes/${node}`;
    const { metadata, spec } = await client.request<TaintedNode>({ path });
    const taints = spec?.taints ?? [];
    const others = taints.filter(({ key }) => key !== NOT_READY_TAINT);
    if (others.length === taints.length) return;
    const body = { metadata: { resourceVersion: metadata.resourceVersion }, spec: { taints: others } };
    try {
      await client.request({ method: 'PATCH', path, body, contentType: MERGE_PATCH_TYPE });
      log.info('taint removed', { node, taint: NOT_READY_TAINT });
      return;
    } catch (thrown) {
      if (!hasStatus(thrown, 409) || attempt === MAX_CONFLICTS) throw thrown;
    }
  }
}
