/** Brings one pod into the mesh and out of it again: one pass at a time, repeated until all is as wanted. */

import { Backoff } from '../base/backoff.ts';
import { AmbitError, messageOf } from '../base/errors.ts';
import type { IpAddress } from '../base/ip.ts';
import { logger } from '../telemetry/log.ts';
import { EnrolmentStanding } from './enrolment-standing.ts';
import {
  type EnrolmentFinding,
  type EnrolmentState,
  type EnrolmentSteps,
  type EnrolmentWish,
  REDIRECTION_ANNOTATION,
} from './enrolment-state.ts';
import { cniErrors } from './errors.ts';
import { type PodFacts, podLabel } from './pod-facts.ts';
import { PodFootprint } from './pod-footprint.ts';
import { netnsQuery, type PodNetns } from './pod-netns.ts';
import { optionsKey } from './pod-options.ts';
import { podWorkload } from './pod-workload.ts';
import type { RedirectionOptions } from './redirection-rules.ts';
import type { ZdsWorkload } from './zds-packets.ts';

/** What the CNI plugin told of the sandbox that is being made. */
interface Sandbox {
  readonly path: string;
  readonly ips: readonly IpAddress[];
  /** The pod's addresses in its object at that time: while they stay, they are those of an older sandbox. */
  readonly formerIps: string;
  /** It has been found. */
  wasThere: boolean;
}

export interface PodEnrolmentEvents {
  /** The kind of state has changed. */
  onState(enrolment: PodEnrolment): void;
  /** Nothing is in force any more and nothing is wanted: the enrolment may be forgotten. */
  onDone(enrolment: PodEnrolment): void;
  onFinding(enrolment: PodEnrolment, finding: EnrolmentFinding): void;
  onFailure(enrolment: PodEnrolment, error: AmbitError): void;
}

export interface PodEnrolmentOptions {
  readonly pod: PodFacts;
  readonly wish: EnrolmentWish;
  readonly steps: EnrolmentSteps;
  readonly events: PodEnrolmentEvents;
  /** The pod was there when this agent started, so that its annotation tells what an earlier agent achieved. */
  readonly isTakenOver: boolean;
}

/** The pod changed while a pass was under way: the next pass begins at once. */
const SUPERSEDED = Symbol('superseded');

const log = logger('enrolment');
const RETRY_MIN_MS = 5;
const RETRY_MAX_MS = 5_000;

export class PodEnrolment {
  readonly uid: string;
  readonly #events: PodEnrolmentEvents;
  readonly standing: EnrolmentStanding;
  readonly #footprint: PodFootprint;
  readonly #backoff = new Backoff({ minMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS });
  #pod: PodFacts;
  #wish: EnrolmentWish;
  #sandbox: Sandbox | undefined;
  /** Identity of a namespace that the plugin said is being torn down. */
  #condemned: string | undefined;
  /** Grows with every change of what is wanted. */
  #version = 0;
  /** What was wanted when it failed last. */
  #failedVersion = -1;
  #isVerifyDue = false;
  #isRunning = false;
  #isAgainDue = false;
  #isStopped = false;
  #timer: NodeJS.Timeout | undefined;
  #restWaiters: (() => void)[] = [];

  constructor(options: PodEnrolmentOptions) {
    const { pod, wish, steps, events, isTakenOver } = options;
    this.uid = pod.uid;
    this.#pod = pod;
    this.#wish = wish;
    this.#events = events;
    this.standing = new EnrolmentStanding(podLabel(pod), {
      onState: () => events.onState(this),
      onFinding: (finding) => events.onFinding(this, finding),
    });
    const note = (kind: EnrolmentFinding['kind'], detail: string) => this.standing.note(kind, detail);
    this.#footprint = new PodFootprint({ pod, steps, note, isTakenOver });
  }

  get pod(): PodFacts {
    return this.#pod;
  }

  get wish(): EnrolmentWish {
    return this.#wish;
  }

  get state(): EnrolmentState {
    return this.standing.state;
  }

  get netns(): PodNetns | undefined {
    return this.#footprint.netns;
  }

  get rulesVerifiedAt(): number | undefined {
    return this.#footprint.rulesVerifiedAt;
  }

  /** The addresses by which the pod is known now; the plugin knows those of a new sandbox before the object does. */
  get ips(): readonly IpAddress[] {
    const { ips } = this.#pod;
    const isSandboxNewer = this.#sandbox !== undefined && this.#sandbox.formerIps === ips.join();
    return isSandboxNewer && this.#sandbox!.ips.length > 0 ? this.#sandbox!.ips : ips;
  }

  /** Whether nothing is in force and nothing is wanted. */
  get isDone(): boolean {
    return this.state.kind === 'out' && this.#wish.kind !== 'in' && !this.#isRunning;
  }

  /** What ztunnel is to be told of the pod now; undefined when it should not have it. */
  describe(clusterDomain: string): ZdsWorkload | undefined {
    if (this.#wish.kind !== 'in' || !this.#footprint.isForProxy) return undefined;
    this.#footprint.markOffered();
    return podWorkload(this.#pod, clusterDomain, this.netns?.namespace.fd);
  }

  /** Takes note of a new state of the pod; an ended pod keeps its last addresses, which Kubernetes clears. */
  update(pod: PodFacts, wish: EnrolmentWish): void {
    const before = keyOf(this.#pod, this.#wish);
    this.#pod = pod.ips.length > 0 ? pod : { ...pod, ips: this.#pod.ips };
    this.#wish = wish;
    this.#footprint.annotation = pod.annotations[REDIRECTION_ANNOTATION];
    if (keyOf(this.#pod, wish) !== before) this.#supersede();
    else if (this.state.kind === 'enrolled' && this.#footprint.annotation !== 'enabled') this.kick();
  }

  /**
   * The CNI plugin has made a sandbox for the pod, which does not start before this resolves: ztunnel carries it.
   * Rejects with AMBIT_CNI_POD_NOT_ENROLLED at the deadline, or at once when the failure is not retryable; with
   * AMBIT_CNI_POD_CHANGED when the pod is not wanted in the mesh any more.
   */
  async enrolSandbox(path: string, ips: readonly IpAddress[], deadlineMs: number): Promise<void> {
    const sandbox = { path, ips, formerIps: this.#pod.ips.join(), wasThere: false };
    this.#sandbox = sandbox;
    this.#condemned = undefined;
    this.#supersede();
    try {
      await this.#whenEnrolled(deadlineMs);
    } catch (thrown) {
      // kubelet takes it away now: its path must not keep the pod from being found elsewhere.
      if (this.#sandbox === sandbox && this.netns?.path !== path) this.#sandbox = undefined;
      throw thrown;
    }
  }

  /** The CNI plugin is tearing a sandbox down, which may be an older one than the pod has now. */
  endSandbox(path: string): void {
    if (this.#sandbox?.path === path) this.#sandbox = undefined;
    if (this.netns?.path !== path) return;
    this.#condemned = this.netns.namespace.inode;
    this.#supersede();
  }

  /** Has everything looked at that should be in force; resolves when that is done, whatever came of it. */
  verify(): Promise<void> {
    this.#isVerifyDue = true;
    this.#condemned = undefined;
    this.kick();
    return this.whenAtRest();
  }

  /** Resolves when nothing is under way. */
  async whenAtRest(): Promise<void> {
    if (this.#isRunning) await new Promise<void>((resolve) => this.#restWaiters.push(resolve));
  }

  /** A ztunnel that has just connected took the pod, or refused it. */
  onProxyAnswer(error: AmbitError | undefined): void {
    this.#footprint.isCarried = error === undefined;
    this.kick();
  }

  /** Begins a pass, or one more after the one that is under way. */
  kick(): void {
    this.#isAgainDue = true;
    void this.#run();
  }

  /** Ends all work; what is in force stays in force. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.standing.wake();
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    clearTimeout(this.#timer);
    while (this.#isAgainDue && !this.#isStopped) {
      this.#isAgainDue = false;
      const version = this.#version;
      try {
        await this.#pass(version);
      } catch (thrown) {
        if (version === this.#version && !this.#isStopped) this.#onThrown(thrown);
      }
    }
    this.#isRunning = false;
    for (const waiter of this.#restWaiters.splice(0)) waiter();
    if (this.isDone) this.#events.onDone(this);
  }

  async #pass(version: number): Promise<void> {
    if (this.#wish.kind === 'in') await this.#enter(version, this.#wish.options);
    else
      await this.#leave(version, this.#wish.kind === 'out', this.#wish.kind === 'out' && this.#wish.isAlive);
  }

  async #enter(version: number, options: RedirectionOptions): Promise<void> {
    const verify = this.#isVerifyDue;
    this.#isVerifyDue = false;
    this.#progress();
    // A pod without a sandbox is enrolled when it gets one.
    if (this.ips.length === 0 && this.#sandbox === undefined && this.netns === undefined) return;
    await this.#locate();
    this.#check(version);
    this.#progress();
    // A pod that runs already goes on without a pause; one that is about to start must not do so uncaptured.
    if (this.#footprint.isAtLarge) await this.#carry(version);
    await this.#footprint.redirect(options, verify);
    this.#check(version);
    this.#progress();
    await this.#carry(version);
    this.#backoff.reset();
    this.standing.set({ kind: 'enrolled' });
    await this.#annotateEnabled();
  }

  async #locate(): Promise<void> {
    const sandbox = this.#sandbox;
    const query = netnsQuery({ ...this.#pod, ips: this.ips }, sandbox?.path, this.#condemned);
    try {
      await this.#footprint.locate(query, this.#pod.isEnding);
    } catch (thrown) {
      // The sandbox that the plugin spoke of is gone: from now on the pod's addresses lead to its namespace.
      if (sandbox?.wasThere === true && this.#sandbox === sandbox) this.#sandbox = undefined;
      throw thrown;
    }
    if (sandbox !== undefined) sandbox.wasThere = true;
  }

  async #carry(version: number): Promise<void> {
    await this.#offer();
    this.#check(version);
    await this.#footprint.exemptProbes(this.ips);
    this.#check(version);
  }

  async #offer(): Promise<void> {
    try {
      await this.#footprint.offer();
    } catch (thrown) {
      // A pod that is enabled stays so: nobody could reach it in plain text either.
      if (this.#footprint.annotation !== 'enabled') await this.#tryToAnnotate('pending');
      throw thrown;
    }
  }

  async #leave(version: number, isObjectThere: boolean, isAlive: boolean): Promise<void> {
    this.standing.set({ kind: 'leaving' });
    // Peers learn that HBONE is over before it is; that something is in place stays on record until nothing is.
    const isEnabled = isObjectThere && isAlive && this.#footprint.annotation === 'enabled';
    if (isEnabled) await this.#tryToAnnotate('pending');
    this.#check(version);
    await this.#footprint.leave({ ...this.#pod, ips: this.ips }, isAlive);
    this.#check(version);
    if (isObjectThere) await this.#footprint.annotate(this.#pod, null);
    this.#check(version);
    this.#backoff.reset();
    this.standing.set({ kind: 'out' });
  }

  /** The pod is in the mesh whether or not its object says so yet. */
  async #annotateEnabled(): Promise<void> {
    const error = await this.#tryToAnnotate('enabled');
    if (error === undefined) return;
    this.standing.remember(error);
    this.#events.onFailure(this, error);
    this.#retryIn(this.#backoff.next());
  }

  async #tryToAnnotate(value: 'enabled' | 'pending'): Promise<AmbitError | undefined> {
    try {
      await this.#footprint.annotate(this.#pod, value);
      return undefined;
    } catch (thrown) {
      const error = asError(thrown);
      log.warn('pod not annotated', {
        pod: podLabel(this.#pod),
        value,
        error: error.message,
        code: error.code,
      });
      return error;
    }
  }

  #check(version: number): void {
    if (version !== this.#version || this.#isStopped) throw SUPERSEDED;
  }

  #supersede(): void {
    this.#version++;
    this.kick();
  }

  /** A pod that is being deleted has lost its sandbox: nothing is wrong, and its object goes next. */
  #onThrown(thrown: unknown): void {
    const error = asError(thrown);
    const isOver = this.#pod.isEnding && error.code === 'AMBIT_CNI_NETNS_NOT_FOUND';
    if (isOver) this.standing.set({ kind: 'pending' });
    else this.#fail(error);
  }

  #fail(error: AmbitError): void {
    const { code, message, retryable } = error;
    const isNews = this.state.kind !== 'failed' || this.state.code !== code;
    const after = this.#wish.kind === 'in' ? this.#footprint.stage : 'leaving';
    if (isNews) log.warn('pod not as wanted', { pod: podLabel(this.#pod), after, code, error: message });
    this.#failedVersion = this.#version;
    this.standing.remember(error);
    this.#events.onFailure(this, error);
    this.standing.set({ kind: 'failed', code, message, retryable, after });
    if (retryable) this.#retryIn(this.#backoff.next());
  }

  #retryIn(delayMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kick(), delayMs);
  }

  /** A failure is shown until the pod has come further than it had then. */
  #progress(): void {
    const kind = this.#footprint.stage;
    if (this.state.kind === 'failed' && this.state.after === kind) return;
    if (kind !== 'enrolled') this.standing.set({ kind });
  }

  async #whenEnrolled(deadlineMs: number): Promise<void> {
    const end = performance.now() + deadlineMs;
    for (;;) {
      const state = this.state;
      if (state.kind === 'enrolled' && this.#isCarriedNow()) return;
      if (this.#wish.kind !== 'in')
        throw cniErrors.AMBIT_CNI_POD_CHANGED(`pod ${podLabel(this.#pod)} has left`);
      const remainingMs = end - performance.now();
      const isHopeless = state.kind === 'failed' && !state.retryable && this.#failedVersion === this.#version;
      if (remainingMs <= 0 || isHopeless || this.#isStopped) throw this.#whyNot();
      await this.standing.next(remainingMs);
    }
  }

  /** An enrolled state that was reached with an older sandbox says nothing of the one that is being made. */
  #isCarriedNow(): boolean {
    const isSandboxInUse = this.#sandbox === undefined || this.#sandbox.path === this.netns?.path;
    return isSandboxInUse && this.#footprint.stage === 'enrolled';
  }

  #whyNot(): AmbitError {
    const error = this.#failedVersion === this.#version ? this.standing.lastError : undefined;
    const detail = error === undefined ? `still ${this.state.kind}` : `${error.code}: ${error.message}`;
    return cniErrors.AMBIT_CNI_POD_NOT_ENROLLED(`pod ${podLabel(this.#pod)} is not in the mesh: ${detail}`);
  }
}

function keyOf(pod: PodFacts, wish: EnrolmentWish): string {
  const detail = wish.kind === 'in' ? optionsKey(wish.options) : JSON.stringify(wish);
  return `${wish.kind} ${detail} ${pod.ips.join()}`;
}

function asError(thrown: unknown): AmbitError {
  if (thrown instanceof AmbitError) return thrown;
  return cniErrors.AMBIT_CNI_UNEXPECTED(messageOf(thrown), thrown);
}
