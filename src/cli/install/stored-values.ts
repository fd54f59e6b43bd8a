/** The settings of an installation as the cluster keeps them, so that an upgrade does not set them back. */

import { parse, stringify } from 'yaml';
import { isJsonObject, type Json, type JsonObject } from '../../install/manifest.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere } from '../cluster/cluster-api.ts';
import type { ConfigMap, KubeObject } from '../cluster/kube-types.ts';
import { PART_OF_LABEL } from '../cluster/mesh-names.ts';
import { errors } from '../errors.ts';

export const VALUES_CONFIG_MAP = 'ambit-values';
const KEY = 'values.yaml';

/** Is applied with the other objects. */
export function valuesConfigMap(namespace: string, values: JsonObject): KubeObject {
  const labels = { 'app.kubernetes.io/name': 'ambit', [PART_OF_LABEL]: 'ambit' };
  const object = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: VALUES_CONFIG_MAP, namespace, labels },
    data: { [KEY]: stringify(values) },
  };
  return object;
}

/** Empty where nothing was installed by this command. */
export async function readStoredValues({ api, meshNamespace }: Cluster): Promise<JsonObject> {
  const path = `/api/v1/namespaces/${meshNamespace}/configmaps/${VALUES_CONFIG_MAP}`;
  const map = await getIfThere<ConfigMap>(api, path);
  const values: Json = parse(map?.data?.[KEY] ?? '') ?? {};
  return isJsonObject(values) ? values : {};
}

/**
 * An image that was named with its tag or digest is that of one version: nobody can guess that of another.
 * @throws AmbitError AMBIT_CLI_USAGE where the next one is not named
 */
export function checkImage(stored: JsonObject, given: JsonObject): void {
  if ('image' in given || 'tag' in given) return;
  const { image, tag } = stored;
  const isPinned =
    tag !== undefined || (typeof image === 'string' && /[@:]/.test(image.split('/').at(-1) ?? ''));
  if (!isPinned) return;
  throw errors.AMBIT_CLI_USAGE(
    `the installed image is ${String(image ?? tag)}: name that of this version with --image`,
  );
}
