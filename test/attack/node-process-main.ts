/** The node proxy of a drill in a process of its own: serves pods, and tells what it has counted. */

import { reserveDescriptors } from '../../src/sys/descriptor-table.ts';
import { exitProcess } from '../../src/sys/process-exit.ts';
import { collectOften, keepMemorySmall } from '../../src/sys/process-memory.ts';
import { MeshNode } from '../support/mesh-node.ts';
import { decodePlan, environmentOf, type ProxyPlan } from '../support/proxy-plan.ts';

/** Counters that an attack may move, with the label that tells their series apart. */
const COUNTERS = [
  ['ambit_http2_protection_total', 'limit'],
  ['ambit_limit_reached_total', 'limit'],
  ['ambit_hbone_connections_failed_total', 'code'],
  ['ambit_resources_held', 'kind'],
  ['istio_tcp_connections_failed_total', 'response_flags'],
] as const;
const LOG_SCAN_MS = 50;

/** What a node says when it is asked; keys are `metric/label value`, and error codes and limits that its log names. */
export interface NodeReport {
  readonly counters: Readonly<Record<string, number>>;
  readonly codes: Readonly<Record<string, number>>;
  readonly limits: Readonly<Record<string, number>>;
  /** Lines of its log since it began. */
  readonly lines: number;
  readonly failures: readonly string[];
}

export type NodeAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'report'; readonly report: NodeReport };

const codes: Record<string, number> = {};
const limits: Record<string, number> = {};
let lines = 0;

/** Counts what the log says and forgets it: a flood of lines must not look like a leak of the proxy. */
function scanLog(node: MeshNode): void {
  const end = node.log.lastIndexOf('\n') + 1;
  const text = node.log.slice(0, end);
  countMatches(text, /code=(AMBIT_\w+)/g, codes);
  countMatches(text, /limit reached\s.*\blimit=(\w+)/g, limits);
  lines += text.split('\n').length - 1;
  node.log = node.log.slice(end);
}

function countMatches(text: string, pattern: RegExp, counts: Record<string, number>): void {
  for (const [, word] of text.matchAll(pattern)) counts[word!] = (counts[word!] ?? 0) + 1;
}

function countersOf(node: MeshNode): Record<string, number> {
  const counters: Record<string, number> = {};
  for (const [metric, label] of COUNTERS) {
    for (const [value, count] of node.totalsBy(metric, label)) counters[`${metric}/${value}`] = count;
  }
  return counters;
}

function report(node: MeshNode): NodeReport {
  scanLog(node);
  const failures = node.failures.map((error) => error.message);
  return { counters: countersOf(node), codes: { ...codes }, limits: { ...limits }, lines, failures };
}

function answer(what: NodeAnswer): void {
  process.send!(what);
}

async function serve(plan: ProxyPlan): Promise<void> {
  // As ztunnel does: what it keeps of its memory is judged.
  keepMemorySmall();
  reserveDescriptors();
  const node = new MeshNode(plan.authority);
  await node.start({ ...environmentOf(plan), RUST_LOG: 'info' });
  node.workloads(...plan.workloads);
  node.services(...plan.services);
  collectOften();
  node.pool.broadcast({ kind: 'mesh-read' });
  for (const pod of plan.pods) {
    const error = await node.addPod(pod);
    if (error !== undefined) throw new Error(error);
  }
  setInterval(() => scanLog(node), LOG_SCAN_MS);
  process.on('message', () => answer({ kind: 'report', report: report(node) }));
  answer({ kind: 'ready' });
}

process.once('disconnect', () => exitProcess(0));
process.once('message', (plan) => void serve(decodePlan(String(plan))));
