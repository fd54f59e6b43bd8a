/** Everything that is done to the mesh, and what each of it may cost those who use it. */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { TCP_PORT } from '../support/mesh-manifests.ts';
import { NODES, type NodeName, pairsOf } from '../support/two-pods.ts';
import { type ChaosWorld, CLOCKS, type Clock } from './chaos-world.ts';
import type { Traffic } from './traffic.ts';
import { whileUnruly } from './unruly-wire.ts';

export interface Fault {
  readonly name: string;
  /** `nothing`: no connection, new or old, may notice. `connections`: some may be cut or refused while it lasts. */
  readonly costs: 'nothing' | 'connections';
  /** Nodes on which a proxy or a server dies without a word: the kernel ends its sockets, and may do so cleanly. */
  readonly deaths: readonly NodeName[];
  /** After which calls that do not succeed again are told, if not as for every fault. */
  readonly patienceMs?: number;
  /** Does it, and undoes what does not mend itself. */
  readonly inflict: (world: ChaosWorld) => Promise<void>;
  /** Undoes, after the judgement, what was to be there until then. */
  readonly undo?: (world: ChaosWorld) => Promise<void>;
}

/** Time for the load to run into it. */
const SPELL_MS = 3000;
/** Certificates live for 24 hours and are renewed after half of that. */
const HALF_LIFE_HOURS = 13;
const BEYOND_LIFE_HOURS = 30;
/** Of a sabotage that nothing recovers from. */
const SHORT_PATIENCE_MS = 5000;

const WHOSE_CLOCKS: Readonly<Record<string, readonly Clock[]>> = {
  "proxies' clocks": ['proxies'],
  "control plane's and agents' clocks": ['control'],
  'all clocks': CLOCKS,
};

const spell = () => delay(SPELL_MS);

function ofNode(node: NodeName): readonly Fault[] {
  return [
    {
      name: `kill -9 ztunnel of ${node}`,
      costs: 'connections',
      deaths: [node],
      inflict: (world) => world.kill('ztunnel', node),
    },
    {
      name: `SIGTERM ztunnel of ${node}`,
      costs: 'connections',
      deaths: [],
      inflict: (world) => world.restart('ztunnel', node),
    },
    {
      name: `ztunnel of ${node} stopped`,
      costs: 'nothing',
      deaths: [],
      inflict: async (world) => world.whileStopped(await world.pidOf('ztunnel', node), spell),
    },
    {
      name: `kill -9 cni of ${node}`,
      costs: 'nothing',
      deaths: [],
      inflict: (world) => world.kill('cni', node),
    },
    {
      name: `SIGTERM cni of ${node}`,
      costs: 'nothing',
      deaths: [],
      inflict: (world) => world.restart('cni', node),
    },
    {
      name: `kill -9 ztunnel and cni of ${node}`,
      costs: 'connections',
      deaths: [node],
      inflict: async (world) => {
        await Promise.all([world.kill('ztunnel', node), world.kill('cni', node)]);
      },
    },
    {
      name: `cable of ${node} pulled`,
      costs: 'connections',
      deaths: [],
      inflict: cutCable(node, async () => {}),
    },
    {
      name: `power cut of ${node}`,
      costs: 'connections',
      deaths: NODES,
      inflict: cutCable(node, (world) => world.killAllOn(node)),
    },
  ];
}

const OF_ALL: readonly Fault[] = [
  {
    name: 'kill -9 both ztunnels',
    costs: 'connections',
    deaths: NODES,
    inflict: async (world) => {
      await Promise.all(NODES.map((node) => world.kill('ztunnel', node)));
    },
  },
  {
    name: 'kill -9 control plane and CA',
    costs: 'nothing',
    deaths: [],
    inflict: (world) => world.kill('controlplane'),
  },
  {
    name: 'SIGTERM control plane and CA',
    costs: 'nothing',
    deaths: [],
    inflict: (world) => world.restart('controlplane'),
  },
  {
    name: 'control plane and CA away',
    costs: 'nothing',
    deaths: [],
    inflict: async (world) => world.whileStopped(await world.pidOf('controlplane'), spell),
  },
  ...Object.keys(WHOSE_CLOCKS).flatMap((whose) =>
    [HALF_LIFE_HOURS, -HALF_LIFE_HOURS].map((hours) => clocksJump(whose, hours)),
  ),
  restartInAnotherTime("proxies' clocks", BEYOND_LIFE_HOURS),
  restartInAnotherTime("proxies' clocks", -HALF_LIFE_HOURS),
  restartInAnotherTime("control plane's and agents' clocks", HALF_LIFE_HOURS),
  restartInAnotherTime("control plane's and agents' clocks", -BEYOND_LIFE_HOURS),
  { name: 'disk full', costs: 'nothing', deaths: [], inflict: (world) => world.whileDiskFull(spell) },
  {
    name: 'disk full, kill -9 ztunnel of node1',
    costs: 'connections',
    deaths: ['node1'],
    inflict: (world) =>
      world.whileDiskFull(async () => {
        await world.kill('ztunnel', 'node1');
        await spell();
      }),
  },
  { name: 'frames lost, doubled, out of order', costs: 'nothing', deaths: [], inflict: spoilLine },
];

export const FAULTS: readonly Fault[] = [...OF_ALL, ...NODES.flatMap(ofNode)];

/** No faults but a mesh that is broken on purpose: a test sees by them that the invariants are looked at. */
export const SABOTAGES: readonly Fault[] = [
  {
    name: 'sabotage: no redirection in the pod of node1',
    costs: 'nothing',
    deaths: [],
    inflict: async (world) => {
      const { enter } = pairsOf(await world.facts()).find(({ from }) => from.node === 'node1')!.from;
      const save = world.run(enter!, ['iptables-save']);
      world.run(enter!, ['iptables', '-t', 'nat', '-F']);
      await spell();
      world.run(enter!, ['iptables-restore'], save);
    },
  },
  {
    name: 'sabotage: a proxy killed where nothing may be cut',
    costs: 'nothing',
    deaths: [],
    inflict: (world) => world.kill('ztunnel', 'node1'),
  },
  leftovers(),
  deafness(),
];

/** To be put before a command. */
async function node1(world: ChaosWorld): Promise<readonly string[]> {
  return (await world.facts()).nodes.find(({ name }) => name === 'node1')!.enter;
}

/** Nothing that is new gets to the application of node 2. */
function deafness(): Fault {
  const rule = ['INPUT', '-p', 'tcp', '--syn', '--dport', String(TCP_PORT), '-j', 'DROP'];
  const order = async (world: ChaosWorld, action: '-I' | '-D') => {
    const { enter } = pairsOf(await world.facts()).find(({ to }) => to.node === 'node2')!.to;
    // A table that is there already: one that is made for it would stay.
    world.run(enter!, ['iptables', '-t', 'mangle', action, ...rule]);
  };
  return {
    name: 'sabotage: an application that answers nobody new',
    costs: 'connections',
    deaths: [],
    patienceMs: SHORT_PATIENCE_MS,
    inflict: (world) => order(world, '-I'),
    undo: (world) => order(world, '-D'),
  };
}

function leftovers(): Fault {
  let stray: Traffic | undefined;
  return {
    name: 'sabotage: a connection and a chain left behind',
    costs: 'nothing',
    deaths: [],
    inflict: async (world) => {
      stray = await world.strayStream();
      world.run(await node1(world), ['iptables', '-N', 'LEFT']);
    },
    undo: async (world) => {
      stray?.stop();
      world.run(await node1(world), ['iptables', '-X', 'LEFT']);
    },
  };
}

function cutCable(node: NodeName, meanwhile: (world: ChaosWorld) => Promise<void>) {
  return async (world: ChaosWorld) => {
    await world.cable(node, 'down');
    try {
      await meanwhile(world);
      await spell();
    } finally {
      await world.cable(node, 'up');
    }
  };
}

function jumpClocks(
  whose: string,
  hours: number,
  meanwhile: (world: ChaosWorld) => Promise<void> = async () => {},
) {
  const clocks = WHOSE_CLOCKS[whose]!;
  return async (world: ChaosWorld) => {
    await world.shiftClocks(clocks, hours);
    await meanwhile(world);
    await spell();
    await world.shiftClocks(clocks, 0);
  };
}

function clocksJump(whose: string, hours: number): Fault {
  const name = `${whose} ${inWords(hours)}`;
  return { name, costs: 'nothing', deaths: [], inflict: jumpClocks(whose, hours) };
}

function inWords(hours: number): string {
  return `${Math.abs(hours)} h ${hours > 0 ? 'ahead' : 'back'}`;
}

/**
 * By the clocks of the proxies every certificate of the mesh has expired, or is not valid yet; or the authority issues
 * such ones, by its own clock: nothing new can be set up.
 */
function restartInAnotherTime(whose: string, hours: number): Fault {
  return {
    name: `${whose} ${inWords(hours)}, kill -9 ztunnel of node1`,
    costs: 'connections',
    deaths: ['node1'],
    inflict: jumpClocks(whose, hours, async (world) => {
      await world.kill('ztunnel', 'node1');
      await world.clocksSeen();
      await spell();
      await assertNoCallSucceeds(world);
    }),
  };
}

/** @throws when one does: the proxies do not see the time of day that they are to see, and nothing has been tried */
async function assertNoCallSucceeds({ traffic }: ChaosWorld): Promise<void> {
  const sinceMs = Date.now();
  await spell();
  const good = traffic.flatMap(({ ended }) =>
    ended.filter(({ startMs, how }) => startMs >= sinceMs && how === 'complete'),
  );
  assert.equal(good.length, 0, 'calls succeed although no certificate is valid');
}

/** The line must have done what it is for, or nothing has been tried. */
async function spoilLine(world: ChaosWorld): Promise<void> {
  const { lost, twice, overtaken } = await whileUnruly(await world.facts(), 'node1', spell);
  for (const count of [lost, twice, overtaken]) assert.ok(count > 0, 'the line loses, doubles and reorders');
}
