/**
 * Lets kubelet's probes past capture: on the host, connections of node-local processes to enrolled pods get a source
 * address that the pods' rules let through. Forwarded traffic has no local socket and keeps its source.
 */

import { messageOf } from '../base/errors.ts';
import { familyOf, type IpAddress, type IpFamily } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { logger } from '../telemetry/log.ts';
import { cniErrors } from './errors.ts';
import type { IptablesChoice, IptablesTools } from './iptables-tools.ts';
import { ipv6Facts } from './namespace-facts.ts';
import {
  observeRules,
  type RuleFinding,
  type RuleGoal,
  reachGoals,
  ruleFindings,
} from './namespace-rules.ts';
import { changeProbeSets, commentOf, createProbeSets, parseProbeSets, probeSetOf } from './probe-sets.ts';
import { POSTROUTING_CHAIN, PROBE_SOURCE_V4, PROBE_SOURCE_V6 } from './redirection-constants.ts';
import { EMPTY_RULE_SET, type RuleSet } from './rule-set.ts';
import { runProgram, runPrograms } from './run-programs.ts';

const log = logger('cni');

/** What a reconciliation found. */
export interface ProbeFindings {
  readonly rules: readonly RuleFinding[];
  /** Enrolled addresses that were not in the sets. */
  readonly missing: readonly IpAddress[];
  /** Addresses in the sets that belong to no enrolled pod; removed when that is certain. */
  readonly stale: readonly IpAddress[];
}

export interface ProbeExemptionOptions {
  readonly iptables: IptablesChoice;
  /** The node's namespace, where kubelet is. */
  readonly host: NetworkNamespace;
  /** Only processes of this user are exempt; absent: every process of the node. */
  readonly kubeletUser?: number | undefined;
}

/** The one writer of the sets. Changes that come close together are one call of ipset. */
export class ProbeExemption {
  readonly #options: ProbeExemptionOptions;
  readonly #wanted = new Map<IpAddress, string>();
  /** What the kernel holds, as far as is known: also what an earlier agent left. */
  readonly #present = new Map<IpAddress, string>();
  readonly #changed = new Set<IpAddress>();
  #isV6Usable = true;
  #busy: Promise<unknown> = Promise.resolve();
  #nextFlush: Promise<void> | undefined;

  constructor(options: ProbeExemptionOptions) {
    this.#options = options;
  }

  /** Makes sets and rules where they are missing; entries of an earlier agent stay until a reconciliation. */
  async start(): Promise<void> {
    await this.#exclusively(async () => {
      await this.#makeOrGiveUpIpv6();
      const { other } = this.#options.iptables;
      if (other !== undefined) await this.#removeRules(other);
    });
  }

  /** @throws AMBIT_CNI_PROBE_SET_FAILED */
  add(uid: string, ips: readonly IpAddress[]): Promise<void> {
    for (const ip of ips) {
      this.#wanted.set(ip, commentOf(uid));
      this.#changed.add(ip);
    }
    return this.#flushSoon();
  }

  /** Leaves an address alone that belongs to another pod by now. @throws AMBIT_CNI_PROBE_SET_FAILED */
  remove(uid: string, ips: readonly IpAddress[]): Promise<void> {
    for (const ip of ips) {
      if ((this.#wanted.get(ip) ?? this.#present.get(ip)) !== commentOf(uid)) continue;
      this.#wanted.delete(ip);
      this.#changed.add(ip);
    }
    return this.#flushSoon();
  }

  /**
   * Compares rules and sets with what they should be and repairs them.
   * @param isComplete every enrolled pod's addresses are known, so that others may be removed: without that, pruning
   * would end the probes of pods whose addresses are told later
   */
  reconcile(isComplete: boolean): Promise<ProbeFindings> {
    return this.#exclusively(async () => {
      await this.#readSets();
      const rules = await this.#ensureRules();
      const families = this.#families();
      const mine = [...this.#wanted].filter(([ip]) => families.includes(familyOf(ip)));
      const missing = mine.filter(([ip, uid]) => this.#present.get(ip) !== uid).map(([ip]) => ip);
      const stale = [...this.#present.keys()].filter((ip) => !this.#wanted.has(ip));
      await this.#apply(isComplete ? [...missing, ...stale] : missing);
      return { rules, missing, stale };
    });
  }

  /** Takes away rules and sets. */
  async uninstall(): Promise<void> {
    await this.#exclusively(async () => {
      const { preferred, other } = this.#options.iptables;
      await this.#removeRules(preferred);
      if (other !== undefined) await this.#removeRules(other);
      // A set that is not there is as good as one that was destroyed.
      const destroy = ([4, 6] as const).map((family) => ({ argv: ['ipset', 'destroy', probeSetOf(family)] }));
      await runPrograms(destroy, this.#options.host);
    });
  }

  #families(): IpFamily[] {
    const { iptables, host } = this.#options;
    const hasV6 = this.#isV6Usable && iptables.preferred.v6 !== undefined && ipv6Facts(host).inUse;
    return hasV6 ? [4, 6] : [4];
  }

  /** A kernel without NAT for IPv6 is no reason to leave the node without the exemption for IPv4. */
  async #makeOrGiveUpIpv6(): Promise<void> {
    const make = async () => {
      await this.#readSets();
      await this.#ensureRules();
    };
    try {
      await make();
    } catch (thrown) {
      if (!this.#families().includes(6)) throw thrown;
      this.#isV6Usable = false;
      await make();
      log.warn('probes over IPv6 are not exempt', { reason: messageOf(thrown) });
    }
  }

  async #readSets(): Promise<void> {
    const families = this.#families();
    await this.#restore(createProbeSets(families));
    const programs = families.map((family) => ({ argv: ['ipset', 'save', probeSetOf(family)] }));
    const results = await runPrograms(programs, this.#options.host);
    this.#present.clear();
    for (const [ip, uid] of results.flatMap((result) => [...parseProbeSets(result.stdout)])) {
      this.#present.set(ip, uid);
    }
  }

  async #ensureRules(): Promise<RuleFinding[]> {
    const { iptables, host, kubeletUser } = this.#options;
    const goals = this.#families().map((family) =>
      ruleGoal(iptables.preferred, family, probeRules(family, kubeletUser)),
    );
    const { observations } = await observeRules(host, goals);
    const findings = observations.flatMap(ruleFindings);
    if (findings.length > 0) await reachGoals(host, observations);
    return findings;
  }

  async #removeRules(tools: IptablesTools): Promise<void> {
    const { host } = this.#options;
    const families: IpFamily[] = tools.v6 !== undefined && ipv6Facts(host).isKnown ? [4, 6] : [4];
    const goals = families.map((family) => ruleGoal(tools, family, EMPTY_RULE_SET));
    const { observations } = await observeRules(host, goals);
    const left = observations.filter((one) => ruleFindings(one).length > 0);
    await reachGoals(host, left);
  }

  #flushSoon(): Promise<void> {
    this.#nextFlush ??= this.#exclusively(() => {
      this.#nextFlush = undefined;
      const changed = [...this.#changed];
      this.#changed.clear();
      return this.#apply(changed);
    });
    return this.#nextFlush;
  }

  async #apply(addresses: readonly IpAddress[]): Promise<void> {
    const families = this.#families();
    const usable = addresses.filter((ip) => families.includes(familyOf(ip)));
    if (usable.length === 0) return;
    await this.#restore(changeProbeSets(usable, this.#wanted));
    for (const ip of usable) {
      const uid = this.#wanted.get(ip);
      if (uid === undefined) this.#present.delete(ip);
      else this.#present.set(ip, uid);
    }
  }

  async #restore(input: string): Promise<void> {
    const result = await this.#runIpset(input);
    if (result.status === 0) return;
    throw cniErrors.AMBIT_CNI_PROBE_SET_FAILED(
      `ipset restore ended with ${result.status}: ${result.stderr.trim()}`,
    );
  }

  async #runIpset(input: string) {
    try {
      return await runProgram({ argv: ['ipset', '-exist', 'restore'], input }, this.#options.host);
    } catch (thrown) {
      throw cniErrors.AMBIT_CNI_PROBE_SET_FAILED(messageOf(thrown), thrown);
    }
  }

  /** One at a time, in the order of the calls; a failure concerns its own caller only. */
  #exclusively<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#busy.then(task, task);
    this.#busy = run.catch(() => {});
    return run;
  }
}

function ruleGoal(tools: IptablesTools, family: IpFamily, rules: RuleSet): RuleGoal {
  const pair = family === 4 ? tools.v4 : (tools.v6 ?? tools.v4);
  return { family, pair, rules, owned: [POSTROUTING_CHAIN], routing: undefined };
}

/** In front of the rules of other CNI plugins and kube-proxy, one of which may accept or masquerade. */
function probeRules(family: IpFamily, user: number | undefined): RuleSet {
  const source = family === 4 ? PROBE_SOURCE_V4 : PROBE_SOURCE_V6;
  const owner = user === undefined ? '--socket-exists' : `--uid-owner ${user} --socket-exists`;
  const rule = `-p tcp -m owner ${owner} -m set --match-set ${probeSetOf(family)} dst -j SNAT --to-source ${source}`;
  return {
    ...EMPTY_RULE_SET,
    nat: [{ name: POSTROUTING_CHAIN, rules: [rule], hook: 'POSTROUTING', first: true }],
  };
}
