/** Inflicts faults one after another for a while, and checks every invariant after each. */

import { listPids, namespaceOf } from '../../src/sandbox/host/process-table.ts';
import { Random } from '../support/random.ts';
import { ChaosWorld } from './chaos-world.ts';
import type { Fault } from './faults.ts';
import { failureOf, judge, type Violations } from './invariants.ts';
import { takeInventory } from './inventory.ts';

export interface ChaosPlan {
  readonly faults: readonly Fault[];
  /** No further fault begins after this; but each is made once, however long that takes. */
  readonly seconds: number;
  readonly seed: number;
}

/** One time that a fault was made. */
export interface Trial {
  readonly fault: Fault;
  /** From when it was over until calls succeeded again. */
  readonly recoveryMs: number;
  readonly violations: Violations;
}

export interface ChaosResult {
  readonly trials: readonly Trial[];
  /** What was wrong when everything had been taken down. */
  readonly leftAtTheEnd: readonly string[];
  readonly calls: number;
  readonly streamsEnded: number;
}

/** In rounds: every fault once, in an order that the seed decides, then again. */
export async function runChaos(plan: ChaosPlan, progress: (line: string) => void): Promise<ChaosResult> {
  const world = await ChaosWorld.start();
  const end = performance.now() + plan.seconds * 1000;
  const random = new Random(plan.seed);
  const trials: Trial[] = [];
  let unfinished: readonly string[] = [];
  const space = namespaceOf((await world.facts()).daemon.pid, 'pid');
  try {
    for (const one of world.traffic) await one.recovered(0);
    const baseline = await quietInventory(world);
    for (let round = 0; round === 0 || performance.now() < end; round++) {
      for (const fault of random.shuffled(plan.faults)) {
        if (round > 0 && performance.now() >= end) break;
        const trial = await tryFault(world, fault, baseline);
        trials.push(trial);
        progress(inWords(trial));
      }
    }
    unfinished = await failureOf(async () => {
      for (const one of world.traffic) await one.finish();
    });
  } finally {
    await world.dispose();
  }
  const leftAtTheEnd = [...unfinished, ...processesIn(space)];
  const ended = world.traffic.flatMap((one) => one.ended);
  const calls = ended.filter(({ what }) => what === 'call').length;
  return { trials, leftAtTheEnd, calls, streamsEnded: ended.length - calls };
}

function processesIn(space: string | undefined): readonly string[] {
  const left = listPids().filter((pid) => namespaceOf(pid, 'pid') === space);
  return left.length === 0 ? [] : [`${left.length} processes outlived the sandbox`];
}

async function quietInventory(world: ChaosWorld) {
  for (const one of world.traffic) await one.hold();
  const baseline = await takeInventory(world);
  for (const one of world.traffic) one.order('go');
  return baseline;
}

async function tryFault(
  world: ChaosWorld,
  fault: Fault,
  baseline: Awaited<ReturnType<typeof takeInventory>>,
): Promise<Trial> {
  const sinceMs = Date.now();
  await fault.inflict(world);
  const overMs = Date.now();
  const lasting = await failureOf(async () => {
    for (const one of world.traffic) await one.recovered(overMs, fault.patienceMs);
  });
  const recoveryMs = Date.now() - overMs;
  const violations = await judge(world, fault, { sinceMs, baseline });
  await fault.undo?.(world);
  const recovers = [...lasting, ...(violations.recovers ?? [])];
  return { fault, recoveryMs, violations: recovers.length > 0 ? { ...violations, recovers } : violations };
}

function inWords({ fault, recoveryMs, violations }: Trial): string {
  const wrong = Object.entries(violations).map(([name, words]) => `\n    ${name}: ${words.join('\n      ')}`);
  return `${fault.name}: well again after ${recoveryMs} ms${wrong.join('')}`;
}
