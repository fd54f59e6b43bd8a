/** Puts the capture rules of a pod in force inside its network namespace, verifies them, and takes them away. */

import type { IpFamily } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { captureBypasses } from './capture-bypass.ts';
import { cniErrors } from './errors.ts';
import type { IptablesChoice, IptablesTools } from './iptables-tools.ts';
import { ipv6Facts } from './namespace-facts.ts';
import {
  assumeUntouched,
  observeRules,
  type RuleFinding,
  type RuleGoal,
  type RuleObservation,
  reachGoals,
  ruleFindings,
} from './namespace-rules.ts';
import { isProxyThere, LIST_LISTENERS } from './proxy-presence.ts';
import { OUTPUT_CHAIN, PREROUTING_CHAIN } from './redirection-constants.ts';
import { leavingRules, type RedirectionOptions, redirectionRules } from './redirection-rules.ts';
import { NO_RETURN_ROUTING, type ReturnRouting } from './return-routing.ts';
import { EMPTY_RULE_SET, type RuleSet } from './rule-set.ts';

const OWNED_CHAINS = [PREROUTING_CHAIN, OUTPUT_CHAIN];

export interface RedirectionOutcome {
  /** What was not as it should have been, and is now. */
  readonly findings: readonly RuleFinding[];
  /** Whether somebody listens on ztunnel's ports; undefined when nobody looked. */
  readonly hasProxy: boolean | undefined;
  /** Rules of others that let traffic past redirection. */
  readonly bypasses: readonly string[];
}

/** Redirection by the node's flavour of iptables. Every method may be repeated without harm. */
export class Redirection {
  readonly #choice: IptablesChoice;
  /** Namespaces that are known to hold nothing of the other flavour. */
  readonly #known = new WeakSet<NetworkNamespace>();

  constructor(choice: IptablesChoice) {
    this.#choice = choice;
  }

  /**
   * Puts the rules in force; a namespace that already has them is not touched.
   * @param isFresh nothing was ever done in this namespace, so that looking first is not worth its time
   * @throws AMBIT_CNI_PROGRAM_FAILED, AMBIT_CNI_RULES_NOT_IN_FORCE, AMBIT_CNI_NO_IPTABLES
   */
  async ensure(
    namespace: NetworkNamespace,
    options: RedirectionOptions,
    isFresh: boolean,
  ): Promise<RedirectionOutcome> {
    const goals = this.#captureGoals(namespace, options);
    if (isFresh) {
      await reachGoals(namespace, goals.map(assumeUntouched));
      return { findings: [], hasProxy: undefined, bypasses: [] };
    }
    // A node that changed its flavour would otherwise have every rule twice.
    const { other } = this.#choice;
    const leftovers =
      other === undefined || this.#known.has(namespace) ? [] : emptyGoals(namespace, other, undefined);
    const look = await observeRules(namespace, [...goals, ...leftovers], [LIST_LISTENERS]);
    await reachGoals(namespace, look.observations.filter(isWrong));
    this.#known.add(namespace);
    const seen = look.observations.slice(0, goals.length);
    return {
      findings: seen.flatMap(ruleFindings),
      hasProxy: isProxyThere(look.results[0]!),
      bypasses: seen.flatMap(({ tables, goal }) => captureBypasses(tables, goal.rules)),
    };
  }

  /** What is not as it should be now, in the chosen flavour. @throws AMBIT_CNI_PROGRAM_FAILED */
  async verify(namespace: NetworkNamespace, options: RedirectionOptions): Promise<RuleFinding[]> {
    const { observations } = await observeRules(namespace, this.#captureGoals(namespace, options));
    return observations.flatMap(ruleFindings);
  }

  /**
   * Lets new connections go past ztunnel; those that it carries go on, until it closes them or the rules are removed.
   * @throws AMBIT_CNI_PROGRAM_FAILED, AMBIT_CNI_RULES_NOT_IN_FORCE
   */
  async endCapture(namespace: NetworkNamespace): Promise<void> {
    const { observations } = await observeRules(namespace, this.#goals(namespace, leavingRules));
    await reachGoals(namespace, observations.filter(isWrong));
  }

  /**
   * Takes away everything, in both flavours and families.
   * @returns whether there was anything
   * @throws AMBIT_CNI_PROGRAM_FAILED, AMBIT_CNI_RULES_NOT_IN_FORCE
   */
  async remove(namespace: NetworkNamespace): Promise<boolean> {
    const { preferred, other } = this.#choice;
    const goals = [
      ...emptyGoals(namespace, preferred, NO_RETURN_ROUTING),
      ...(other === undefined ? [] : emptyGoals(namespace, other, undefined)),
    ];
    const { observations } = await observeRules(namespace, goals);
    const wrong = observations.filter(isWrong);
    await reachGoals(namespace, wrong);
    return wrong.length > 0;
  }

  #captureGoals(namespace: NetworkNamespace, options: RedirectionOptions): RuleGoal[] {
    if (this.#choice.preferred.v6 === undefined && ipv6Facts(namespace).inUse)
      throw cniErrors.AMBIT_CNI_NO_IPTABLES('the pod uses IPv6, but there is no ip6tables');
    return this.#goals(namespace, (family) => redirectionRules(options, family));
  }

  #goals(namespace: NetworkNamespace, rulesOf: (family: IpFamily) => RuleSet): RuleGoal[] {
    const { v4, v6 } = this.#choice.preferred;
    const ipv6 = ipv6Facts(namespace);
    const owned = OWNED_CHAINS;
    const routing = { rule: true, route: true };
    const goals: RuleGoal[] = [{ family: 4, pair: v4, rules: rulesOf(4), owned, routing }];
    if (!ipv6.inUse || v6 === undefined) return goals;
    const routingV6 = { rule: true, route: ipv6.onLoopback };
    return [...goals, { family: 6, pair: v6, rules: rulesOf(6), owned, routing: routingV6 }];
  }
}

/** @param routing what should remain of policy routing; undefined leaves it as it is */
function emptyGoals(
  namespace: NetworkNamespace,
  tools: IptablesTools,
  routing: ReturnRouting | undefined,
): RuleGoal[] {
  const goals: RuleGoal[] = [
    { family: 4, pair: tools.v4, rules: EMPTY_RULE_SET, owned: OWNED_CHAINS, routing },
    { family: 6, pair: tools.v6 ?? tools.v4, rules: EMPTY_RULE_SET, owned: OWNED_CHAINS, routing },
  ];
  const isV6Known = tools.v6 !== undefined && ipv6Facts(namespace).isKnown;
  return isV6Known ? goals : goals.slice(0, 1);
}

function isWrong(observation: RuleObservation): boolean {
  return ruleFindings(observation).length > 0;
}
