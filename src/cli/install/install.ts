/** Installs the mesh, and upgrades it part by part. */

import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere } from '../cluster/cluster-api.ts';
import type { Deployment, KubeObject } from '../cluster/kube-types.ts';
import { COMPONENT_LABEL, COMPONENTS, CONTROL_PLANE, type Component } from '../cluster/mesh-names.ts';
import { versionOfSet } from '../cluster/part-version.ts';
import { errors } from '../errors.ts';
import { type ApplySettings, applyObjects } from './apply-objects.ts';
import { inApplyOrder, isWorkload } from './apply-order.ts';
import { waitForResourceDefinitions } from './resource-definitions.ts';
import { waitForRollout } from './rollout.ts';
import { upgradePath } from './upgrade-path.ts';

export interface InstallSettings extends ApplySettings {
  readonly timeoutMs: number;
  /** Until every part is ready on every node. */
  readonly wait: boolean;
}

/**
 * Applies everything. The proxies come last where anything is waited for: the control plane publishes the root certificate
 * that they mount, and a pod that is made before that is tried again by its kubelet only after a while.
 */
export async function install(
  cluster: Cluster,
  objects: readonly KubeObject[],
  settings: InstallSettings,
): Promise<void> {
  await applyFoundations(cluster, objects, settings);
  for (const stage of STAGES) {
    const workloads = stage.flatMap((component) => workloadsOf(objects, component));
    await applyObjects(cluster, workloads, settings);
    if (settings.dryRun || !settings.wait) continue;
    for (const component of stage) await waitForRollout(cluster, component, settings);
  }
}

/** Agents do not wait for the control plane: where a plugin was left on a node, no other pod starts there without one. */
const STAGES: readonly (readonly Component[])[] = [['controlplane', 'cni'], ['ztunnel']];

/**
 * The control plane first, then the agents, then the proxies: each step is waited for, so that older parts only ever
 * meet newer ones that they understand.
 * @throws AmbitError AMBIT_CLI_UNSUPPORTED_UPGRADE, AMBIT_CLI_NOT_INSTALLED
 */
export async function upgrade(
  cluster: Cluster,
  { objects, version }: { readonly objects: readonly KubeObject[]; readonly version: string },
  settings: InstallSettings,
): Promise<void> {
  const from = await installedVersion(cluster);
  const path = upgradePath(from, version);
  if (path.kind === 'refused') throw errors.AMBIT_CLI_UNSUPPORTED_UPGRADE(path.reason);
  settings.progress.note(
    path.kind === 'same' ? `${version} is installed; settings may change` : `${from} → ${version}`,
  );
  await applyFoundations(cluster, objects, settings);
  for (const { component } of COMPONENTS) {
    await applyObjects(cluster, workloadsOf(objects, component), settings);
    if (!settings.dryRun) await waitForRollout(cluster, component, settings);
  }
}

function workloadsOf(objects: readonly KubeObject[], component: Component): KubeObject[] {
  return objects.filter((one) => isWorkload(one) && one.metadata.labels?.[COMPONENT_LABEL] === component);
}

/** What the control plane says that it is; the parts behind it may be older. */
export async function installedVersion({ api, meshNamespace }: Cluster): Promise<string | undefined> {
  const path = `/apis/apps/v1/namespaces/${meshNamespace}/deployments/${CONTROL_PLANE}`;
  const deployment = await getIfThere<Deployment>(api, path);
  if (deployment === undefined)
    throw errors.AMBIT_CLI_NOT_INSTALLED(`no mesh is installed in ${meshNamespace}`);
  return versionOfSet(deployment);
}

/** Everything that the workloads need. */
async function applyFoundations(
  cluster: Cluster,
  objects: readonly KubeObject[],
  settings: InstallSettings,
): Promise<void> {
  const foundations = inApplyOrder(objects.filter((object) => !isWorkload(object)));
  await applyObjects(cluster, foundations, settings);
  if (!settings.dryRun) await waitForResourceDefinitions(cluster, foundations, settings.timeoutMs);
}
