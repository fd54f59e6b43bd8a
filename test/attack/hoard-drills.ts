/** Connections with a good certificate that are kept: as many of one peer, and of one pod, as the proxy takes. */

import assert from 'node:assert/strict';
import { type AttackWorld, MORE_ADDRESSES, OWN_ADDRESS } from './attack-world.ts';
import type { Drill } from './drill.ts';
import { Hoard } from './hoard.ts';
import { waiting } from './http2-flood.ts';

const LOOK_MS = 250;

/** Adds connections of these addresses until the limit has answered. */
async function fill(
  world: AttackWorld,
  hoard: Hoard,
  counter: string,
  addresses: readonly string[],
): Promise<void> {
  const count = async () => (await world.node.report()).counters[counter] ?? 0;
  const before = await count();
  let isFull = false;
  let isOver = false;
  const filling = hoard
    .fill(addresses, () => isFull)
    .finally(() => {
      isOver = true;
    });
  while (!isFull && !isOver) {
    await waiting(LOOK_MS);
    isFull = (await count()) > before;
  }
  await filling;
}

/** @param others who finds room all the same */
function hoarding(
  limit: string,
  addresses: readonly string[],
  others: readonly string[] = [],
): Pick<Drill, 'counters' | 'attack'> {
  const counter = `ambit_limit_reached_total/${limit}`;
  return {
    counters: [counter],
    async attack(world, deadline) {
      const hoard = new Hoard(world);
      try {
        await fill(world, hoard, counter, addresses);
        for (const other of others)
          assert.ok(await hoard.add(other), `${other} finds no room beside the hoard`);
        await waiting(deadline.leftMs);
      } finally {
        await hoard.close();
      }
    },
  };
}

export const HOARD_DRILLS: readonly Drill[] = [
  {
    name: 'hoard',
    about: 'connections of one peer, as many as it gets',
    ...hoarding('hbone_connections_per_peer', [OWN_ADDRESS], MORE_ADDRESSES.slice(0, 1)),
  },
  {
    name: 'hoard-together',
    about: 'connections of several peers, as many as they get',
    ...hoarding('hbone_connections_per_pod', [OWN_ADDRESS, ...MORE_ADDRESSES]),
  },
];
