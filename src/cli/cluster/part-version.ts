/** The versions that parts of the mesh say they are, and which of them may work together. */

import type { DaemonSet, Deployment, Pod } from './kube-types.ts';
import { VERSION_LABEL } from './mesh-names.ts';

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** `0.1.0`, `v1.2.3-rc.1`; what is behind the numbers is not compared. */
export function parseVersion(text: string): Version | undefined {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)(?:[-+].*)?$/.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: Number(patch) };
}

export function compareVersions(a: Version, b: Version): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

/** Parts work together within one major version when they are at most one minor version apart. */
export function areCompatible(a: Version, b: Version): boolean {
  return a.major === b.major && Math.abs(a.minor - b.minor) <= 1;
}

/** What the pod template of a part says; undefined when it does not. */
export function versionOfSet(set: Deployment | DaemonSet): string | undefined {
  return set.spec.template?.metadata?.labels?.[VERSION_LABEL] ?? set.metadata.labels?.[VERSION_LABEL];
}

export function versionOfPod(pod: Pod): string | undefined {
  return pod.metadata.labels?.[VERSION_LABEL];
}
