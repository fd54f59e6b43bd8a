/** A node proxy in a process of its own, fed by its parent: serves pods, and drains and ends when it is told to. */

import { createInterface } from 'node:readline';
import { exitProcess } from '../../src/sys/process-exit.ts';
import { MeshNode } from './mesh-node.ts';
import { decodePlan, environmentOf, type ProxyPlan } from './proxy-plan.ts';

async function serve(plan: ProxyPlan): Promise<void> {
  const node = new MeshNode(plan.authority);
  process.once('SIGTERM', () => void end(node, plan.drainDeadlineMs));
  await node.start({ ...environmentOf(plan), RUST_LOG: 'warn' });
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
