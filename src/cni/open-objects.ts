/** Where the node agent reads its objects: a folder of manifests, or a Kubernetes API server. */

import type { KubeClient } from '../kube/kube-client.ts';
import { FolderSource } from '../objects/folder-source.ts';
import type { ObjectSource } from '../objects/object-source.ts';

export interface ObjectLocation {
  /** Folder of manifests; absent: a Kubernetes API server. */
  readonly objects?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly node: string;
}

/** The objects, and the API server where they come from there. */
export interface OpenObjects {
  readonly source: ObjectSource;
  readonly client: KubeClient | undefined;
}

const FIELD_MANAGER = 'ambit-cni';

/**
 * Not started yet. In a cluster only the pods of this node are read. What talks to Kubernetes is loaded only when needed.
 * @throws AMBIT_KUBE_CONFIG_INVALID
 */
export async function openObjects(location: ObjectLocation): Promise<OpenObjects> {
  const { objects, node } = location;
  if (objects !== undefined) {
    const writer = `cni-${node.toLowerCase().replace(/[^a-z0-9-]/g, '-')}`;
    return { source: new FolderSource({ folder: objects, writer }), client: undefined };
  }
  const { KubeClient } = await import('../kube/kube-client.ts');
  const { KubernetesSource } = await import('../kube/kubernetes-source.ts');
  const client = await KubeClient.connect(location);
  const source = new KubernetesSource(client, {
    kinds: ['Namespace', 'Pod'],
    fieldSelectors: { Pod: `spec.nodeName=${node}` },
    writer: FIELD_MANAGER,
  });
  return { source, client };
}

/** Whether the location says anything at all, or this process is in a pod. */
export function hasObjects({ objects, kubeconfig, context }: ObjectLocation): boolean {
  return [objects, kubeconfig, context, process.env.KUBERNETES_SERVICE_HOST].some((one) => one !== undefined);
}
