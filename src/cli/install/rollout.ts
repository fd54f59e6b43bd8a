/** Waits until the parts of the mesh run as their objects say, and tells what holds them up. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere, listAll } from '../cluster/cluster-api.ts';
import type { DaemonSet, Deployment, KubeEvent, Pod } from '../cluster/kube-types.ts';
import { COMPONENT_LABEL, COMPONENTS, type Component, PART_OF_SELECTOR } from '../cluster/mesh-names.ts';
import { isReady, podTrouble } from '../cluster/pod-trouble.ts';
import { errors } from '../errors.ts';
import type { Progress } from './progress.ts';

export interface RolloutState {
  readonly isDone: boolean;
  /** `daemonset/ambit-cni: 2 of 3 ready`. */
  readonly text: string;
}

interface WaitSettings {
  readonly progress: Progress;
  readonly timeoutMs: number;
}

const POLL_MS = 1000;

/** @throws AmbitError AMBIT_CLI_NOT_READY with what is not ready and why */
export async function waitForRollout(
  cluster: Cluster,
  component: Component,
  { progress, timeoutMs }: WaitSettings,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const state = await readState(cluster, component);
    if (state.isDone) return progress.done(state.text);
    progress.waiting(state.text);
    if (performance.now() > end) throw await notReady(cluster, component, state);
    await delay(POLL_MS);
  }
}

async function readState({ api, meshNamespace }: Cluster, component: Component): Promise<RolloutState> {
  const { name, kind } = COMPONENTS.find((one) => one.component === component)!;
  const path = `/apis/apps/v1/namespaces/${meshNamespace}/${kind.toLowerCase()}s/${name}`;
  if (kind === 'Deployment') return deploymentState(name, await getIfThere<Deployment>(api, path));
  return daemonSetState(name, await getIfThere<DaemonSet>(api, path));
}

/** A Deployment is done when its new pods, and no old ones, are available. */
export function deploymentState(name: string, set: Deployment | undefined): RolloutState {
  if (set === undefined) return { isDone: false, text: `deployment/${name}: is not there` };
  const wanted = set.spec.replicas ?? 1;
  const {
    observedGeneration = 0,
    replicas = 0,
    updatedReplicas = 0,
    availableReplicas = 0,
  } = set.status ?? {};
  if (observedGeneration < set.metadata.generation) return unseen(`deployment/${name}`);
  const isDone = updatedReplicas >= wanted && availableReplicas >= wanted && replicas <= updatedReplicas;
  const old = replicas - updatedReplicas;
  const rest = old > 0 ? `, ${old} old ones to go` : '';
  return {
    isDone,
    text: `deployment/${name}: ${Math.min(availableReplicas, wanted)} of ${wanted} ready${rest}`,
  };
}

/** A DaemonSet is done when every node has a new pod that is ready. */
export function daemonSetState(name: string, set: DaemonSet | undefined): RolloutState {
  if (set === undefined) return { isDone: false, text: `daemonset/${name}: is not there` };
  const {
    observedGeneration = 0,
    desiredNumberScheduled: wanted = 0,
    updatedNumberScheduled: updated = 0,
    numberReady: ready = 0,
  } = set.status ?? {};
  if (observedGeneration < set.metadata.generation) return unseen(`daemonset/${name}`);
  const rest = updated < wanted ? `, ${wanted - updated} still old` : '';
  return {
    isDone: updated >= wanted && ready >= wanted,
    text: `daemonset/${name}: ${ready} of ${wanted} ready${rest}`,
  };
}

function unseen(name: string): RolloutState {
  return { isDone: false, text: `${name}: not yet seen by its controller` };
}

async function notReady(
  { api, meshNamespace }: Cluster,
  component: Component,
  state: RolloutState,
): Promise<Error> {
  const namespace = `/api/v1/namespaces/${meshNamespace}`;
  const labelSelector = `${PART_OF_SELECTOR},${COMPONENT_LABEL}=${component}`;
  const [pods, events] = await Promise.all([
    listAll<Pod>(api, `${namespace}/pods`, { labelSelector }),
    listAll<KubeEvent>(api, `${namespace}/events`),
  ]);
  return errors.AMBIT_CLI_NOT_READY([state.text, ...troubles(pods, events)].join('\n  '));
}

/** One line for each pod that is not ready. */
export function troubles(pods: readonly Pod[], events: readonly KubeEvent[]): string[] {
  return pods
    .filter((pod) => !isReady(pod))
    .map(
      (pod) => `pod/${pod.metadata.name} on ${pod.spec?.nodeName ?? 'no node'}: ${podTrouble(pod, events)}`,
    );
}
