/** `make bench`: the data plane against its peers, as a table. QUICK=1, ONLY=REGEXP of measures, BENCH_JSON=FILE. */

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { FULL_PLAN, QUICK_PLAN } from './bench-plan.ts';
import { resultsTable } from './results-table.ts';
import { runBench } from './run-bench.ts';

const startedAt = performance.now();

function progress(line: string): void {
  process.stderr.write(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);
}

setLogLevels('error');
const { QUICK, ONLY, BENCH_JSON } = process.env;
const results = await runBench({
  plan: QUICK === undefined ? FULL_PLAN : QUICK_PLAN,
  wants: (id) => ONLY === undefined || new RegExp(ONLY).test(id),
  progress,
});
process.stdout.write(`${resultsTable(results)}\n`);
if (BENCH_JSON !== undefined) {
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length };
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
  }).trim();
  const measures = results.map(({ id, unit, better, values }) => ({ id, unit, better, values }));
  writeFileSync(BENCH_JSON, `${JSON.stringify({ machine, commit, measures }, null, 2)}\n`);
}
