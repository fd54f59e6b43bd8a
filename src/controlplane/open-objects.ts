/** Where the control plane reads its objects: a folder of manifests, or a Kubernetes API server. */

import { FolderSource } from '../objects/folder-source.ts';
import { OBJECT_KINDS } from '../objects/kinds.ts';
import type { ObjectSource } from '../objects/object-source.ts';
import type { ControlPlaneConfig } from './config.ts';

/** Name of this process among those that write to the same folder. */
const FOLDER_WRITER = 'controlplane';
const FIELD_MANAGER = 'ambit-controlplane';

/**
 * Not started yet. What talks to Kubernetes is loaded only when it is needed.
 * @throws AMBIT_KUBE_CONFIG_INVALID
 */
export async function openObjects(
  config: ControlPlaneConfig,
  stack: AsyncDisposableStack,
): Promise<ObjectSource> {
  const { objects } = config;
  if (objects !== undefined) return new FolderSource({ folder: objects, writer: FOLDER_WRITER });
  const { KubeClient } = await import('../kube/kube-client.ts');
  const { KubernetesSource } = await import('../kube/kubernetes-source.ts');
  const client = stack.use(await KubeClient.connect(config));
  return new KubernetesSource(client, { kinds: OBJECT_KINDS, writer: FIELD_MANAGER });
}
