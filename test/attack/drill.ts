/** One attack: what it does, which limit has to answer, and how a run of it is measured and judged. */

import { setTimeout as delay } from 'node:timers/promises';
import type { AttackWorld } from './attack-world.ts';
import type { NodeReport } from './node-process-main.ts';
import { NEW_CONNECTION, type PaceReport } from './pacer-main.ts';

/** Until when an attack goes on. */
export class Deadline {
  readonly #endMs: number;

  constructor(durationMs: number) {
    this.#endMs = performance.now() + durationMs;
  }

  get over(): boolean {
    return performance.now() >= this.#endMs;
  }

  get leftMs(): number {
    return Math.max(0, this.#endMs - performance.now());
  }
}

export interface Drill {
  readonly name: string;
  /** What it is known as. */
  readonly about: string;
  /** Counters that have to move: `metric/label value`. Without any nothing is forbidden: fairness alone is at stake. */
  readonly counters?: readonly string[];
  /** The machine as a whole has run out of something: the neighbour's open connections go on, new ones may fail. */
  readonly newConnectionsMayFail?: boolean;
  /** An error code that has to be in the log of the node. */
  readonly code?: string;
  /** How long it needs at least, when that is more than usual: a timeout has to run out. */
  readonly attackMs?: number;
  /** Ends by itself soon after the deadline, and leaves nothing open. Throws when what it asserts is not so. */
  attack(world: AttackWorld, deadline: Deadline): Promise<void>;
}

export interface DrillResult {
  readonly drill: string;
  readonly about: string;
  /** By how much each counter of the drill has moved. */
  readonly moved: Readonly<Record<string, number>>;
  readonly quietP99Ms: number;
  readonly attackedP99Ms: number;
  readonly residentBefore: number;
  readonly residentAfter: number;
  readonly descriptorsBefore: number;
  readonly descriptorsAfter: number;
  /** Broken invariants: these decide. */
  readonly faults: readonly string[];
  /** Whether the neighbour stayed within its bound: judged where the machine is quiet. */
  readonly inTime: boolean;
}

export interface DrillTimes {
  readonly quietMs: number;
  readonly attackMs: number;
}

/** The neighbour's p99 may grow by this factor ... */
export const MAX_SLOWDOWN = 3;
/** ... and is in order in any case below this, in ms: attacker, both nodes, client and servers share two cores here. */
export const NEIGHBOUR_FLOOR_MS = 5;
/** What memory may be above where it was: a share of that, as a heap breathes, and bytes. */
const RESIDENT_SHARE = 0.25;
const RESIDENT_SLACK = 32 * 1024 * 1024;
/** Connections that the neighbour opens anew come and go. */
const DESCRIPTOR_SLACK = 4;
/** Sessions and streams have gone as well, not just their sockets; those of the neighbour come and go. */
const HELD = ['ambit_resources_held/http2_connections', 'ambit_resources_held/http2_streams'];
const HELD_SLACK = 8;
/** Counters whose line in the log names the limit. */
const LIMIT_REACHED = 'ambit_limit_reached_total/';
/** Timeouts of half-open connections, and lingering ones, are over by then, and what they took is given back. */
const SETTLE_MS = 30_000;
const LOOK_MS = 250;

interface NodeState {
  readonly resident: number;
  readonly descriptors: number;
  readonly report: NodeReport;
}

async function stateOf({ node }: AttackWorld): Promise<NodeState> {
  return { resident: node.residentBytes, descriptors: node.descriptors, report: await node.report() };
}

/** Waits until memory and descriptors have returned and the counter has been reported, or for as long as they may take. */
async function settled(world: AttackWorld, drill: Drill, before: NodeState): Promise<NodeState> {
  const deadline = new Deadline(SETTLE_MS);
  for (;;) {
    const now = await stateOf(world);
    const isClosed = now.descriptors <= before.descriptors + DESCRIPTOR_SLACK;
    const isReleased = hasReleased(now.report, before.report);
    const done =
      isClosed &&
      isReleased &&
      hasShrunk(now, before) &&
      unmoved(drill, now.report, before.report).length === 0;
    if (done || deadline.over) return now;
    await delay(LOOK_MS);
  }
}

function movedBy({ counters = [] }: Drill, now: NodeReport, before: NodeReport): Record<string, number> {
  return Object.fromEntries(
    counters.map((counter) => [counter, (now.counters[counter] ?? 0) - (before.counters[counter] ?? 0)]),
  );
}

function unmoved(drill: Drill, now: NodeReport, before: NodeReport): string[] {
  return Object.entries(movedBy(drill, now, before)).flatMap(([counter, by]) => (by > 0 ? [] : [counter]));
}

/** Limits that have answered without a line in the log: one of a pod is logged now and then, so an earlier one counts. */
function unlogged(drill: Drill, now: NodeReport): string[] {
  const limits = (drill.counters ?? []).filter((counter) => counter.startsWith(LIMIT_REACHED));
  return limits.filter((counter) => now.limits[counter.slice(LIMIT_REACHED.length)] === undefined);
}

function hasShrunk(now: NodeState, before: NodeState): boolean {
  return now.resident <= before.resident * (1 + RESIDENT_SHARE) + RESIDENT_SLACK;
}

function hasReleased(now: NodeReport, before: NodeReport): boolean {
  return HELD.every((held) => (now.counters[held] ?? 0) <= (before.counters[held] ?? 0) + HELD_SLACK);
}

function faultsOf(
  drill: Drill,
  { before, after, pace }: { before: NodeState; after: NodeState; pace: PaceReport },
): string[] {
  const logged = (report: NodeReport) => (drill.code === undefined ? 1 : (report.codes[drill.code] ?? 0));
  const still = unmoved(drill, after.report, before.report);
  const silent = unlogged(drill, after.report);
  const failures = pace.failures.filter(
    (failure) => drill.newConnectionsMayFail !== true || !failure.startsWith(NEW_CONNECTION),
  );
  const checks: readonly (readonly [boolean, string])[] = [
    [still.length === 0, `not moved: ${still.join(', ')}`],
    [silent.length === 0, `not logged: ${silent.join(', ')}`],
    [drill.code === undefined || logged(after.report) > logged(before.report), `${drill.code} is not logged`],
    [after.report.failures.length === 0, `the proxy failed: ${after.report.failures[0]}`],
    [(after.report.codes.AMBIT_HANDLER_FAILED ?? 0) === 0, 'an event handler threw'],
    [failures.length === 0, `the neighbour: ${failures[0]}`],
    [pace.calls > 0, 'the neighbour had no answer at all'],
    [hasShrunk(after, before), `memory has not returned: ${before.resident} bytes, then ${after.resident}`],
    [after.descriptors <= before.descriptors + DESCRIPTOR_SLACK, 'descriptors have not returned'],
    [hasReleased(after.report, before.report), 'HTTP/2 sessions or streams are still held'],
  ];
  return checks.filter(([fine]) => !fine).map(([, fault]) => fault);
}

/** A quiet spell, then the attack, then what is left of it. */
export async function runDrill(world: AttackWorld, drill: Drill, times: DrillTimes): Promise<DrillResult> {
  await world.pacer.report();
  await delay(times.quietMs);
  const quiet = await world.pacer.report();
  const before = await stateOf(world);
  const attackMs = Math.max(times.attackMs, drill.attackMs ?? 0);
  const broken = await drill.attack(world, new Deadline(attackMs)).then(
    () => [],
    (thrown: Error) => [thrown.message],
  );
  const pace = await world.pacer.report();
  const after = await settled(world, drill, before);
  return {
    drill: drill.name,
    about: drill.about,
    moved: movedBy(drill, after.report, before.report),
    quietP99Ms: quiet.p99,
    attackedP99Ms: pace.p99,
    residentBefore: before.resident,
    residentAfter: after.resident,
    descriptorsBefore: before.descriptors,
    descriptorsAfter: after.descriptors,
    faults: [...broken, ...faultsOf(drill, { before, after, pace })],
    inTime: pace.p99 <= Math.max(NEIGHBOUR_FLOOR_MS, MAX_SLOWDOWN * quiet.p99),
  };
}
