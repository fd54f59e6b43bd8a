/** The names under which a pod is known: kubelet, and so runtimes and cgroups, call a static pod by another uid. */

/** On the object of a static pod, its mirror: the uid that kubelet has given to the pod itself. */
const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';

export interface PodIdentity {
  readonly uid: string;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export function podUids({ uid, annotations }: PodIdentity): string[] {
  const mirrored = annotations?.[MIRROR_ANNOTATION];
  return mirrored === undefined ? [uid] : [uid, mirrored];
}
