/** `apply`: what becomes of an object when its manifest is applied again, by kubectl's rules. */

import type { KubeObject, Labels, PodSpec } from './kube-object.ts';
import type { ObjectDraft } from './object-store.ts';

/** Where kubectl, and the sandbox, keep the manifest that was applied last. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** A manifest as a new object: it remembers how it was written. */
export function firstApplied(manifest: ObjectDraft): ObjectDraft {
  const annotations = { ...manifest.metadata.annotations, [LAST_APPLIED]: JSON.stringify(manifest) };
  return { ...manifest, metadata: { ...manifest.metadata, annotations } };
}

/**
 * The manifest laid over the object that is there. Labels and annotations that somebody else set stay; those that the
 * manifest no longer holds go. Everything else becomes what the manifest says, but for what the cluster decides.
 */
export function appliedAgain(current: KubeObject, manifest: ObjectDraft): ObjectDraft {
  const last = lastApplied(current);
  const { labels, annotations } = manifest.metadata;
  return {
    ...manifest,
    ...(current.status === undefined ? {} : { status: current.status }),
    metadata: {
      ...current.metadata,
      labels: mergeMaps(current.metadata.labels, last?.metadata.labels, labels),
      annotations: {
        ...mergeMaps(current.metadata.annotations, last?.metadata.annotations, annotations),
        [LAST_APPLIED]: JSON.stringify(manifest),
      },
    },
  };
}

/** Whether the manifest is the one that was applied before. */
export function isUnchanged(current: KubeObject, manifest: ObjectDraft): boolean {
  return current.metadata.annotations?.[LAST_APPLIED] === JSON.stringify(manifest);
}

/** Pods cannot be changed but for their labels and annotations. */
export function changesPodSpec(current: KubeObject, manifest: ObjectDraft): boolean {
  const before = lastApplied(current)?.spec as PodSpec | undefined;
  return JSON.stringify(before) !== JSON.stringify(manifest.spec);
}

function lastApplied(current: KubeObject): ObjectDraft | undefined {
  const text = current.metadata.annotations?.[LAST_APPLIED];
  return text === undefined ? undefined : (JSON.parse(text) as ObjectDraft);
}

function mergeMaps(current: Labels = {}, last: Labels = {}, next: Labels = {}): Labels {
  const kept = Object.entries(current).filter(([key]) => !(key in last) || key in next);
  return { ...Object.fromEntries(kept), ...next };
}
