/** Waits until the API server serves the kinds whose definitions were applied. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/cluster.ts';
import { getIfThere } from '../cluster/cluster-api.ts';
import type { CustomResourceDefinition, KubeObject } from '../cluster/kube-types.ts';
import { errors } from '../errors.ts';

const POLL_MS = 200;

/** @throws AmbitError AMBIT_CLI_NOT_READY */
export async function waitForResourceDefinitions(
  { api }: Cluster,
  objects: readonly KubeObject[],
  timeoutMs: number,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  for (const { metadata } of objects.filter(({ kind }) => kind === 'CustomResourceDefinition')) {
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${metadata.name}`;
    while (!isEstablished(await getIfThere<CustomResourceDefinition>(api, path))) {
      if (performance.now() > end) throw errors.AMBIT_CLI_NOT_READY(`${metadata.name} is not served`);
      await delay(POLL_MS);
    }
  }
}

function isEstablished(definition: CustomResourceDefinition | undefined): boolean {
  const conditions = definition?.status?.conditions ?? [];
  return conditions.some(({ type, status }) => type === 'Established' && status === 'True');
}
