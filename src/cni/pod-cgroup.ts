/** Reads from the name of a process' cgroup which pod and which container it belongs to. */

export interface PodCgroup {
  /** As in the pod's object, but for static pods, whose uid has no hyphens. */
  readonly podUid: string | undefined;
  /** 64 hexadecimal digits. */
  readonly containerId: string | undefined;
}

/**
 * `pod` and a uid: as it is with the cgroupfs driver, with underscores with the systemd driver, without any for static
 * pods. What is within another pod's cgroup is that pod's only if it has none of its own, so that the last one counts.
 */
const POD_UID =
  /pod([0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12})(?![0-9a-f])/g;
/** `/ID`, `/cri-containerd-ID.scope`, `/crio-ID.scope`, `/docker-ID.scope`, `/kubepods-…:cri-containerd:ID`. */
const CONTAINER_ID = /(?:^|[/:-])([0-9a-f]{64})(?:\.scope)?(?:\/|$)/g;

/**
 * @param text of /proc/PID/cgroup: one line `0::PATH` with cgroup v2, one per hierarchy with v1, the paths seen from the
 * cgroup namespace of whoever reads it
 */
export function parsePodCgroup(text: string): PodCgroup {
  const paths = text.split('\n').map((line) => line.split(':').slice(2).join(':'));
  const uid = lastMatch(paths, POD_UID);
  return { podUid: uid?.replaceAll('_', '-'), containerId: lastMatch(paths, CONTAINER_ID) };
}

/** Of the first path that has one: v1 has hierarchies, such as `name=systemd`, that may say less than others. */
function lastMatch(paths: readonly string[], pattern: RegExp): string | undefined {
  for (const path of paths) {
    const found = [...path.matchAll(pattern)].at(-1)?.[1];
    if (found !== undefined) return found;
  }
  return undefined;
}
