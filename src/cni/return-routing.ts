/** Policy routing in a pod: replies that bear the return mark go to loopback, where ztunnel's socket is. */

import type { IpFamily } from '../base/ip.ts';
import { RETURN_MARK, RETURN_RULE_PRIORITY, RETURN_TABLE } from './redirection-constants.ts';
import type { Program } from './run-programs.ts';

/** What there is of the rule and the route of one family. */
export interface ReturnRouting {
  readonly rule: boolean;
  readonly route: boolean;
}

export const NO_RETURN_ROUTING: ReturnRouting = { rule: false, route: false };

const [MARK, MASK] = RETURN_MARK.split('/') as [string, string];

/** Prints two lines of JSON: the policy rules of our priority, and the routes of our table. */
export function listReturnRouting(family: IpFamily): Program {
  return ipBatch(family, [
    `rule show pref ${RETURN_RULE_PRIORITY}`,
    // A table that does not exist yet is an error on stderr and no line.
    `route show table ${RETURN_TABLE}`,
  ]);
}

/** Reads what {@link listReturnRouting} prints; what is not understood counts as missing. */
export function parseReturnRouting(output: string): ReturnRouting {
  const entries = output.split('\n').flatMap(parseJsonList);
  return { rule: entries.some(isReturnRule), route: entries.some(isReturnRoute) };
}

/** The program that turns `present` into `wanted`; undefined when they are equal. */
export function changeReturnRouting(
  family: IpFamily,
  present: ReturnRouting,
  wanted: ReturnRouting,
): Program | undefined {
  const rule = `fwmark ${RETURN_MARK} pref ${RETURN_RULE_PRIORITY} lookup ${RETURN_TABLE}`;
  const route = `local ${family === 4 ? '0.0.0.0/0' : '::/0'} dev lo table ${RETURN_TABLE}`;
  const lines = [
    // The route is there before the rule asks for it, and until after it does.
    ...(wanted.route && !present.route ? [`route replace ${route}`] : []),
    ...(wanted.rule && !present.rule ? [`rule add ${rule}`] : []),
    ...(present.rule && !wanted.rule ? [`rule del ${rule}`] : []),
    ...(present.route && !wanted.route ? [`route del ${route}`] : []),
  ];
  return lines.length === 0 ? undefined : ipBatch(family, lines);
}

function ipBatch(family: IpFamily, lines: readonly string[]): Program {
  return { argv: ['ip', `-${family}`, '-json', '-force', '-batch', '-'], input: `${lines.join('\n')}\n` };
}

type Entry = Readonly<Record<string, unknown>>;

function parseJsonList(line: string): Entry[] {
  if (!line.startsWith('[')) return [];
  try {
    const list: unknown = JSON.parse(line);
    return Array.isArray(list) ? list.filter((entry) => typeof entry === 'object' && entry !== null) : [];
  } catch {
    return [];
  }
}

function isReturnRule(entry: Entry): boolean {
  return (
    entry.priority === RETURN_RULE_PRIORITY &&
    entry.fwmark === MARK &&
    entry.fwmask === MASK &&
    entry.table === String(RETURN_TABLE)
  );
}

function isReturnRoute(entry: Entry): boolean {
  return entry.type === 'local' && entry.dst === 'default' && entry.dev === 'lo';
}
