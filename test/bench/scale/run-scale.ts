/** Fills an API server, starts the control plane and its clients, replaces pods, and measures how long that takes to be known. */

import { KubeClient } from '../../../src/kube/kube-client.ts';
import { eventuallyAnswers } from '../../support/eventually.ts';
import { MeshCluster } from '../../support/mesh-cluster.ts';
import { percentileOf } from '../percentile.ts';
import { usageOf } from '../process-usage.ts';
import { ControlPlaneProcess } from './control-plane-process.ts';
import { FakeCluster, type ReadyPod } from './fake-cluster.ts';
import { podCount, type ScalePlan } from './scale-plan.ts';
import { XdsClients } from './xds-clients.ts';

/** For each step, on a machine that has much else to do. */
const STEP_TIMEOUT_MS = 300_000;
const MB = 1e6;

export interface ScaleResult {
  readonly pods: number;
  readonly services: number;
  readonly clients: number;
  /** From starting the control plane until it serves all of this. */
  readonly startSeconds: number;
  /** From the first connection until every client has everything. */
  readonly syncSeconds: number;
  readonly firstStateMegabytes: number;
  /** Resident, before a client connects; with all of them; at its highest. */
  readonly controlPlaneAloneMegabytes: number;
  readonly controlPlaneRestMegabytes: number;
  readonly controlPlanePeakMegabytes: number;
  /** Pods that were replaced, and how many per second that made. */
  readonly replaced: number;
  readonly replacedPerSecond: number;
  /** From when the API server has a pod as ready until the last client has its workload. */
  readonly propagationMs: Percentiles;
  /** The same from before the write was sent: the API server's own time is in it. */
  readonly sinceWriteMs: Percentiles;
  /** To one client, for a pod that comes and another that goes. */
  readonly bytesPerReplacement: number;
  /** Shares of a core while pods are replaced. */
  readonly cpu: {
    readonly controlPlane: number;
    readonly apiServerAndEtcd: number;
    readonly clients: number;
    readonly writer: number;
  };
}

export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export type Progress = (line: string) => void;

export async function runScale(plan: ScalePlan, progress: Progress): Promise<ScaleResult> {
  await using cluster = await MeshCluster.start();
  await using kube = await KubeClient.connect({ kubeconfig: cluster.server.kubeconfig() });
  const fake = new FakeCluster(kube, plan);
  await fake.fill((services) => {
    if (services % Math.ceil(plan.services / 10) === 0) progress(`${services} of ${plan.services} services`);
  });
  const startedAt = performance.now();
  await using control = await ControlPlaneProcess.start(cluster, STEP_TIMEOUT_MS);
  const startSeconds = secondsSince(startedAt);
  const resources = await control.metric('ambit_controlplane_resources');
  progress(`the control plane serves ${resources} resources after ${startSeconds.toFixed(1)} s`);
  const alone = usageOf(control.pid).residentBytes / MB;
  using clients = new XdsClients();
  const sync = await syncClients({ cluster, control, clients, plan, resources });
  progress(`${plan.clients} clients have everything after ${sync.syncSeconds.toFixed(1)} s`);
  const rest = usageOf(control.pid).residentBytes / MB;
  const churn = await replacePods({ cluster, control, clients, plan, fake, progress });
  return {
    pods: podCount(plan),
    services: plan.services,
    clients: plan.clients,
    startSeconds,
    ...sync,
    controlPlaneAloneMegabytes: alone,
    controlPlaneRestMegabytes: rest,
    controlPlanePeakMegabytes: usageOf(control.pid).peakResidentBytes / MB,
    ...churn,
  };
}

interface Parts {
  readonly cluster: MeshCluster;
  readonly control: ControlPlaneProcess;
  readonly clients: XdsClients;
  readonly plan: ScalePlan;
}

async function syncClients(parts: Parts & { readonly resources: number }) {
  const { cluster, control, clients, plan, resources } = parts;
  await cluster.serviceAccount('ambit-system', 'ambit-ztunnel');
  const token = await cluster.token('ambit-system/ambit-ztunnel', 'ambit-ca');
  const roots = await eventuallyAnswers('the root', () => cluster.roots(), STEP_TIMEOUT_MS);
  const startedAt = performance.now();
  await clients.start(
    {
      port: control.xdsPort,
      rootsPath: cluster.file(roots),
      tokenPath: cluster.file(token),
      clients: plan.clients,
      resources,
    },
    STEP_TIMEOUT_MS,
  );
  const { bytes } = await clients.usage();
  return { syncSeconds: secondsSince(startedAt), firstStateMegabytes: bytes / plan.clients / MB };
}

async function replacePods(parts: Parts & { readonly fake: FakeCluster; readonly progress: Progress }) {
  const { cluster, control, clients, plan, fake, progress } = parts;
  const before = { ...(await spentBy(parts)), bytes: (await clients.usage()).bytes };
  const startedAt = performance.now();
  const ready = await churn(plan, fake, progress);
  const writtenSeconds = secondsSince(startedAt);
  const receipts = await clients.receiptOf(
    ready.map(({ uid }) => uid),
    STEP_TIMEOUT_MS,
  );
  const seconds = secondsSince(startedAt);
  const after = { ...(await spentBy({ cluster, control, clients })), bytes: (await clients.usage()).bytes };
  const share = (name: keyof typeof after) => (after[name] - before[name]) / seconds;
  return {
    replaced: ready.length,
    replacedPerSecond: ready.length / writtenSeconds,
    // A client may hear of it before the writer does.
    propagationMs: percentiles(
      ready.map(({ uid, acknowledgedMs }) => Math.max(0, receipts.get(uid)! - acknowledgedMs)),
    ),
    sinceWriteMs: percentiles(ready.map(({ uid, writtenMs }) => receipts.get(uid)! - writtenMs)),
    bytesPerReplacement: (after.bytes - before.bytes) / plan.clients / ready.length,
    cpu: {
      controlPlane: share('controlPlane'),
      apiServerAndEtcd: share('apiServerAndEtcd'),
      clients: share('clients'),
      writer: share('writer'),
    },
  };
}

/** One service after another at the given pace; what the API server cannot keep up with comes late, never at once. */
async function churn(plan: ScalePlan, fake: FakeCluster, progress: Progress): Promise<readonly ReadyPod[]> {
  const periodMs = (1000 * plan.podsPerService) / plan.podsPerSecond;
  const rounds = Math.round((plan.churnSeconds * 1000) / periodMs);
  const startedAt = performance.now();
  const ready: ReadyPod[] = [];
  const running = new Set<Promise<void>>();
  for (let round = 0; round < rounds; round++) {
    const waitMs = startedAt + round * periodMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (running.size >= MAX_SERVICES_AT_ONCE) await Promise.race(running);
    const one = fake.restartNext().then((pods) => {
      ready.push(...pods);
      running.delete(one);
    });
    running.add(one);
    if (round % Math.ceil(rounds / 5) === 0) progress(`${ready.length} pods replaced`);
  }
  await Promise.all(running);
  return ready;
}

const MAX_SERVICES_AT_ONCE = 20;

async function spentBy({ cluster, control, clients }: Omit<Parts, 'plan'>) {
  const own = process.cpuUsage();
  return {
    controlPlane: usageOf(control.pid).cpuSeconds,
    apiServerAndEtcd: cluster.server.pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0),
    clients: usageOf(clients.pid).cpuSeconds,
    writer: (own.user + own.system) / 1e6,
  };
}

function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(percentileOf(sorted, share) ?? Number.NaN);
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1000;
}
