/** Where the node agent reads its objects: a folder of manifests, or a Kubernetes API server. */

import { FolderSource } from '../objects/folder-source.ts';
import type { ObjectSource } from '../objects/object-source.ts';

export interface ObjectLocation {
  /** Folder of manifests; absent: a Kubernetes API server. */
  readonly objects?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly node: string;
}

const FIELD_MANAGER = 'ambit-cni';

/**
 * Not started yet. In a cluster only the pods of this node are read. What talks to Kubernetes is loaded only when needed.
 * @throws AMBIT_KUBE_CONFIG_INVALID
 */
export async function openObjects(location: ObjectLocation): Promise<ObjectSource> {
  const { objects, node } = location;
  if (objects !== undefined) {
    const writer = `cni-${node.toLowerCase().replace(/[^a-z0-9-]/g, '-')}`;
    return new FolderSource({ folder: objects, writer });
  }
  const { KubeClient } = await import('../kube/kube-client.ts');
  const { KubernetesSource } = await import('../kube/kubernetes-source.ts');
  return new KubernetesSource(await KubeClient.connect(location), {
    kinds: ['Namespace', 'Pod'],
    fieldSelectors: { Pod: `spec.nodeName=${node}` },
    writer: FIELD_MANAGER,
  });
}

/** Whether the location says anything at all, or this process is in a pod. */
export function hasObjects({ objects, kubeconfig, context }: ObjectLocation): boolean {
  return [objects, kubeconfig, context, process.env.KUBERNETES_SERVICE_HOST].some((one) => one !== undefined);
}
