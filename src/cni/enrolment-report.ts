/** What GET /enrolment tells: for every pod of the node what is wanted, what is the case, and why. */

import type { EnrolmentManager, PodVerdict } from './enrolment-manager.ts';
import type { PartReport } from './part-report.ts';
import type { PodEnrolment } from './pod-enrolment.ts';

export interface PodReport {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly ips: readonly string[];
  /** Whether the pod should be in the mesh, and why. */
  readonly wanted: boolean;
  readonly reason: string;
  /** `out`, `pending`, `redirected`, `enrolled`, `failed`, `leaving`. */
  readonly state: string;
  readonly since?: string;
  readonly netns?: string;
  readonly rulesVerifiedAt?: string;
  readonly lastError?: { readonly code: string; readonly message: string; readonly at: string };
  readonly findings: readonly { readonly kind: string; readonly at: string; readonly detail: string }[];
  /** Annotations that were not understood. */
  readonly warnings: readonly string[];
  /** What is not captured, on the pod's own wish. */
  readonly exclusions: readonly string[];
}

export interface EnrolmentReport {
  readonly node: string;
  readonly iptables: string;
  readonly ready: boolean;
  readonly ztunnelConnections: number;
  /** Whether the kernel can redirect; absent until it was tried. */
  readonly kernel?: PartReport;
  /** The chained CNI plugin; absent where it is not installed by the agent. */
  readonly plugin?: PartReport;
  readonly pods: readonly PodReport[];
}

/** Every pod of the node that the objects know, and those that are deleted but not done with. */
export function reportPods(manager: EnrolmentManager): PodReport[] {
  const { enrolments } = manager;
  const known = manager.verdicts().map((verdict) => reportOf(verdict, enrolments.get(verdict.pod.uid)));
  const uids = new Set(known.map((report) => report.uid));
  const leaving = [...enrolments.values()].filter((enrolment) => !uids.has(enrolment.uid));
  return [...known, ...leaving.map(reportLeaving)];
}

function reportOf(verdict: PodVerdict, enrolment: PodEnrolment | undefined): PodReport {
  const { pod, decision, warnings, wish } = verdict;
  return {
    namespace: pod.namespace,
    name: pod.name,
    uid: pod.uid,
    ips: enrolment?.ips ?? pod.ips,
    wanted: decision.enrol,
    reason: decision.reason,
    ...progressOf(enrolment),
    warnings,
    exclusions: wish.kind === 'in' ? exclusionsOf(wish.options) : [],
  };
}

function reportLeaving(enrolment: PodEnrolment): PodReport {
  const { namespace, name, uid } = enrolment.pod;
  const progress = progressOf(enrolment);
  return {
    namespace,
    name,
    uid,
    ips: enrolment.ips,
    wanted: false,
    reason: 'deleted',
    ...progress,
    warnings: [],
    exclusions: [],
  };
}

function progressOf(enrolment: PodEnrolment | undefined) {
  if (enrolment === undefined) return { state: 'out', findings: [] };
  const { netns, rulesVerifiedAt } = enrolment;
  const { state, since, lastError, findings } = enrolment.standing;
  return {
    state: state.kind,
    since: iso(since),
    ...(netns && { netns: netns.path }),
    ...(rulesVerifiedAt !== undefined && { rulesVerifiedAt: iso(rulesVerifiedAt) }),
    ...(lastError && { lastError: { ...lastError, at: iso(lastError.at) } }),
    findings: findings.map((finding) => ({ ...finding, at: iso(finding.at) })),
  };
}

function exclusionsOf(options: (PodVerdict['wish'] & { kind: 'in' })['options']): string[] {
  return [
    ...(options.inboundCapture ? [] : ['all inbound']),
    ...(options.dnsCapture ? [] : ['DNS']),
    ...options.excludedInboundPorts.map((port) => `inbound port ${port}`),
    ...options.excludedOutboundPorts.map((port) => `outbound port ${port}`),
    ...options.excludedOutboundRanges.map((range) => `outbound range ${range}`),
  ];
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
