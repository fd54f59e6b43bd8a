/** Measures that put a load on a peer: one order of the generator each, and the processor time of both proxies. */

import type { BenchPlan } from './bench-plan.ts';
import type { LoadResult } from './load/load-protocol.ts';
import type { Peer } from './peers/peer.ts';

/** Ids of measures with their values. */
export type Values = Readonly<Record<string, number>>;

/** Something that is done with each peer in each round. */
export interface LoadMeasure {
  /** What it yields, for whoever wants only some. */
  readonly ids: readonly string[];
  readonly run: (peer: Peer, plan: BenchPlan) => Promise<Values>;
}

const FIXED_RATE = 2000;
const FIXED_CONNECTIONS = 32;
const FRESH_CONNECTIONS = 32;
const GIGABYTE = 1e9;

export const LOAD_MEASURES: readonly LoadMeasure[] = [
  bulk(1),
  bulk(8),
  requests(1),
  requests(32),
  requests(256),
  { ids: ['p50', 'p90', 'p99', 'p999'].map((name) => `${name}.fixed2000`), run: fixedRate },
  { ids: ['newconn'], run: newConnections },
];

function bulk(connections: number): LoadMeasure {
  const throughput = `throughput.${connections}`;
  const cpu = `cpu_per_gb.${connections}`;
  return {
    ids: [`${throughput}.up`, `${throughput}.down`, cpu],
    run: async (peer, plan) => {
      const { up, down } = await bulkLoad(peer, plan, connections);
      const gigabytes = (up.amount + down.amount) / GIGABYTE;
      return {
        [`${throughput}.up`]: gigabitsPerSecond(up),
        [`${throughput}.down`]: gigabitsPerSecond(down),
        ...ofProxies(peer, cpu, (up.cpuSeconds + down.cpuSeconds) / gigabytes),
      };
    },
  };
}

/** One direction after the other. */
export async function bulkLoad(peer: Peer, plan: BenchPlan, connections: number) {
  const order = { kind: 'bulk', connections, ...target(peer, plan) } as const;
  const up = await peer.client.run({ ...order, direction: 'up' });
  return { up, down: await peer.client.run({ ...order, direction: 'down' }) };
}

function requests(connections: number): LoadMeasure {
  const ids = [`rate.${connections}`, `p99.${connections}`, `cpu_per_10k.${connections}`] as const;
  return {
    ids,
    run: async (peer, plan) => {
      const result = await requestLoad(peer, plan, connections);
      return {
        [ids[0]]: perSecond(result),
        [ids[1]]: result.latencies.p99,
        ...ofProxies(peer, ids[2], result.cpuSeconds / (result.amount / 10_000)),
      };
    },
  };
}

export function requestLoad(peer: Peer, plan: BenchPlan, connections: number): Promise<LoadResult> {
  return peer.client.run({ kind: 'requests', connections, ...target(peer, plan) });
}

async function fixedRate(peer: Peer, plan: BenchPlan): Promise<Values> {
  const { latencies } = await peer.client.run({
    kind: 'paced',
    connections: FIXED_CONNECTIONS,
    perSecond: FIXED_RATE,
    ...target(peer, plan),
  });
  return {
    'p50.fixed2000': latencies.p50,
    'p90.fixed2000': latencies.p90,
    'p99.fixed2000': latencies.p99,
    'p999.fixed2000': latencies.p999,
  };
}

async function newConnections(peer: Peer, plan: BenchPlan): Promise<Values> {
  const order = { kind: 'fresh', connections: FRESH_CONNECTIONS, ...target(peer, plan) } as const;
  return { newconn: perSecond(await peer.client.run(order)) };
}

function target(peer: Peer, { warmupMs, durationMs }: BenchPlan) {
  return { target: peer.target, pids: peer.pids, warmupMs, durationMs };
}

/** Nobody's time is spent where there is no proxy. */
function ofProxies(peer: Peer, id: string, value: number): Values {
  return peer.pids.length === 0 ? {} : { [id]: value };
}

function perSecond({ amount, seconds }: LoadResult): number {
  return amount / seconds;
}

function gigabitsPerSecond({ amount, seconds }: LoadResult): number {
  return (amount * 8) / seconds / GIGABYTE;
}
