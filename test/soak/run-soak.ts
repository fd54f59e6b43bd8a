/** Two nodes under a steady load of every kind, and what their proxies hold while it lasts. */

import { setTimeout as delay } from 'node:timers/promises';
import { memoryOf, type ProcessMemory } from '../bench/dataplane/process-memory.ts';
import { Traffic } from '../chaos/traffic.ts';
import { descriptorCount } from '../support/descriptor-count.ts';
import { HTTP_PORT, TCP_PORT } from '../support/mesh-manifests.ts';
import { SandboxSession } from '../support/sandbox-session.ts';
import {
  NODES,
  type NodeName,
  type Pair,
  pairsOf,
  TWO_PODS_MANIFESTS,
  TWO_PODS_NAMESPACE,
} from '../support/two-pods.ts';
import { Requests } from './requests.ts';
import type { Latency } from './requests-main.ts';

/** From each pod to the other. */
export const LOAD = {
  keptConnections: 8,
  requestIntervalMs: 40,
  callIntervalMs: 5,
  streams: 2,
  replaceAfterMs: 100,
  chunksPerTick: 8,
  lookupIntervalMs: 100,
} as const;
const SAMPLES = 180;
const MIN_INTERVAL_MS = 1000;

export interface ProxySample extends ProcessMemory {
  readonly descriptors: number;
}

export interface SoakSample {
  /** Since the load began. */
  readonly seconds: number;
  readonly proxies: Readonly<Record<NodeName, ProxySample>>;
  /** The slower of the two sides. */
  readonly requests: Latency;
  readonly lookups: Latency;
}

export interface SoakResult {
  readonly samples: readonly SoakSample[];
  /** Short connections that went well. */
  readonly calls: number;
  /** Of anything, in words. */
  readonly failures: readonly string[];
}

export async function runSoak(seconds: number, progress: (line: string) => void): Promise<SoakResult> {
  const session = await SandboxSession.start({ name: 'soak', manifests: TWO_PODS_MANIFESTS });
  const load: Load[] = [];
  try {
    await session.enrolled(TWO_PODS_NAMESPACE);
    const facts = await session.facts();
    for (const pair of pairsOf(facts)) load.push(new Load(pair));
    const pids = Object.fromEntries(facts.nodes.map(({ name, ztunnel }) => [name, ztunnel!.pid!]));
    return await sampleFor(seconds, { load, pids, progress });
  } finally {
    for (const one of load) one.stop();
    await session.dispose();
  }
}

/** What one pod does to the other. */
class Load {
  readonly traffic: Traffic;
  readonly requests: Requests;

  constructor({ from, to }: Pair) {
    const { keptConnections: connections, requestIntervalMs, lookupIntervalMs, ...traffic } = LOAD;
    this.traffic = new Traffic(from.node, from.enter!, { host: to.ips[0]!, port: TCP_PORT, ...traffic });
    this.requests = new Requests(from.enter!, {
      url: `http://${to.ips[0]}:${HTTP_PORT}/`,
      connections,
      requestIntervalMs,
      name: `${to.name}.${TWO_PODS_NAMESPACE}.svc.cluster.local`,
      lookupIntervalMs,
    });
    this.traffic.order('go');
  }

  stop(): void {
    this.traffic.stop();
    this.requests.stop();
  }
}

interface Run {
  readonly load: readonly Load[];
  readonly pids: Readonly<Record<string, number>>;
  readonly progress: (line: string) => void;
}

async function sampleFor(seconds: number, run: Run): Promise<SoakResult> {
  const begun = performance.now();
  const intervalMs = Math.max(MIN_INTERVAL_MS, (seconds * 1000) / SAMPLES);
  const samples: SoakSample[] = [];
  const failures: string[] = [];
  for (let i = 1; performance.now() < begun + seconds * 1000; i++) {
    await delay(Math.max(0, begun + i * intervalMs - performance.now()));
    const sides = await Promise.all(run.load.map(({ requests }) => requests.sample()));
    failures.push(...sides.flatMap((side) => side.failures));
    const sample: SoakSample = {
      seconds: (performance.now() - begun) / 1000,
      proxies: { node1: proxySample(run.pids.node1!), node2: proxySample(run.pids.node2!) },
      requests: slower(sides.map(({ requests }) => requests)),
      lookups: slower(sides.map(({ lookups }) => lookups)),
    };
    samples.push(sample);
    if (i % 12 === 0) run.progress(inWords(sample));
  }
  const ended = run.load.flatMap(({ traffic }) => traffic.ended);
  const wrong = ended
    .filter(({ how }) => how !== 'complete')
    .map(({ what, how, detail }) => `${what} ${how}: ${detail}`);
  return { samples, calls: ended.length - wrong.length, failures: [...failures, ...wrong] };
}

/** Throws when there is no such process: a proxy that has died is no soak. */
function proxySample(pid: number): ProxySample {
  return { ...memoryOf(pid), descriptors: descriptorCount(pid) };
}

function slower(sides: readonly Latency[]): Latency {
  return {
    count: sides.reduce((sum, { count }) => sum + count, 0),
    p50: Math.max(...sides.map(({ p50 }) => p50)),
    p99: Math.max(...sides.map(({ p99 }) => p99)),
  };
}

function inWords({ seconds, proxies, requests }: SoakSample): string {
  const of = ({ resident, anonymous, descriptors }: ProxySample) =>
    `${resident.toFixed(1)} MB (${anonymous.toFixed(1)} anonymous), ${descriptors} descriptors`;
  const latency = `p50 ${requests.p50.toFixed(2)} ms, p99 ${requests.p99.toFixed(2)} ms`;
  return `${seconds.toFixed(0)} s: ${NODES.map((node) => of(proxies[node])).join('; ')}; ${latency}`;
}
