/** Whether the agent is being removed from the node for good, or only restarted, upgraded or rebooted. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import type { KubeClient } from '../../kube/kube-client.ts';
import { hasStatus } from '../../kube/kube-request-error.ts';
import { logger } from '../../telemetry/log.ts';
import { isLabelRequirement, matchesSelector } from '../enablement-selector.ts';

export interface AgentPlace {
  readonly namespace: string;
  readonly daemonSet: string;
  readonly node: string;
}

interface NodeSelectorTerm {
  readonly matchExpressions?: readonly unknown[];
}

interface DaemonSet {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly nodeSelector?: Readonly<Record<string, string>>;
        readonly affinity?: {
          readonly nodeAffinity?: {
            readonly requiredDuringSchedulingIgnoredDuringExecution?: {
              readonly nodeSelectorTerms: readonly NodeSelectorTerm[];
            };
          };
        };
      };
    };
  };
}

interface LabelledNode {
  readonly metadata: { readonly labels?: Readonly<Record<string, string>> };
}

/**
 * The API server remembers for 10 s that a token is good: whose ServiceAccount and roles have just been deleted is first
 * told that it may not ask, and then that nobody knows it.
 */
const FORBIDDEN_FOR_MS = 12_000;
const REPEAT_MS = 1_000;
const REQUEST_TIMEOUT_MS = 3_000;

const log = logger('install');

/**
 * True when the DaemonSet is gone or going, when it does not select the node any more, and when the agent's own
 * ServiceAccount is gone. Whatever cannot be found out counts as a restart: then everything stays in force.
 */
export async function isBeingRemoved(client: KubeClient, place: AgentPlace): Promise<boolean> {
  const end = performance.now() + FORBIDDEN_FOR_MS;
  for (;;) {
    try {
      return await asksToGo(client, place);
    } catch (thrown) {
      if (hasStatus(thrown, 404) || hasStatus(thrown, 401)) return true;
      if (!hasStatus(thrown, 403) || performance.now() > end) {
        log.warn('not known whether the agent is removed: all stays in force', { error: messageOf(thrown) });
        return false;
      }
      await setTimeoutAsync(REPEAT_MS);
    }
  }
}

async function asksToGo(client: KubeClient, { namespace, daemonSet, node }: AgentPlace): Promise<boolean> {
  const path = `/apis/apps/v1/namespaces/${namespace}/daemonsets/${daemonSet}`;
  const set = await client.request<DaemonSet>({ path, timeoutMs: REQUEST_TIMEOUT_MS });
  if (set.metadata.deletionTimestamp !== undefined) return true;
  const labels = await nodeLabels(client, node);
  return labels !== undefined && !selects(set, labels);
}

/** Undefined when the node is gone, or may not be looked at: then it counts as selected. */
async function nodeLabels(
  client: KubeClient,
  node: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const path = `/api/v1/nodes/${node}`;
    const { metadata } = await client.request<LabelledNode>({ path, timeoutMs: REQUEST_TIMEOUT_MS });
    return metadata.labels ?? {};
  } catch (thrown) {
    if (hasStatus(thrown, 403) || hasStatus(thrown, 404)) return undefined;
    throw thrown;
  }
}

/** Node selector and required affinity; what is not understood of them counts as fulfilled. */
export function selects(set: DaemonSet, labels: Readonly<Record<string, string>>): boolean {
  const { nodeSelector = {}, affinity } = set.spec.template.spec;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return (
    matchesSelector({ matchLabels: nodeSelector }, labels) &&
    (terms === undefined || terms.some((term) => matchesTerm(term, labels)))
  );
}

function matchesTerm(term: NodeSelectorTerm, labels: Readonly<Record<string, string>>): boolean {
  const expressions = (term.matchExpressions ?? []).filter(isLabelRequirement);
  return matchesSelector({ matchExpressions: expressions }, labels);
}
