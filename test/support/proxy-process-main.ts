/** A node proxy in a process of its own, fed by its parent: serves pods, and drains and ends when it is told to. */

import { createInterface } from 'node:readline';
import type { Service } from '../../src/mesh/service.ts';
import type { Workload } from '../../src/mesh/workload.ts';
import { exitProcess } from '../../src/sys/process-exit.ts';
import type { CertificateAuthority } from './certificates.ts';
import { MeshNode, type TestPod } from './mesh-node.ts';

/** What the parent writes in the first line. */
export interface ProxyPlan {
  readonly authority: CertificateAuthority;
  readonly pods: readonly TestPod[];
  readonly workloads: readonly Workload[];
  readonly services: readonly Service[];
  readonly reactors: number;
  readonly drainDeadlineMs: number;
}

/** Maps do not survive JSON. */
export function encodePlan(plan: ProxyPlan): string {
  return JSON.stringify(plan, (_, value: unknown) =>
    value instanceof Map ? { mapEntries: [...value] } : value,
  );
}

function decodePlan(line: string): ProxyPlan {
  return JSON.parse(line, (_, value: unknown) => {
    const isMap = typeof value === 'object' && value !== null && 'mapEntries' in value;
    return isMap ? new Map(value.mapEntries as Iterable<[string, unknown]>) : value;
  }) as ProxyPlan;
}

async function serve(plan: ProxyPlan): Promise<void> {
  const node = new MeshNode(plan.authority);
  process.once('SIGTERM', () => void end(node, plan.drainDeadlineMs));
  await node.start({ ZTUNNEL_WORKER_THREADS: String(plan.reactors), RUST_LOG: 'warn' });
  node.workloads(...plan.workloads);
  node.services(...plan.services);
  for (const pod of plan.pods) {
    const error = await node.addPod(pod);
    if (error !== undefined) throw new Error(error);
  }
  process.stdout.write('ready\n');
}

async function end(node: MeshNode, deadlineMs: number): Promise<void> {
  await node.pool.drain(deadlineMs);
  process.stdout.write(node.log);
  exitProcess(node.failures.length === 0 ? 0 : 1);
}

createInterface({ input: process.stdin }).once('line', (line) => void serve(decodePlan(line)));
