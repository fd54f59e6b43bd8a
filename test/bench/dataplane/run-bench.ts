/** One run of the bench: the stage, the peers, and round after round in which they take turns. */

import { setTimeout as delay } from 'node:timers/promises';
import type { BenchPlan } from './bench-plan.ts';
import { BenchSandbox } from './bench-sandbox.ts';
import { BundledProgram } from './bundled-program.ts';
import { LOAD_MEASURES, type LoadMeasure } from './load-measures.ts';
import { LOADED_MEASURES, REST_MEASURES } from './memory-measures.ts';
import { DECISION_IDS, DecisionMeasures } from './mesh-size/decision-measures.ts';
import { memoryWithMesh } from './mesh-size/sized-ztunnel.ts';
import type { MeshSize } from './mesh-size/synthetic-mesh.ts';
import { startEnvoy } from './peers/envoy.ts';
import { startHaproxy } from './peers/haproxy.ts';
import type { Peer } from './peers/peer.ts';
import { ambitPeer, directPeer } from './peers/plain-peers.ts';
import { makeCrowd, restartSeconds } from './restart-measure.ts';
import { type MeasureResult, Results } from './results.ts';

/** A node proxy tidies up three seconds after its start. */
const REST_MS = 4000;

export interface BenchOptions {
  readonly plan: BenchPlan;
  /** Whether a measure is wanted. */
  readonly wants: (id: string) => boolean;
  readonly progress: (line: string) => void;
}

const MESH_SIZES: Readonly<Record<string, MeshSize>> = {
  'rss.10k': { workloads: 10_000, services: 1000, policies: 100 },
  'rss.100k': { workloads: 100_000, services: 10_000, policies: 1000 },
};

export async function runBench(options: BenchOptions): Promise<readonly MeasureResult[]> {
  const results = new Results();
  if (DECISION_IDS.some(options.wants)) measureDecisions(options, results);
  await measureMeshSizes(options, results);
  const withPeers = [...REST_MEASURES, ...LOAD_MEASURES, ...LOADED_MEASURES];
  const idsWithSandbox = [...withPeers.flatMap(({ ids }) => ids), 'restart'];
  if (idsWithSandbox.some(options.wants)) await measureWithPeers(options, results);
  return results.all;
}

function measureDecisions({ plan, progress }: BenchOptions, results: Results): void {
  const decisions = new DecisionMeasures();
  const brokenInMs = performance.now() + plan.breakInMs;
  do decisions.round();
  while (performance.now() < brokenInMs);
  for (let round = 0; round < plan.rounds; round++) {
    for (const [id, value] of Object.entries(decisions.round())) results.add(id, 'ambit', value);
  }
  progress(DECISION_IDS.join(', '));
}

async function measureMeshSizes(options: BenchOptions, results: Results): Promise<void> {
  const wanted = Object.entries(MESH_SIZES).filter(([id]) => options.wants(id));
  if (wanted.length === 0) return;
  using program = await BundledProgram.build();
  for (const [id, size] of wanted) {
    const { resident, anonymous } = await memoryWithMesh(program.words, size);
    results.add(id, 'ambit', resident);
    results.add(`${id}.anonymous`, 'ambit', anonymous);
    options.progress(id);
  }
}

async function measureWithPeers(options: BenchOptions, results: Results): Promise<void> {
  const once = { ...options, plan: { ...options.plan, rounds: 1, breakInMs: 0 } };
  using program = await BundledProgram.build();
  await using sandbox = await BenchSandbox.start(program.words);
  using closing = new DisposableStack();
  const peers = [
    await ambitPeer(sandbox),
    await startHaproxy(sandbox, closing),
    await startEnvoy(sandbox, closing),
    directPeer(sandbox),
  ];
  options.progress(`peers: ${peers.map(({ name }) => name).join(', ')}`);
  if (options.wants('rss.rest')) await delay(REST_MS);
  await measurePeers(once, { measures: REST_MEASURES, peers, results });
  await measurePeers(options, { measures: LOAD_MEASURES, peers, results });
  await measurePeers(once, { measures: LOADED_MEASURES, peers, results });
  if (options.wants('restart')) await measureRestarts(options, sandbox, results);
}

async function measureRestarts(
  options: BenchOptions,
  sandbox: BenchSandbox,
  results: Results,
): Promise<void> {
  await makeCrowd(sandbox, options.plan);
  options.progress('a crowd of pods and workloads');
  for (let round = 0; round < options.plan.rounds; round++) {
    results.add('restart', 'ambit', await restartSeconds(sandbox));
  }
  options.progress('restart');
}

interface PeerMeasuring {
  readonly measures: readonly LoadMeasure[];
  readonly peers: readonly Peer[];
  readonly results: Results;
}

/** The peers take turns within a round, so that what changes on the machine meanwhile meets all of them. */
async function measurePeers(
  options: BenchOptions,
  { measures, peers, results }: PeerMeasuring,
): Promise<void> {
  const { plan, wants, progress } = options;
  for (const measure of measures.filter(({ ids }) => ids.some(wants))) {
    // Below zero nobody looks: V8 compiles for what it has seen, the end of connections included.
    for (let round = -breakInRounds(plan); round < plan.rounds; round++) {
      for (const peer of peers) {
        const values = await measure.run(peer, plan);
        if (round < 0) continue;
        for (const [id, value] of Object.entries(values)) results.add(id, peer.name, value);
      }
    }
    progress(measure.ids.join(', '));
  }
}

function breakInRounds({ breakInMs, warmupMs, durationMs }: BenchPlan): number {
  return Math.ceil(breakInMs / (warmupMs + durationMs));
}
