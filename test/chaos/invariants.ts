/** What must hold after every fault, whatever it was; each check tells in words what does not. */

import { setTimeout as delay } from 'node:timers/promises';
import type { Reporter } from '../../src/ztunnel/telemetry/connection-parties.ts';
import {
  CONNECTIONS_CLOSED,
  CONNECTIONS_OPENED,
  RESOURCES_HELD,
  SOCKETS_OPEN,
} from '../../src/ztunnel/telemetry/metric-definitions.ts';
import { sumOf } from '../support/proxy-telemetry.ts';
import { NODES, type NodeName } from '../support/two-pods.ts';
import type { ChaosWorld } from './chaos-world.ts';
import type { Fault } from './faults.ts';
import { differences, type Inventory, takeInventory } from './inventory.ts';
import type { Traffic } from './traffic.ts';
import type { EndedConnection } from './traffic-main.ts';

export const INVARIANTS = [
  'recovers',
  'encrypted',
  'no bypass',
  'bytes in order',
  'nothing cut',
  'counters agree',
  'nothing left',
] as const;
export type Invariant = (typeof INVARIANTS)[number];
/** What is wrong, by invariant; without an entry it holds. */
export type Violations = Partial<Record<Invariant, readonly string[]>>;

/** For what settles by itself: gauges are told at intervals, closed sockets linger, an agent puts back what it must. */
const SETTLE_MS = 20_000;
const POLL_MS = 250;
/** The first ones tell more than all. */
const TOLD = 4;

/** Of one fault, from its beginning (milliseconds since 1970) until now; the world is held still meanwhile. */
export async function judge(
  world: ChaosWorld,
  fault: Fault,
  facts: { readonly sinceMs: number; readonly baseline: Inventory },
): Promise<Violations> {
  for (const one of world.traffic) await one.hold();
  const stalled = await failureOf(async () => {
    for (const one of world.traffic) await one.progressed();
  });
  const [counters, left] = await Promise.all([
    settled(() => counterFaults(world)),
    settled(async () => differences(facts.baseline, await takeInventory(world))),
  ]);
  const { readable, bypassing, tunnelled } = world.wire.take();
  const unseen = tunnelled === 0 || !world.isWatched ? ['the capture saw nothing'] : [];
  const found: Record<Invariant, readonly string[]> = {
    recovers: stalled,
    encrypted: [...readable, ...unseen],
    'no bypass': bypassing,
    'bytes in order': bytesFaults(world, fault, facts.sinceMs),
    'nothing cut': fault.costs === 'nothing' ? cutsSince(world, facts.sinceMs) : [],
    'counters agree': counters,
    'nothing left': left,
  };
  for (const one of world.traffic) one.order('go');
  return Object.fromEntries(
    Object.entries(found)
      .filter(([, words]) => words.length > 0)
      .map(([name, words]) => [name, words.slice(0, TOLD)]),
  );
}

/** The message of a check that fails, as a violation. */
export async function failureOf(check: () => Promise<void>): Promise<readonly string[]> {
  try {
    await check();
    return [];
  } catch (thrown) {
    return [(thrown as Error).message];
  }
}

/** What is still wrong when there has been time to settle. */
async function settled(check: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const end = performance.now() + SETTLE_MS;
  for (;;) {
    const wrong = await check();
    if (wrong.length === 0 || performance.now() > end) return wrong;
    await delay(POLL_MS);
  }
}

/** What the load of each pod has told. */
interface Told {
  readonly traffic: readonly Pick<Traffic, 'node' | 'ended'>[];
}

function endedSince(world: Told, sinceMs: number): readonly (EndedConnection & { node: string })[] {
  return world.traffic.flatMap(({ node, ended }) =>
    ended.filter(({ endMs }) => endMs >= sinceMs).map((one) => ({ ...one, node })),
  );
}

/** Wrong bytes, and ends that look like the end of the data where nobody died who could have told better. */
export function bytesFaults(
  world: Told,
  { deaths }: Pick<Fault, 'deaths'>,
  sinceMs: number,
): readonly string[] {
  return endedSince(world, sinceMs)
    .filter(({ how, node }) => {
      return how === 'corrupt' || (how === 'truncated' && !deaths.some((name) => name === node));
    })
    .map(({ what, how, detail, node }) => `${what} from ${node} ${how}: ${detail}`);
}

function cutsSince(world: ChaosWorld, sinceMs: number): readonly string[] {
  return endedSince(world, sinceMs)
    .filter(({ how }) => how !== 'complete')
    .map(({ what, how, detail, node, startMs, endMs }) => {
      return `${what} from ${node} ${how}: ${detail}, ${endMs - startMs} ms old, ${endMs - sinceMs} ms after`;
    });
}

/** Opened less closed, the gauges, and the dump of every proxy against the streams that stand, which are known. */
async function counterFaults(world: ChaosWorld): Promise<readonly string[]> {
  const all = await Promise.all(NODES.map((node) => countersOf(world, node)));
  const streams = world.traffic.reduce((sum, one) => sum + one.streams, 0);
  return all.flatMap(({ node, of, held }) => {
    const wrong = (['source', 'destination'] as const).flatMap((reporter) => {
      const expected = streamsSeen(world, node, reporter);
      const { counted, gauge, dumped } = of[reporter];
      if (counted === expected && gauge === expected && dumped === expected) return [];
      return `${node} as ${reporter}: ${expected} streams stand; opened − closed ${counted}, gauge ${gauge}, dump ${dumped}`;
    });
    return held === streams ? wrong : [...wrong, `${node}: ${streams} streams stand, ${held} of HTTP/2 held`];
  });
}

/** Streams of the load that a proxy carries for the pod that calls, or for the one that is called. */
function streamsSeen(world: ChaosWorld, node: NodeName, reporter: Reporter): number {
  const seen = world.traffic.filter((one) => (one.node === node) === (reporter === 'source'));
  return seen.reduce((sum, one) => sum + one.streams, 0);
}

async function countersOf(world: ChaosWorld, node: NodeName) {
  const samples = await world.session.metrics(node);
  const { workloadState } = await world.session.dump(node);
  const dumped = (direction: 'inbound' | 'outbound') =>
    Object.values(workloadState).reduce((sum, pod) => sum + pod.connections[direction].length, 0);
  const side = (reporter: Reporter, direction: 'inbound' | 'outbound') => ({
    counted:
      sumOf(samples, CONNECTIONS_OPENED, { reporter }) - sumOf(samples, CONNECTIONS_CLOSED, { reporter }),
    gauge: sumOf(samples, SOCKETS_OPEN, { reporter }),
    dumped: dumped(direction),
  });
  const of = { source: side('source', 'outbound'), destination: side('destination', 'inbound') };
  return { node, of, held: sumOf(samples, RESOURCES_HELD, { kind: 'http2_streams' }) };
}
