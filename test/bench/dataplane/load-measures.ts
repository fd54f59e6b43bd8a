/** Measures that put a load on a peer: one order of the generator each, and the processor time of both proxies. */

import { usageOf } from '../process-usage.ts';
import type { BenchPlan } from './bench-plan.ts';
import type { LoadOrder, LoadResult } from './load/load-protocol.ts';
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
      const up = await measured(peer, { kind: 'bulk', direction: 'up', connections, ...target(peer, plan) });
      const down = await measured(peer, {
        kind: 'bulk',
        direction: 'down',
        connections,
        ...target(peer, plan),
      });
      const gigabytes = (up.amount + down.amount) / GIGABYTE;
      return {
        [`${throughput}.up`]: gigabitsPerSecond(up),
        [`${throughput}.down`]: gigabitsPerSecond(down),
        ...ofProxies(peer, cpu, (up.cpuSeconds + down.cpuSeconds) / gigabytes),
      };
    },
  };
}

function requests(connections: number): LoadMeasure {
  const ids = [`rate.${connections}`, `p99.${connections}`, `cpu_per_10k.${connections}`] as const;
  return {
    ids,
    run: async (peer, plan) => {
      const result = await measured(peer, { kind: 'requests', connections, ...target(peer, plan) });
      return {
        [ids[0]]: perSecond(result),
        [ids[1]]: result.latencies.p99,
        ...ofProxies(peer, ids[2], result.cpuSeconds / (result.amount / 10_000)),
      };
    },
  };
}

async function fixedRate(peer: Peer, plan: BenchPlan): Promise<Values> {
  const { latencies } = await measured(peer, {
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
  return { newconn: perSecond(await measured(peer, order)) };
}

function target(peer: Peer, { warmupMs, durationMs }: BenchPlan) {
  return { target: peer.target, warmupMs, durationMs };
}

interface Measured extends LoadResult {
  /** Of both proxies, without the warm-up. */
  readonly cpuSeconds: number;
}

async function measured(peer: Peer, order: LoadOrder): Promise<Measured> {
  const spent = () => peer.pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0);
  let before = 0;
  const result = await peer.client.run(order, () => {
    before = spent();
  });
  return { ...result, cpuSeconds: spent() - before };
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
