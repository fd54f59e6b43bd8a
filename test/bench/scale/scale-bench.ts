/** `make bench-scale`: what the control plane needs for a large cluster, as a table. QUICK=1, BENCH_JSON=FILE, CPU_PROFILE=DIR. */

import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { type Percentiles, runScale, type ScaleResult } from './run-scale.ts';
import { FULL_PLAN, QUICK_PLAN } from './scale-plan.ts';

function table(result: ScaleResult): string {
  const { cpu } = result;
  const share = (value: number) => `${Math.round(value * 100)} % of a core`;
  const rows: readonly (readonly [string, string])[] = [
    ['pods, services, xDS clients', `${result.pods}, ${result.services}, ${result.clients}`],
    ['control plane starts and has read it all', `${result.startSeconds.toFixed(1)} s`],
    ['all clients connect and have it all', `${result.syncSeconds.toFixed(1)} s`],
    ['first state, per client', `${result.firstStateMegabytes.toFixed(2)} MB`],
    ['pods replaced', `${result.replaced}, ${result.replacedPerSecond.toFixed(0)}/s`],
    ['pod ready until every client knows: p50, p99, max', inWords(result.propagationMs)],
    ['the same since the write was sent', inWords(result.sinceWriteMs)],
    ['sent to a client per pod replaced', `${Math.round(result.bytesPerReplacement)} bytes`],
    ['control plane, resident: alone, with clients, peak', memory(result)],
    ['CPU of the control plane', share(cpu.controlPlane)],
    ['CPU of API server and etcd', share(cpu.apiServerAndEtcd)],
    ['CPU of the clients', share(cpu.clients)],
    ['CPU of the writer', share(cpu.writer)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `| ${name.padEnd(width)} | ${value} |`).join('\n');
}

function inWords({ p50, p99, max }: Percentiles): string {
  return `${p50}, ${p99}, ${max} ms`;
}

function memory(result: ScaleResult): string {
  const { controlPlaneAloneMegabytes, controlPlaneRestMegabytes, controlPlanePeakMegabytes } = result;
  const all = [controlPlaneAloneMegabytes, controlPlaneRestMegabytes, controlPlanePeakMegabytes];
  return `${all.map((one) => one.toFixed(0)).join(', ')} MB`;
}

setLogLevels('error');
const plan = process.env.QUICK === undefined ? FULL_PLAN : QUICK_PLAN;
const startedAt = performance.now();
const result = await runScale(plan, (line) => {
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
});
process.stdout.write(`${table(result)}\n`);
const { BENCH_JSON } = process.env;
if (BENCH_JSON !== undefined) {
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length };
  writeFileSync(BENCH_JSON, `${JSON.stringify({ machine, plan, result }, null, 2)}\n`);
}
