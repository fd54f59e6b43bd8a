/** `ambit version`: this command and the parts that run in the cluster. */

import { VERSION } from '../base/version.ts';
import type { Cluster } from './cluster/cluster.ts';
import { listAll } from './cluster/cluster-api.ts';
import type { Pod } from './cluster/kube-types.ts';
import { COMPONENTS, PART_OF_SELECTOR } from './cluster/mesh-names.ts';
import { podsOfComponent } from './cluster/node-answers.ts';
import { versionOfPod } from './cluster/part-version.ts';

export interface PartVersion {
  readonly part: string;
  readonly version: string;
  /** Pods of that version. */
  readonly pods: number;
}

export interface Versions {
  readonly client: string;
  readonly parts?: readonly PartVersion[];
}

export function clientVersion(): Versions {
  return { client: VERSION };
}

export async function versionsOf({ api, meshNamespace }: Cluster): Promise<Versions> {
  const path = `/api/v1/namespaces/${meshNamespace}/pods`;
  const pods = await listAll<Pod>(api, path, { labelSelector: PART_OF_SELECTOR });
  return { client: VERSION, parts: partVersions(pods) };
}

/** One line for each version that a part has pods of. */
export function partVersions(pods: readonly Pod[]): PartVersion[] {
  return COMPONENTS.flatMap(({ component, name }) => {
    const versions = podsOfComponent(pods, component).map((pod) => versionOfPod(pod) ?? 'unknown');
    const counts = Map.groupBy(versions, (version) => version);
    return [...counts].map(([version, all]) => ({ part: name, version, pods: all.length }));
  });
}

export function formatVersions({ client, parts }: Versions): string {
  const lines = [`client: ${client}`];
  for (const { part, version, pods } of parts ?? []) {
    lines.push(`${part}: ${version} (${pods} ${pods === 1 ? 'pod' : 'pods'})`);
  }
  if (parts?.length === 0) lines.push('no part of the mesh runs in the cluster');
  return `${lines.join('\n')}\n`;
}
