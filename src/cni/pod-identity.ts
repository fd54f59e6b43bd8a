/** Whether a pod's object is the pod that a container runtime speaks of. */

import type { Pod } from '../objects/core-types.ts';

/** On the object of a static pod: the uid under which kubelet, and so the runtime, knows it. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

export function isSamePod(pod: Pod, uid: string): boolean {
  const { metadata } = pod;
  return metadata.uid === uid || metadata.annotations?.[MIRROR_ANNOTATION] === uid;
}
