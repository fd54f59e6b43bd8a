/** What the proxies of a peer hold in memory: before, while and after they have something to do. */

import { setTimeout as delay } from 'node:timers/promises';
import type { BenchPlan } from './bench-plan.ts';
import { bulkLoad, type LoadMeasure, requestLoad, type Values } from './load-measures.ts';
import type { Peer } from './peers/peer.ts';
import { memoryOf, type ProcessMemory } from './process-memory.ts';

/** What is given back at all after a load is given back within it. */
const SETTLE_MS = 1000;
/**
 * What the first crowd brings with it (the program's pages, compiled code, V8's young generation at its full size) is not the
 * price of one more.
 */
const FIRST_CONNECTIONS = 1000;

/** Once for each peer, before any load, and when what a start leaves behind is cleaned up. */
export const REST_MEASURES: readonly LoadMeasure[] = [
  { ids: ['rss.rest', 'rss.rest.anonymous'], run: async (peer) => memoryValues(peer, 'rss.rest') },
  { ids: ['rss.per_1000_idle'], run: perThousandIdle },
];

/** Once for each peer, after all loads; it puts a load of its own on, so that it means the same by itself. */
export const LOADED_MEASURES: readonly LoadMeasure[] = [
  { ids: ['rss.loaded', 'rss.loaded.anonymous'], run: loaded },
];

async function perThousandIdle(peer: Peer, { idleConnections }: BenchPlan): Promise<Values> {
  if (peer.pids.length === 0) return {};
  const residentWith = async (connections: number) => {
    await peer.client.run({ kind: 'idle', connections, target: peer.target });
    await delay(SETTLE_MS);
    return largest(peer).resident;
  };
  const before = await residentWith(FIRST_CONNECTIONS);
  const after = await residentWith(FIRST_CONNECTIONS + idleConnections);
  await peer.client.run({ kind: 'idle', connections: 0, target: peer.target });
  return { 'rss.per_1000_idle': ((after - before) * 1000) / idleConnections };
}

async function loaded(peer: Peer, plan: BenchPlan): Promise<Values> {
  if (peer.pids.length === 0) return {};
  await bulkLoad(peer, plan, 8);
  await requestLoad(peer, plan, 256);
  await delay(SETTLE_MS);
  return memoryValues(peer, 'rss.loaded');
}

function memoryValues(peer: Peer, id: string): Values {
  if (peer.pids.length === 0) return {};
  const { resident, anonymous } = largest(peer);
  return { [id]: resident, [`${id}.anonymous`]: anonymous };
}

/** The proxy that holds more of the two. */
function largest({ pids }: Peer): ProcessMemory {
  return pids.map(memoryOf).reduce((most, one) => (one.resident > most.resident ? one : most));
}
