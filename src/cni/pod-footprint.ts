/** What the agent has put in place for one pod, and the steps that put it there and take it away, each done once. */

import type { IpAddress } from '../base/ip.ts';
import {
  type EnrolmentFinding,
  type EnrolmentStage,
  type EnrolmentSteps,
  REDIRECTION_ANNOTATION,
  type RedirectionAnnotation,
} from './enrolment-state.ts';
import { formatFinding, type RuleFinding } from './namespace-rules.ts';
import type { PodFacts } from './pod-facts.ts';
import { type NetnsQuery, netnsQuery, type PodNetns } from './pod-netns.ts';
import { optionsKey } from './pod-options.ts';
import type { RedirectionOptions } from './redirection-rules.ts';

/** Differences named in one finding; the rest is counted. */
const MAX_NAMED_DIFFERENCES = 3;

export interface PodFootprintOptions {
  readonly pod: PodFacts;
  readonly steps: EnrolmentSteps;
  readonly note: (kind: EnrolmentFinding['kind'], detail: string) => void;
  readonly isTakenOver: boolean;
}

export class PodFootprint {
  readonly #uid: string;
  readonly #steps: EnrolmentSteps;
  readonly #note: (kind: EnrolmentFinding['kind'], detail: string) => void;
  #netns: PodNetns | undefined;
  /** The addresses by which the namespace was found. */
  #netnsIps = '';
  #rulesKey: string | undefined;
  /** Rules may be in force in the present namespace. */
  #mayHaveRules: boolean;
  /** Rules were put into some namespace of the pod, so that they have to be looked for in the end. */
  #isTouched: boolean;
  /** Nobody can have put rules into the namespace yet. */
  #isFresh: boolean;
  /** The plugin waits for the namespace. */
  #isAwaited = false;
  /** Rules have been in force, under this agent or an earlier one. */
  #wasCaptured: boolean;
  /** ztunnel may have been told of the pod. */
  #isOffered: boolean;
  #isCarried: boolean;
  #exempt: readonly IpAddress[] = [];
  #exemptKey: string | undefined;
  #mayBeExempt: boolean;
  #annotation: string | undefined;
  #bypasses = '';
  /** Of a lost namespace something may still be known to ztunnel and the node. */
  #isLost = false;
  /** Milliseconds since the epoch; undefined while the rules are not known to be in force. */
  rulesVerifiedAt: number | undefined;

  constructor(options: PodFootprintOptions) {
    const { pod, steps, note } = options;
    this.#uid = pod.uid;
    this.#steps = steps;
    this.#note = note;
    this.#annotation = pod.annotations[REDIRECTION_ANNOTATION];
    // Whatever an earlier agent did may be in place.
    const isTouched = this.#annotation !== undefined;
    this.#mayHaveRules = isTouched;
    this.#isTouched = isTouched;
    this.#isFresh = !isTouched;
    this.#isOffered = isTouched;
    this.#mayBeExempt = isTouched;
    // ztunnel runs on while an agent is replaced; when it connects again, its answers to the snapshot correct this.
    this.#wasCaptured = this.#annotation === 'enabled';
    this.#isCarried = options.isTakenOver && this.#wasCaptured;
  }

  get netns(): PodNetns | undefined {
    return this.#netns;
  }

  get stage(): EnrolmentStage {
    if (this.#rulesKey === undefined) return 'pending';
    return this.#isCarried ? 'enrolled' : 'redirected';
  }

  /** Whether ztunnel should have the pod: it was offered, or rules are in force, or were under an earlier agent. */
  get isForProxy(): boolean {
    return this.#mayHaveRules || this.#isOffered;
  }

  /** Whether the pod is at work without ever having been captured, so that rules without a proxy would cut it off. */
  get isAtLarge(): boolean {
    return !this.#wasCaptured && !this.#isAwaited;
  }

  get annotation(): string | undefined {
    return this.#annotation;
  }

  /** What the object says now. */
  set annotation(value: string | undefined) {
    this.#annotation = value;
  }

  set isCarried(value: boolean) {
    this.#isCarried = value;
  }

  /** ztunnel is about to be told of the pod. */
  markOffered(): void {
    this.#isOffered = true;
  }

  /**
   * Opens the pod's namespace, or the new one when its sandbox was made anew.
   * @param isEnding of a pod that is being deleted it is no news that its namespace is gone
   */
  async locate(query: NetnsQuery, isEnding: boolean): Promise<void> {
    const old = this.#netns;
    if (old !== undefined && this.#isGood(old, query)) return;
    let found: PodNetns;
    try {
      found = this.#steps.findNetns(query);
    } catch (thrown) {
      await this.#lose(isEnding);
      throw thrown;
    }
    if (old !== undefined) {
      this.#steps.closeNetns(old);
      if (old.namespace.inode !== found.namespace.inode) {
        this.#note('sandbox-replaced', `${old.path} is now ${found.path}`);
        this.#startAnew();
      }
    }
    // The plugin speaks of new namespaces; one found by its address may be one that was thought to be lost.
    if (query.path !== undefined && old?.namespace.inode !== found.namespace.inode) this.#isFresh = true;
    this.#isAwaited = query.path !== undefined;
    this.#netns = found;
    this.#isLost = false;
    this.#netnsIps = query.ips.join();
  }

  /** Puts the rules in force; with `verify` it looks even when they should be. */
  async redirect(options: RedirectionOptions, verify: boolean): Promise<void> {
    const key = optionsKey(options);
    if (this.#rulesKey === key && !verify) return;
    const wereInForce = this.#mayHaveRules;
    // Other options lead to other rules: then a difference is no surprise.
    const wasVerified = this.#rulesKey !== undefined;
    const isExpected = this.#rulesKey !== undefined || (this.#wasCaptured && this.#isCarried);
    const isSurprise = isExpected && (this.#rulesKey ?? key) === key;
    const how = { isFresh: this.#isFresh, isUrgent: this.#isAwaited };
    this.#mayHaveRules = true;
    this.#isTouched = true;
    this.#rulesKey = undefined;
    this.#isFresh = false;
    try {
      const { findings, hasProxy, bypasses } = await this.#steps.ensureRules(this.#netns!, options, how);
      this.#rulesKey = key;
      this.#wasCaptured = true;
      this.rulesVerifiedAt = Date.now();
      if (findings.length > 0 && isSurprise) this.#note('rules-missing', listed(findings));
      this.#noteBypasses(bypasses);
      // A pod that is taken over is offered with the next snapshot anyway.
      if (hasProxy === false && wasVerified && this.#isCarried) this.#noteNoProxy();
    } catch (thrown) {
      // Half a rule set would cut the pod off; one that was in force before is better than none.
      if (!wereInForce) await this.#rollBack();
      throw thrown;
    }
  }

  /** Has ztunnel carry the pod. */
  async offer(): Promise<void> {
    if (this.#isCarried) return;
    this.#isOffered = true;
    await this.#steps.offer(this.#uid);
    this.#isCarried = true;
  }

  async exemptProbes(ips: readonly IpAddress[]): Promise<void> {
    if (ips.join() === this.#exemptKey) return;
    const dropped = this.#exempt.filter((ip) => !ips.includes(ip));
    this.#mayBeExempt = true;
    this.#exemptKey = undefined;
    this.#exempt = [...new Set([...this.#exempt, ...ips])];
    if (dropped.length > 0) await this.#steps.endProbeExemption(this.#uid, dropped);
    await this.#steps.exemptProbes(this.#uid, ips);
    this.#exempt = ips;
    this.#exemptKey = ips.join();
  }

  async annotate(pod: PodFacts, value: RedirectionAnnotation | null): Promise<void> {
    if ((this.#annotation ?? null) === value) return;
    await this.#steps.annotate(pod, value);
    this.#annotation = value ?? undefined;
  }

  /**
   * Takes everything away, capture first: nothing of the pod is refused at any moment. What translates the packets of
   * captured connections goes only when ztunnel has closed them, so that the application learns of it.
   */
  async leave(pod: PodFacts, isAlive: boolean): Promise<void> {
    const netns = isAlive && this.#isTouched ? this.#findAgain(pod) : undefined;
    this.#rulesKey = undefined;
    if (netns !== undefined) await this.#steps.endCapture(netns);
    this.#wasCaptured = false;
    await this.#withdraw();
    if (netns !== undefined) await this.#steps.removeRules(netns);
    this.#mayHaveRules = false;
    this.#isTouched = false;
    await this.#endProbeExemption(pod.ips);
    this.#close();
  }

  /** Once, not with every reconciliation. */
  #noteBypasses(bypasses: readonly string[]): void {
    const detail = bypasses.slice(0, MAX_NAMED_DIFFERENCES).join('; ');
    if (detail !== '' && detail !== this.#bypasses) this.#note('capture-bypassed', detail);
    this.#bypasses = detail;
  }

  #noteNoProxy(): void {
    this.#note('proxy-missing', `nobody listens on ztunnel's ports in ${this.#netns!.path}`);
    this.#isCarried = false;
  }

  #isGood(netns: PodNetns, query: NetnsQuery): boolean {
    return (
      netns.namespace.inode !== query.notInode &&
      (query.path === undefined ? query.ips.join() === this.#netnsIps : query.path === netns.path) &&
      this.#steps.isStillThere(netns)
    );
  }

  #startAnew(): void {
    this.#mayHaveRules = false;
    this.#isFresh = false;
    this.#rulesKey = undefined;
    this.#isCarried = false;
    this.rulesVerifiedAt = undefined;
  }

  /** The namespace is gone and no other is there yet: neither ztunnel nor the node should go on with it. */
  async #lose(isEnding: boolean): Promise<void> {
    if (this.#netns !== undefined) {
      if (!isEnding) this.#note('sandbox-replaced', `${this.#netns.path} is gone`);
      this.#startAnew();
      this.#close();
      this.#isLost = true;
    }
    if (!this.#isLost) return;
    await this.#withdraw();
    await this.#endProbeExemption([]);
    this.#isLost = false;
  }

  async #rollBack(): Promise<void> {
    try {
      await this.#steps.removeRules(this.#netns!);
      this.#mayHaveRules = false;
      // Now it is at work without them, whatever an older namespace of it had.
      this.#wasCaptured = false;
    } catch {
      // The first failure says more, and the next attempt begins by looking at what is there.
    }
  }

  async #endProbeExemption(more: readonly IpAddress[]): Promise<void> {
    if (!this.#mayBeExempt) return;
    const ips = [...new Set([...this.#exempt, ...more])];
    if (ips.length > 0) await this.#steps.endProbeExemption(this.#uid, ips);
    this.#mayBeExempt = false;
    this.#exempt = [];
    this.#exemptKey = undefined;
  }

  /** Also of a pod that opted out while no agent ran; one without a namespace has nothing to be removed. */
  #findAgain(pod: PodFacts): PodNetns | undefined {
    try {
      this.#netns ??= this.#steps.findNetns(netnsQuery(pod));
    } catch {
      return undefined;
    }
    return this.#netns;
  }

  async #withdraw(): Promise<void> {
    if (this.#isOffered) await this.#steps.withdraw(this.#uid);
    this.#isOffered = false;
    this.#isCarried = false;
  }

  #close(): void {
    if (this.#netns !== undefined) this.#steps.closeNetns(this.#netns);
    this.#netns = undefined;
  }
}

function listed(findings: readonly RuleFinding[]): string {
  const named = findings.slice(0, MAX_NAMED_DIFFERENCES).map(formatFinding).join('; ');
  const more = findings.length - MAX_NAMED_DIFFERENCES;
  return more > 0 ? `${named}; and ${more} more` : named;
}
