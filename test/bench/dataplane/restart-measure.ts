/** How long a node proxy that was killed takes from its next start to the first byte of a new connection. */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from '../../../src/sandbox/host/process-table.ts';
import { eventually, eventuallyAnswers } from '../../support/eventually.ts';
import { clientManifest, type Manifest } from '../../support/mesh-manifests.ts';
import { until } from '../../support/sandbox-commands.ts';
import type { BenchPlan } from './bench-plan.ts';
import type { BenchSandbox } from './bench-sandbox.ts';
import { ambitPeer } from './peers/plain-peers.ts';

/** Pods come up a few at a time. */
const CROWD_DEADLINE_MS = 180_000;
const RESTART_DEADLINE_MS = 60_000;
/** Of the start time that the kernel tells. */
const TICKS_PER_SECOND = 100;

/** Fills the node of the calling pod, and the mesh. */
export async function makeCrowd({ session }: BenchSandbox, { crowd }: BenchPlan): Promise<void> {
  const { objects } = await session.facts();
  const entries = Array.from({ length: crowd.workloads }, (_, i) => JSON.stringify(workloadEntry(i)));
  writeFileSync(join(objects, 'crowd.yaml'), entries.join('\n---\n'));
  const pods = Array.from({ length: crowd.pods }, (_, i) =>
    clientManifest({
      name: `crowd-${i}`,
      namespace: 'mesh',
      node: 'node1',
      serviceAccount: `crowd-${i % 10}`,
    }),
  );
  await session.apply(...pods);
  await until(
    'every proxy has the crowd',
    async () => {
      const dumps = await Promise.all(['node1', 'node2'].map((node) => session.dump(node)));
      return dumps.every(
        ({ workloads }) =>
          workloads.length >= crowd.workloads &&
          workloads.filter(({ namespace, protocol }) => namespace === 'mesh' && protocol === 'HBONE')
            .length >= crowd.pods,
      );
    },
    CROWD_DEADLINE_MS,
  );
}

/** Seconds. */
export async function restartSeconds(sandbox: BenchSandbox): Promise<number> {
  const { client, target, pids } = await ambitPeer(sandbox);
  const killed = pids[0]!;
  process.kill(killed, 'SIGKILL');
  await eventually('the proxy is gone', () => startTimeOf(killed) === undefined);
  const answers = async () => (await client.run({ kind: 'idle', connections: 1, target })).amount === 1;
  await eventuallyAnswers('an answer through the new proxy', answers, RESTART_DEADLINE_MS);
  const nowSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ', 1)[0]);
  const [started] = await sandbox.ztunnelPids();
  return nowSeconds - Number(startTimeOf(started!)) / TICKS_PER_SECOND;
}

function workloadEntry(i: number): Manifest {
  const address = `10.${200 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadEntry',
    metadata: { name: `crowd-${i}`, namespace: 'plain', labels: { app: `crowd-${i % 100}` } },
    spec: { address, labels: { app: `crowd-${i % 100}` }, serviceAccount: `crowd-${i % 100}` },
  };
}
