/** One run of the bench: the stage, the peers, and round after round in which they take turns. */

import type { BenchPlan } from './bench-plan.ts';
import { BenchSandbox } from './bench-sandbox.ts';
import { LOAD_MEASURES } from './load-measures.ts';
import { DECISION_IDS, DecisionMeasures } from './mesh-size/decision-measures.ts';
import { startEnvoy } from './peers/envoy.ts';
import { startHaproxy } from './peers/haproxy.ts';
import type { Peer } from './peers/peer.ts';
import { ambitPeer, directPeer } from './peers/plain-peers.ts';
import { type MeasureResult, Results } from './results.ts';

export interface BenchOptions {
  readonly plan: BenchPlan;
  /** Whether a measure is wanted. */
  readonly wants: (id: string) => boolean;
  readonly progress: (line: string) => void;
}

export async function runBench(options: BenchOptions): Promise<readonly MeasureResult[]> {
  const results = new Results();
  if (DECISION_IDS.some(options.wants)) measureDecisions(options, results);
  if (LOAD_MEASURES.some(({ ids }) => ids.some(options.wants))) await measureWithPeers(options, results);
  return results.all;
}

function measureDecisions({ plan, progress }: BenchOptions, results: Results): void {
  const decisions = new DecisionMeasures();
  // The first one is spent on compiling.
  decisions.round();
  for (let round = 0; round < plan.rounds; round++) {
    for (const [id, value] of Object.entries(decisions.round())) results.add(id, 'ambit', value);
  }
  progress(DECISION_IDS.join(', '));
}

async function measureWithPeers(options: BenchOptions, results: Results): Promise<void> {
  await using sandbox = await BenchSandbox.start();
  using closing = new DisposableStack();
  const peers = [
    await ambitPeer(sandbox),
    await startHaproxy(sandbox, closing),
    await startEnvoy(sandbox, closing),
    directPeer(sandbox),
  ];
  options.progress(`peers: ${peers.map(({ name }) => name).join(', ')}`);
  await measureLoads(options, peers, results);
}

/** The peers take turns within a round, so that what changes on the machine meanwhile meets all of them. */
async function measureLoads(options: BenchOptions, peers: readonly Peer[], results: Results): Promise<void> {
  const { plan, wants, progress } = options;
  for (const measure of LOAD_MEASURES.filter(({ ids }) => ids.some(wants))) {
    for (let round = 0; round < plan.rounds; round++) {
      for (const peer of peers) {
        const values = await measure.run(peer, plan);
        for (const [id, value] of Object.entries(values)) results.add(id, peer.name, value);
      }
    }
    progress(measure.ids.join(', '));
  }
}
