/** The name under which a workload appears in telemetry: its owner, its canonical service and its revision. */

import type { WorkloadType } from '../../mesh/workload.ts';
import type { Pod } from '../../objects/core-types.ts';
import { CANONICAL_NAME_LABELS, CANONICAL_REVISION_LABELS, LABELS, type Labels } from './well-known-keys.ts';

export interface WorkloadMeta {
  readonly workloadName: string;
  readonly workloadType: WorkloadType;
}

/** A CronJob names its Jobs after itself and the minute they were due, as a number. */
const JOB_OF_CRON_JOB = /^(.+)-\d{8,11}$/;

/** Follows the owner of a pod to the thing a person wrote: a Deployment, a CronJob, a Job; else the pod or its owner. */
export function workloadMetaOf(pod: Pod): WorkloadMeta {
  const { name, labels = {}, ownerReferences = [] } = pod.metadata;
  const owner = ownerReferences.find((reference) => reference.controller === true);
  if (owner === undefined) return { workloadName: name, workloadType: 'POD' };
  const hash = labels[LABELS.podTemplateHash];
  if (owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)) {
    return { workloadName: owner.name.slice(0, -hash.length - 1), workloadType: 'DEPLOYMENT' };
  }
  if (owner.kind === 'Job') {
    const cronJob = JOB_OF_CRON_JOB.exec(owner.name)?.[1];
    if (cronJob !== undefined) return { workloadName: cronJob, workloadType: 'CRONJOB' };
    return { workloadName: owner.name, workloadType: 'JOB' };
  }
  return { workloadName: owner.name, workloadType: owner.kind === 'Deployment' ? 'DEPLOYMENT' : 'POD' };
}

export interface CanonicalService {
  readonly canonicalName: string;
  readonly canonicalRevision: string;
}

/** From labels, in the order Istio gives them. */
export function canonicalServiceOf(labels: Labels, fallbackName: string): CanonicalService {
  return {
    canonicalName: firstLabel(labels, CANONICAL_NAME_LABELS) ?? fallbackName,
    canonicalRevision: firstLabel(labels, CANONICAL_REVISION_LABELS) ?? 'latest',
  };
}

function firstLabel(labels: Labels, keys: readonly string[]): string | undefined {
  const key = keys.find((one) => (labels[one] ?? '') !== '');
  return key === undefined ? undefined : labels[key];
}
