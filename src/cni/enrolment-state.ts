/** A pod's place in the mesh as a value: what is wanted of it, how far it has come, and what was found wrong. */

import type { IpAddress } from '../base/ip.ts';
import type { PodFacts } from './pod-facts.ts';
import type { NetnsQuery, PodNetns } from './pod-netns.ts';
import type { RedirectionOutcome } from './redirection.ts';
import type { RedirectionOptions } from './redirection-rules.ts';

export type EnrolmentWish =
  | { readonly kind: 'in'; readonly options: RedirectionOptions }
  /** Opted out, or ended. In a pod that is alive the rules have to go. */
  | { readonly kind: 'out'; readonly isAlive: boolean }
  /** The object is deleted. */
  | { readonly kind: 'gone' };

/** How far a pod has come: nothing in force; rules in force but refused connections; carried by ztunnel. */
export type EnrolmentStage = 'pending' | 'redirected' | 'enrolled';

export type EnrolmentState =
  | { readonly kind: 'out' }
  | { readonly kind: EnrolmentStage }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      /** Tried again soon; otherwise with the next reconciliation, or when the pod changes. */
      readonly retryable: boolean;
      readonly after: EnrolmentStage | 'leaving';
    }
  | { readonly kind: 'leaving' };

/** Status that the agent writes on a pod; control planes send HBONE to pods that are enabled. */
export const REDIRECTION_ANNOTATION = 'ambient.istio.io/redirection';
export type RedirectionAnnotation = 'enabled' | 'pending';

/**
 * Something that was not as it should be, told in reports until newer ones take its place. It was repaired, but for
 * `capture-bypassed`: rules that somebody in the pod has made are not taken from him.
 */
export interface EnrolmentFinding {
  readonly kind: 'rules-missing' | 'proxy-missing' | 'sandbox-replaced' | 'capture-bypassed';
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly detail: string;
}

export interface RedirectionHow {
  /** Nobody can have put rules into the namespace yet. */
  readonly isFresh: boolean;
  /** The pod is not started before. */
  readonly isUrgent: boolean;
}

/** The outside world as enrolment sees it. Every step may be repeated without harm. */
export interface EnrolmentSteps {
  /** @throws AMBIT_CNI_NETNS_NOT_FOUND, AMBIT_CNI_NETNS_AMBIGUOUS */
  findNetns(query: NetnsQuery): PodNetns;
  isStillThere(netns: PodNetns): boolean;
  closeNetns(netns: PodNetns): void;
  ensureRules(netns: PodNetns, options: RedirectionOptions, how: RedirectionHow): Promise<RedirectionOutcome>;
  /** New connections go past ztunnel from now on; those that it carries go on. */
  endCapture(netns: PodNetns): Promise<void>;
  removeRules(netns: PodNetns): Promise<void>;
  /** Offers the pod to ztunnel; resolves when it has agreed. */
  offer(uid: string): Promise<void>;
  /** Never rejects. */
  withdraw(uid: string): Promise<void>;
  exemptProbes(uid: string, ips: readonly IpAddress[]): Promise<void>;
  endProbeExemption(uid: string, ips: readonly IpAddress[]): Promise<void>;
  annotate(pod: PodFacts, value: RedirectionAnnotation | null): Promise<void>;
}
