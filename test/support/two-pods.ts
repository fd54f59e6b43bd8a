/** Two nodes with a pod of the mesh on each, which call each other. */

import type { Environment, PodFacts } from '../../src/sandbox/client/environment.ts';
import { AMBIENT, namespaceManifest, podManifest, serviceManifest } from './mesh-manifests.ts';

export const NODES = ['node1', 'node2'] as const;
export type NodeName = (typeof NODES)[number];

/** Of the pods and their services. */
export const TWO_PODS_NAMESPACE = 'shop';
const PODS: Readonly<Record<NodeName, string>> = { node1: 'east', node2: 'west' };

export const TWO_PODS_MANIFESTS = [
  namespaceManifest(TWO_PODS_NAMESPACE, AMBIENT),
  ...NODES.flatMap((node) => [
    podManifest({ name: PODS[node], namespace: TWO_PODS_NAMESPACE, node }),
    serviceManifest({ name: PODS[node], namespace: TWO_PODS_NAMESPACE }),
  ]),
];

export interface Pair {
  readonly from: PodFacts;
  readonly to: PodFacts;
}

/** Who calls whom. */
export function pairsOf({ pods }: Environment): readonly Pair[] {
  const own = pods.filter(({ namespace }) => namespace === TWO_PODS_NAMESPACE);
  return own.map((from) => ({ from, to: own.find((other) => other !== from)! }));
}
