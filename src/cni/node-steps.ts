/** The steps of enrolment on a real node: iptables, the sets of probe exemption, ztunnel, and the pod's object. */

import { AmbitError } from '../base/errors.ts';
import type { IpAddress } from '../base/ip.ts';
import type { ObjectSource } from '../objects/object-source.ts';
import {
  type EnrolmentSteps,
  REDIRECTION_ANNOTATION,
  type RedirectionAnnotation,
  type RedirectionHow,
} from './enrolment-state.ts';
import type { PodFacts } from './pod-facts.ts';
import { isStillThere, type NetnsFinder, type NetnsQuery, type PodNetns } from './pod-netns.ts';
import type { ProbeExemption } from './probe-exemption.ts';
import type { Redirection, RedirectionOutcome } from './redirection.ts';
import type { RedirectionOptions } from './redirection-rules.ts';
import type { WorkLimit } from './work-limit.ts';

/** Where pods are offered to ztunnel. */
export interface ProxyOffers {
  add(uid: string): Promise<void>;
  remove(uid: string): Promise<void>;
}

export interface NodeStepsOptions {
  readonly finder: NetnsFinder;
  readonly redirection: Redirection;
  readonly exemption: ProbeExemption;
  readonly proxy: ProxyOffers;
  readonly source: ObjectSource;
  /** Around everything that starts processes. */
  readonly limit: WorkLimit;
}

export class NodeSteps implements EnrolmentSteps {
  readonly #options: NodeStepsOptions;

  constructor(options: NodeStepsOptions) {
    this.#options = options;
  }

  findNetns(query: NetnsQuery): PodNetns {
    return this.#options.finder.find(query);
  }

  isStillThere(netns: PodNetns): boolean {
    return isStillThere(netns);
  }

  closeNetns(netns: PodNetns): void {
    netns.namespace.close();
  }

  ensureRules(
    netns: PodNetns,
    options: RedirectionOptions,
    how: RedirectionHow,
  ): Promise<RedirectionOutcome> {
    const { limit, redirection } = this.#options;
    return limit.run(() => redirection.ensure(netns.namespace, options, how.isFresh), how.isUrgent);
  }

  async endCapture(netns: PodNetns): Promise<void> {
    const { limit, redirection } = this.#options;
    await limit.run(() => redirection.endCapture(netns.namespace));
  }

  async removeRules(netns: PodNetns): Promise<void> {
    const { limit, redirection } = this.#options;
    await limit.run(() => redirection.remove(netns.namespace));
  }

  offer(uid: string): Promise<void> {
    return this.#options.proxy.add(uid);
  }

  withdraw(uid: string): Promise<void> {
    return this.#options.proxy.remove(uid);
  }

  exemptProbes(uid: string, ips: readonly IpAddress[]): Promise<void> {
    return this.#options.exemption.add(uid, ips);
  }

  endProbeExemption(uid: string, ips: readonly IpAddress[]): Promise<void> {
    return this.#options.exemption.remove(uid, ips);
  }

  async annotate(pod: PodFacts, value: RedirectionAnnotation | null): Promise<void> {
    const { namespace, name } = pod;
    const patch = { annotations: { [REDIRECTION_ANNOTATION]: value } };
    try {
      await this.#options.source.patch({ kind: 'Pod', namespace, name }, patch);
    } catch (thrown) {
      // Deleted meanwhile: there is nothing to be said of it any more.
      if (!(thrown instanceof AmbitError && thrown.code === 'AMBIT_OBJECT_NOT_FOUND')) throw thrown;
    }
  }
}
