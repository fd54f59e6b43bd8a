/** Follows the objects and keeps every pod of this node where it belongs: in the mesh or out of it. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { AmbitError } from '../base/errors.ts';
import type { IpAddress } from '../base/ip.ts';
import type { Pod } from '../objects/core-types.ts';
import type { ObjectChange, ObjectSource } from '../objects/object-source.ts';
import { logger } from '../telemetry/log.ts';
import type { CniMetrics } from './cni-metrics.ts';
import { decideEnrolment, type EnrolmentDecision, type EnrolmentSettings } from './enrolment-decision.ts';
import {
  type EnrolmentFinding,
  type EnrolmentState,
  type EnrolmentSteps,
  type EnrolmentWish,
  REDIRECTION_ANNOTATION,
} from './enrolment-state.ts';
import { cniErrors } from './errors.ts';
import { PodEnrolment, type PodEnrolmentEvents } from './pod-enrolment.ts';
import { type PodFacts, podFacts, podLabel } from './pod-facts.ts';
import { podUids } from './pod-identity.ts';
import { podOptions } from './pod-options.ts';
import type { ZdsWorkload } from './zds-packets.ts';
import type { ZdsWorkloads } from './zds-server.ts';

export interface EnrolmentManagerOptions {
  readonly source: ObjectSource;
  readonly steps: EnrolmentSteps;
  readonly metrics: CniMetrics;
  /** The node whose pods are this agent's. */
  readonly node: string;
  readonly settings: EnrolmentSettings;
  /** Whether DNS of pods that do not say is captured. */
  readonly dnsCapture: boolean;
  readonly clusterDomain: string;
  /**
   * Asks for the labels of a namespace as they are now; undefined when they cannot be had. Without it what the source
   * has told is enough.
   */
  readonly namespaceLabels?: ((name: string) => Promise<Labels | undefined>) | undefined;
  /** A pod has been failing for a while. */
  readonly reportFailure?: ((pod: PodFacts, error: AmbitError) => void) | undefined;
}

type Labels = Readonly<Record<string, string>>;

/** Pods fail for a moment while ztunnel is replaced; that is nothing to tell people. */
const REPORT_AFTER_MS = 10_000;
/** Between two questions for the labels of a namespace, when the source tells nothing. */
const LABELS_INTERVAL_MS = 200;
/** An uninstall has to be over before kubelet kills the agent. */
const DISMISSAL_MS = 12_000;

/** A sandbox that the CNI plugin reports. */
export interface SandboxRequest {
  readonly namespace: string;
  readonly name: string;
  readonly netnsPath: string;
  readonly ips: readonly IpAddress[];
  /** Told by Ambit's plugin, not by Istio's; a pod of the same name may be another one. */
  readonly uid?: string | undefined;
}

/** What is wanted of a pod, why, and what of its annotations was not understood. */
export interface PodVerdict {
  readonly pod: PodFacts;
  readonly decision: EnrolmentDecision;
  readonly wish: EnrolmentWish;
  readonly warnings: readonly string[];
}

const log = logger('enrolment');

export class EnrolmentManager implements ZdsWorkloads, PodEnrolmentEvents {
  readonly #options: EnrolmentManagerOptions;
  readonly #enrolments = new Map<string, PodEnrolment>();
  /** Wakes those who wait for a pod to appear. */
  #arrivals: (() => void)[] = [];
  #isStarted = false;
  #unsubscribe: (() => void) | undefined;

  constructor(options: EnrolmentManagerOptions) {
    this.#options = options;
  }

  /**
   * Takes up the pods that are there, then follows changes; the source must have started. When it returns, the
   * namespaces of pods that were enrolled before are open, so that ztunnel may be answered.
   */
  start(): void {
    this.#unsubscribe = this.#options.source.subscribe((changes) => this.#onChanges(changes));
    for (const pod of this.#options.source.list('Pod')) this.#consider(pod);
    this.#isStarted = true;
  }

  /** Resolves when every pod that is known now has been brought as far as it goes at present. */
  async whenAtRest(): Promise<void> {
    await Promise.all([...this.#enrolments.values()].map((enrolment) => enrolment.whenAtRest()));
  }

  /** What is in force stays in force. */
  stop(): void {
    this.#unsubscribe?.();
    for (const enrolment of this.#enrolments.values()) enrolment.stop();
  }

  /** Looks at every pod in the mesh, one after the other, and repairs what is not as it should be. */
  async verifyAll(): Promise<void> {
    for (const enrolment of [...this.#enrolments.values()]) await enrolment.verify();
  }

  /** Whether the addresses of every enrolled pod are known. */
  get knowsAllAddresses(): boolean {
    return [...this.#enrolments.values()].every((one) => one.wish.kind !== 'in' || one.ips.length > 0);
  }

  get enrolments(): ReadonlyMap<string, PodEnrolment> {
    return this.#enrolments;
  }

  countStates(): Map<EnrolmentState['kind'], number> {
    const counts = new Map<EnrolmentState['kind'], number>();
    for (const { state } of this.#enrolments.values())
      counts.set(state.kind, (counts.get(state.kind) ?? 0) + 1);
    return counts;
  }

  /** What is wanted of every pod of this node. */
  verdicts(): PodVerdict[] {
    return this.#options.source
      .list('Pod')
      .filter((pod) => this.#isMine(pod))
      .map((pod) => this.#judge(pod));
  }

  uids(): Iterable<string> {
    return [...this.#enrolments.keys()];
  }

  get(uid: string): ZdsWorkload | undefined {
    return this.#enrolments.get(uid)?.describe(this.#options.clusterDomain);
  }

  onSnapshotAnswer(uid: string, error: AmbitError | undefined): void {
    this.#enrolments.get(uid)?.onProxyAnswer(error);
  }

  /**
   * Enrols the pod of a new sandbox before it starts.
   * @returns why it is, or is not, in the mesh
   * @throws AMBIT_CNI_POD_UNKNOWN, AMBIT_CNI_POD_NOT_ENROLLED, AMBIT_CNI_POD_CHANGED
   */
  async enrolSandbox(request: SandboxRequest, deadlineMs: number): Promise<EnrolmentDecision> {
    const end = performance.now() + deadlineMs;
    const { pod, decision, wish } = await this.#judgeForCertain(request, end);
    if (!decision.enrol) return decision;
    const enrolment = this.#enrolmentOf(pod, wish);
    await enrolment.enrolSandbox(request.netnsPath, request.ips, end - performance.now());
    return decision;
  }

  /** A sandbox is being torn down, or its making failed. */
  endSandbox(netnsPath: string): void {
    for (const enrolment of this.#enrolments.values()) enrolment.endSandbox(netnsPath);
  }

  /** Takes every pod out of the mesh, as if all had opted out: for uninstalling. */
  async dismissAll(): Promise<void> {
    this.#unsubscribe?.();
    const enrolments = [...this.#enrolments.values()];
    for (const enrolment of enrolments) enrolment.update(enrolment.pod, { kind: 'out', isAlive: true });
    const rest = Promise.all(enrolments.map((enrolment) => enrolment.whenAtRest()));
    const limit = setTimeoutAsync(DISMISSAL_MS, undefined, { ref: false });
    await Promise.race([rest, limit]);
  }

  onState(): void {}

  onDone(enrolment: PodEnrolment): void {
    enrolment.stop();
    this.#enrolments.delete(enrolment.uid);
  }

  onFinding(_enrolment: PodEnrolment, finding: EnrolmentFinding): void {
    this.#options.metrics.countFinding(finding.kind);
  }

  onFailure(enrolment: PodEnrolment, error: AmbitError): void {
    this.#options.metrics.countFailure(error.code);
    const isLasting = Date.now() - enrolment.standing.since > REPORT_AFTER_MS;
    if (isLasting && enrolment.wish.kind === 'in') this.#options.reportFailure?.(enrolment.pod, error);
  }

  #onChanges(changes: readonly ObjectChange[]): void {
    const relabelled = new Set<string>();
    for (const change of changes) {
      if (change.object.kind === 'Namespace') relabelled.add(change.object.metadata.name);
      else if (change.object.kind === 'Pod') this.#onPodChange(change, change.object);
    }
    if (relabelled.size > 0) {
      const pods = this.#options.source.list('Pod').filter((pod) => relabelled.has(pod.metadata.namespace));
      for (const pod of pods) this.#consider(pod);
    }
    for (const arrival of this.#arrivals.splice(0)) arrival();
  }

  #onPodChange(change: ObjectChange, pod: Pod): void {
    const { metrics } = this.#options;
    const previousUid = change.previous?.metadata.uid;
    // A pod that was deleted and made again under its name may come as one change.
    if (previousUid !== undefined && previousUid !== pod.metadata.uid) this.#forget(previousUid);
    if (change.type === 'delete' || !this.#isMine(pod)) {
      if (this.#forget(pod.metadata.uid)) metrics.countPodEvent('delete');
      return;
    }
    metrics.countPodEvent(change.previous === undefined ? 'add' : 'update');
    this.#consider(pod);
  }

  #isMine(pod: Pod): boolean {
    return pod.spec?.nodeName === this.#options.node;
  }

  #consider(object: Pod): void {
    if (!this.#isMine(object)) return;
    const { pod, wish, warnings } = this.#judge(object);
    const known = this.#enrolments.get(pod.uid);
    if (known !== undefined) {
      known.update(pod, wish);
    } else if (wish.kind === 'in' || pod.annotations[REDIRECTION_ANNOTATION] !== undefined) {
      this.#enrolmentOf(pod, wish).kick();
      for (const warning of warnings) log.warn(warning, { pod: podLabel(pod) });
    }
  }

  /** The pod is deleted, or another node's. */
  #forget(uid: string): boolean {
    const known = this.#enrolments.get(uid);
    known?.update(known.pod, { kind: 'gone' });
    return known !== undefined;
  }

  #enrolmentOf(pod: PodFacts, wish: EnrolmentWish): PodEnrolment {
    const known = this.#enrolments.get(pod.uid);
    if (known !== undefined) return known;
    const { steps } = this.#options;
    const isTakenOver = !this.#isStarted;
    const enrolment = new PodEnrolment({ pod, wish, steps, events: this, isTakenOver });
    this.#enrolments.set(pod.uid, enrolment);
    return enrolment;
  }

  #judge(object: Pod): PodVerdict {
    const { settings, dnsCapture } = this.#options;
    const pod = podFacts(object);
    const decision = decideEnrolment(pod, this.#labelsOf(pod.namespace), settings);
    const { options, warnings } = podOptions(pod.annotations, dnsCapture);
    if (decision.enrol) return { pod, decision, wish: { kind: 'in', options }, warnings };
    const isAlive = decision.reason !== 'terminated';
    return { pod, decision, wish: { kind: 'out', isAlive }, warnings: [] };
  }

  /**
   * A pod that is not selected may be in a namespace whose new label the watch has not told yet: it passes only when
   * the labels are known to be those of now.
   */
  async #judgeForCertain(request: SandboxRequest, end: number): Promise<PodVerdict> {
    for (;;) {
      const verdict = this.#judge(await this.#waitForPod(request, end));
      const { namespaceLabels } = this.#options;
      if (verdict.decision.reason !== 'not-selected' || namespaceLabels === undefined) return verdict;
      const known = this.#options.source.get('Namespace', '', request.namespace)?.metadata;
      const now = await namespaceLabels(request.namespace);
      if (known !== undefined && (now === undefined || areSame(now, known.labels ?? {}))) return verdict;
      const remainingMs = end - performance.now();
      if (remainingMs <= 0) {
        throw cniErrors.AMBIT_CNI_POD_UNKNOWN(
          `the labels of namespace ${request.namespace} are not known yet`,
        );
      }
      await this.#nextArrival(Math.min(remainingMs, LABELS_INTERVAL_MS));
    }
  }

  #labelsOf(namespace: string): Labels {
    return this.#options.source.get('Namespace', '', namespace)?.metadata.labels ?? {};
  }

  /** The plugin may be faster than the watch. */
  async #waitForPod(request: SandboxRequest, end: number): Promise<Pod> {
    for (;;) {
      const pod = this.#options.source.get('Pod', request.namespace, request.name);
      if (pod !== undefined && isMeant(pod, request)) return pod;
      const remainingMs = end - performance.now();
      if (remainingMs <= 0) {
        throw cniErrors.AMBIT_CNI_POD_UNKNOWN(
          `pod ${request.namespace}/${request.name} is not known here yet`,
        );
      }
      await this.#nextArrival(remainingMs);
    }
  }

  #nextArrival(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#arrivals.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

/** One that is being deleted gets no new sandbox: a pod of the same name is about to appear. */
function isMeant(pod: Pod, request: SandboxRequest): boolean {
  if (request.uid !== undefined) return podUids(pod.metadata).includes(request.uid);
  return pod.metadata.deletionTimestamp === undefined;
}

function areSame(one: Labels, other: Labels): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
