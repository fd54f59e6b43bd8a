/** Applies objects to a cluster one after the other, sparing what belongs to others. */

import { AmbitError } from '../../base/errors.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere } from '../cluster/cluster-api.ts';
import type { CustomResourceDefinition, KubeObject } from '../cluster/kube-types.ts';
import { PART_OF_LABEL } from '../cluster/mesh-names.ts';
import { errors } from '../errors.ts';
import { objectName } from './apply-order.ts';
import type { Progress } from './progress.ts';

/** Owner of every field that installation sets. */
export const FIELD_MANAGER = 'ambit';

export interface ApplySettings {
  readonly progress: Progress;
  /** Takes over fields that others manage. */
  readonly force: boolean;
  /** The API server checks everything and stores nothing. */
  readonly dryRun: boolean;
}

/** @throws AmbitError AMBIT_CLI_CONFLICT when somebody else manages a field of an object */
export async function applyObjects(
  cluster: Cluster,
  objects: readonly KubeObject[],
  settings: ApplySettings,
): Promise<void> {
  for (const object of objects) {
    if (settings.dryRun && !(await hasNamespace(cluster, object))) {
      settings.progress.note(`${objectName(object)} cannot be checked before its namespace is there`);
      continue;
    }
    if (await belongsToOthers(cluster, object)) {
      settings.progress.note(`${objectName(object)} is there already and belongs to others: left as it is`);
      continue;
    }
    await applyOne(cluster, object, settings);
    settings.progress.done(`${objectName(object)} applied${settings.dryRun ? ' (dry run)' : ''}`);
  }
}

async function hasNamespace({ api }: Cluster, { metadata }: KubeObject): Promise<boolean> {
  if (metadata.namespace === undefined) return true;
  return (await getIfThere(api, `/api/v1/namespaces/${metadata.namespace}`)) !== undefined;
}

async function applyOne(
  cluster: Cluster,
  object: KubeObject,
  { force, dryRun }: ApplySettings,
): Promise<void> {
  try {
    await cluster.apply(object, { fieldManager: FIELD_MANAGER, force, dryRun });
  } catch (thrown) {
    if (!(thrown instanceof AmbitError) || thrown.code !== 'AMBIT_KUBE_APPLY_CONFLICT') throw thrown;
    throw errors.AMBIT_CLI_CONFLICT(`${objectName(object)}: ${thrown.message}`, thrown);
  }
}

/** Resource definitions are shared with other installations, such as Istio's. */
async function belongsToOthers({ api }: Cluster, object: KubeObject): Promise<boolean> {
  if (object.kind !== 'CustomResourceDefinition') return false;
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${object.metadata.name}`;
  const present = await getIfThere<CustomResourceDefinition>(api, path);
  return present !== undefined && !isOurs(present);
}

export function isOurs({ metadata }: Pick<CustomResourceDefinition, 'metadata'>): boolean {
  return (
    metadata.labels?.[PART_OF_LABEL] === 'ambit' ||
    (metadata.managedFields ?? []).some(({ manager }) => manager === FIELD_MANAGER)
  );
}
