/** Takes the mesh out of a cluster in the order that keeps traffic going, and tells what it could not take away. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere, listAll } from '../cluster/cluster-api.ts';
import type { KubeObject, Node, Pod } from '../cluster/kube-types.ts';
import {
  AGENT,
  COMPONENT_LABEL,
  CONTROL_PLANE,
  PART_OF_LABEL,
  PART_OF_SELECTOR,
  PROXY,
} from '../cluster/mesh-names.ts';
import { podByNode } from '../cluster/node-answers.ts';
import { isReady } from '../cluster/pod-trouble.ts';
import { errors } from '../errors.ts';
import type { Progress } from '../install/progress.ts';
import {
  annotatedPods,
  deleteObject,
  type Found,
  labelledObjects,
  publishedRoots,
  removeTaint,
  resourceDefinitions,
  taintedNodes,
} from './leftovers.ts';

export interface UninstallSettings {
  readonly progress: Progress;
  readonly timeoutMs: number;
  /** Resource definitions too, and with them every policy and entry of every user. */
  readonly purge: boolean;
}

const POLL_MS = 500;

/**
 * Agents first, because they clean pods and hosts, while proxies still serve and the control plane still answers; then
 * the proxies, the control plane, and what it has published.
 * @throws AmbitError AMBIT_CLI_LEFT_BEHIND with everything that is left
 */
export async function uninstall(cluster: Cluster, settings: UninstallSettings): Promise<void> {
  const { progress } = settings;
  const uncleaned = await nodesWithoutAgent(cluster);
  await deleteWorkload(cluster, 'daemonsets', AGENT, settings);
  const annotated = await annotatedPods(cluster);
  if (annotated.length === 0) progress.done('no pod is redirected any more');
  await deleteWorkload(cluster, 'daemonsets', PROXY, settings);
  await deleteWorkload(cluster, 'deployments', CONTROL_PLANE, settings);
  await deleteAll(cluster, await publishedRoots(cluster), settings);
  await deleteAll(cluster, await labelledObjects(cluster), settings);
  if (settings.purge) await deleteAll(cluster, await resourceDefinitions(cluster), settings);
  for (const node of await taintedNodes(cluster)) await removeTaint(cluster, node);
  await deleteNamespace(cluster, settings);
  const left = [
    ...uncleaned,
    ...annotated.map(leftPod),
    ...(await namesOfLeftObjects(cluster, settings.purge)),
  ];
  if (left.length > 0) throw errors.AMBIT_CLI_LEFT_BEHIND(`left behind:\n  ${left.join('\n  ')}`);
  progress.done('nothing of the mesh is left');
}

/** Nobody cleans the host of a node whose agent does not run. */
async function nodesWithoutAgent({ api, meshNamespace }: Cluster): Promise<string[]> {
  const labelSelector = `${PART_OF_SELECTOR},${COMPONENT_LABEL}=cni`;
  const [nodes, pods] = await Promise.all([
    listAll<Node>(api, '/api/v1/nodes'),
    listAll<Pod>(api, `/api/v1/namespaces/${meshNamespace}/pods`, { labelSelector }),
  ]);
  if (pods.length === 0) return [];
  const byNode = podByNode(pods, 'cni');
  return nodes
    .map(({ metadata }) => metadata.name)
    .filter((name) => {
      const pod = byNode.get(name);
      return pod === undefined || !isReady(pod);
    })
    .map((name) => `node/${name}: no agent was ready there to clean it`);
}

function leftPod({ metadata, spec }: Pod): string {
  return `pod/${metadata.namespace}/${metadata.name}: its agent on ${spec?.nodeName} did not clean it`;
}

async function deleteWorkload(
  cluster: Cluster,
  plural: string,
  name: string,
  settings: UninstallSettings,
): Promise<void> {
  const path = `/apis/apps/v1/namespaces/${cluster.meshNamespace}/${plural}/${name}`;
  await deleteObject(cluster, path);
  await waitUntilGone(cluster, path, `${plural.slice(0, -1)}/${name}`, settings);
}

/** Some objects have finalizers, as resource definitions have for the sake of their objects. */
async function deleteAll(
  cluster: Cluster,
  found: readonly Found[],
  settings: UninstallSettings,
): Promise<void> {
  for (const { path } of found) await deleteObject(cluster, path);
  for (const { path, name } of found) await waitUntilGone(cluster, path, name, settings);
}

/** A namespace that somebody else has made, or that holds the rest of something, is not ours to delete. */
async function deleteNamespace(cluster: Cluster, settings: UninstallSettings): Promise<void> {
  const path = `/api/v1/namespaces/${cluster.meshNamespace}`;
  const namespace = await getIfThere<KubeObject>(cluster.api, path);
  if (namespace?.metadata.labels?.[PART_OF_LABEL] !== 'ambit') return;
  await deleteObject(cluster, path);
  await waitUntilGone(cluster, path, `namespace/${cluster.meshNamespace}`, settings);
}

async function waitUntilGone(
  { api }: Cluster,
  path: string,
  name: string,
  { progress, timeoutMs }: UninstallSettings,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while ((await getIfThere(api, path)) !== undefined) {
    progress.waiting(`${name} is going`);
    if (performance.now() > end) {
      throw errors.AMBIT_CLI_NOT_READY(`${name} is still there after ${timeoutMs / 1000} s`);
    }
    await delay(POLL_MS);
  }
  progress.done(`${name} is gone`);
}

async function namesOfLeftObjects(cluster: Cluster, purge: boolean): Promise<string[]> {
  const found = await Promise.all([
    labelledObjects(cluster),
    publishedRoots(cluster),
    purge ? resourceDefinitions(cluster) : [],
  ]);
  return found.flat().map(({ name }) => name);
}
