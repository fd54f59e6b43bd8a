/** Brings the iptables chains and the return routing of one namespace from what they are to what they should be. */

import type { IpFamily } from '../base/ip.ts';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { cniErrors } from './errors.ts';
import { parseIptablesSave, type SavedTables } from './iptables-save.ts';
import type { IptablesPair } from './iptables-tools.ts';
import {
  changeReturnRouting,
  listReturnRouting,
  NO_RETURN_ROUTING,
  parseReturnRouting,
  type ReturnRouting,
} from './return-routing.ts';
import { EMPTY_RULE_SET, type RuleSet } from './rule-set.ts';
import { type RuleDifference, ruleDifferences, ruleTransition } from './rule-transition.ts';
import { type Program, type ProgramResult, runPrograms } from './run-programs.ts';

/** What should be the case in one namespace, for one family, by the programs of one flavour. */
export interface RuleGoal {
  readonly family: IpFamily;
  readonly pair: IptablesPair;
  readonly rules: RuleSet;
  /** Our own chains: those that are not in `rules` should not exist. */
  readonly owned: readonly string[];
  /** Undefined: policy routing is none of our business here. */
  readonly routing: ReturnRouting | undefined;
}

/** One thing that is not as it should be. */
export interface RuleFinding {
  readonly family: IpFamily;
  readonly kind: RuleDifference['kind'] | 'missing-policy-rule' | 'missing-return-route' | 'leftover-routing';
  readonly table?: string;
  readonly chain?: string;
  readonly rule?: string;
}

/** What was seen of a goal. */
export interface RuleObservation {
  readonly goal: RuleGoal;
  readonly tables: SavedTables;
  readonly routing: ReturnRouting;
}

/** What was seen in one go. */
export interface RuleLook {
  readonly observations: readonly RuleObservation[];
  /** Of the other programs. */
  readonly results: readonly ProgramResult[];
}

interface Pass extends RuleLook {
  /** What the programs that changed something said on failure. */
  readonly complaints: readonly string[];
}

interface PassPrograms {
  readonly changes: readonly Program[];
  readonly others: readonly Program[];
}

/** A second attempt is for what changed between looking and writing; more would fight another program. */
const ATTEMPTS = 2;
/** Lines of what a program says on failure. */
const COMPLAINT_LINES = 5;
/** Seconds that iptables waits for the xtables lock. */
const LOCK_WAIT_S = '5';

/**
 * Looks at what there is, and runs other programs in the same go.
 * @throws AMBIT_CNI_PROGRAM_FAILED
 */
export async function observeRules(
  namespace: NetworkNamespace,
  goals: readonly RuleGoal[],
  others: readonly Program[] = [],
): Promise<RuleLook> {
  return makePass(namespace, goals, { changes: [], others });
}

/** The observation of a namespace that nobody has touched, for when looking is not worth its time. */
export function assumeUntouched(goal: RuleGoal): RuleObservation {
  return { goal, tables: new Map(), routing: NO_RETURN_ROUTING };
}

/**
 * Changes what differs from the goals, each table in one transaction, and looks again.
 * @throws AMBIT_CNI_PROGRAM_FAILED, AMBIT_CNI_RULES_NOT_IN_FORCE
 */
export async function reachGoals(
  namespace: NetworkNamespace,
  start: readonly RuleObservation[],
): Promise<void> {
  if (start.length === 0) return;
  const goals = start.map((one) => one.goal);
  let pass: Pass = { observations: start, complaints: [], results: [] };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const changes = pass.observations.flatMap(changesFor);
    pass = await makePass(namespace, goals, { changes, others: [] });
    if (pass.observations.every((one) => ruleFindings(one).length === 0)) return;
  }
  const missing = pass.observations.flatMap(ruleFindings).map(formatFinding).join('; ');
  if (pass.complaints.length === 0) {
    throw cniErrors.AMBIT_CNI_RULES_NOT_IN_FORCE(`the rules do not stay: ${missing}`);
  }
  throw cniErrors.AMBIT_CNI_PROGRAM_FAILED(`${pass.complaints.join('; ')} (${missing})`);
}

/** Everything in which an observation is not its goal. */
export function ruleFindings({ goal, tables, routing }: RuleObservation): RuleFinding[] {
  const { family } = goal;
  const rules = ruleDifferences(tables, goal.rules, goal.owned).map((found) => ({ family, ...found }));
  if (goal.routing === undefined) return rules;
  return [...rules, ...routingFindings(family, routing, goal.routing)];
}

/** `IPv4 nat ISTIO_OUTPUT: missing-rule (-p tcp …)`, for log lines and reports. */
export function formatFinding(finding: RuleFinding): string {
  const place = [`IPv${finding.family}`, finding.table, finding.chain].filter((part) => part !== undefined);
  return `${place.join(' ')}: ${finding.kind}${finding.rule === undefined ? '' : ` (${finding.rule})`}`;
}

/** Runs the changes and looks at the outcome, all in one go. */
async function makePass(
  namespace: NetworkNamespace,
  goals: readonly RuleGoal[],
  { changes, others }: PassPrograms,
): Promise<Pass> {
  const saves = goals.map((goal) => ({ argv: [goal.pair.save] }));
  const routed = goals.filter((goal) => goal.routing !== undefined);
  const lists = routed.map((goal) => listReturnRouting(goal.family));
  const results = await runPrograms([...changes, ...saves, ...lists, ...others], namespace);
  const complaints = changes.flatMap((program, i) => complaintOf(program, results[i]!));
  const saved = results.slice(changes.length);
  const listed = saved.slice(goals.length);
  const observations = goals.map((goal, i) => {
    const list = goal.routing === undefined ? undefined : listed[routed.indexOf(goal)];
    return observationOf(goal, saved[i]!, list);
  });
  return { complaints, observations, results: listed.slice(lists.length) };
}

function observationOf(
  goal: RuleGoal,
  saved: ProgramResult,
  listed: ProgramResult | undefined,
): RuleObservation {
  if (saved.status !== 0) throw programFailed([goal.pair.save], saved);
  // ip reports a table that does not exist yet as a failure, after the answer that matters.
  const isFailed = listed !== undefined && listed.status !== 0 && !listed.stdout.includes('[');
  if (isFailed) throw programFailed(['ip'], listed);
  const routing = listed === undefined ? NO_RETURN_ROUTING : parseReturnRouting(listed.stdout);
  return { goal, tables: parseIptablesSave(saved.stdout), routing };
}

function programFailed(argv: readonly string[], result: ProgramResult): Error {
  return cniErrors.AMBIT_CNI_PROGRAM_FAILED(complaintOf({ argv }, result).join());
}

function complaintOf(program: Program, { status, stderr }: ProgramResult): string[] {
  if (status === 0) return [];
  const words = stderr.split('\n').slice(0, COMPLAINT_LINES).join(' ').trim();
  return [`${program.argv[0]} ended with ${status}: ${words}`];
}

function changesFor({ goal, tables, routing }: RuleObservation): Program[] {
  const routes =
    goal.routing === undefined ? undefined : changeReturnRouting(goal.family, routing, goal.routing);
  const input = ruleTransition(tables, goal.rules, goal.owned);
  const restore = { argv: [goal.pair.restore, '-w', LOCK_WAIT_S, '--noflush'], input };
  const changes = [...(routes === undefined ? [] : [routes]), ...(input === '' ? [] : [restore])];
  // Capture ends before its way back does, and begins after it.
  return goal.rules === EMPTY_RULE_SET ? changes.toReversed() : changes;
}

function routingFindings(family: IpFamily, present: ReturnRouting, wanted: ReturnRouting): RuleFinding[] {
  const isLeft = (present.rule && !wanted.rule) || (present.route && !wanted.route);
  return [
    ...(wanted.rule && !present.rule ? [{ family, kind: 'missing-policy-rule' } as const] : []),
    ...(wanted.route && !present.route ? [{ family, kind: 'missing-return-route' } as const] : []),
    ...(isLeft ? [{ family, kind: 'leftover-routing' } as const] : []),
  ];
}
