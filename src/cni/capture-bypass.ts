/** Finds rules of others that let traffic past redirection: ours stay in force, and are not reached. */

import { targetOf } from './iptables-rule.ts';
import type { SavedTables } from './iptables-save.ts';
import type { RuleSet } from './rule-set.ts';

/** Targets after which a packet is seen by no later rule of the table. */
const FINAL_TARGETS = ['ACCEPT', 'RETURN', 'DROP', 'REDIRECT', 'DNAT'];

/**
 * Rules that stand before our jumps in the built-in chains of the nat table and end the packet's way there, such as
 * `nat OUTPUT: -p tcp -m tcp --dport 443 -j ACCEPT`. They belong to somebody in the pod, so they are only told of.
 */
export function captureBypasses(saved: SavedTables, desired: RuleSet): string[] {
  const chains = saved.get('nat');
  return desired.nat.flatMap(({ name, hook }) => {
    const rules = chains?.get(hook) ?? [];
    const jump = rules.findIndex((rule) => targetOf(rule) === name);
    const before = rules.slice(0, Math.max(0, jump));
    return before
      .filter((rule) => FINAL_TARGETS.includes(targetOf(rule)))
      .map((rule) => `nat ${hook}: ${rule}`);
  });
}
