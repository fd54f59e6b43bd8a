/** `make bench`: the data plane against its peers, as a table. QUICK=1, ONLY=REGEXP of measures, BENCH_JSON=FILE. */

import { writeFileSync } from 'node:fs';
import { setLogLevels } from '../../../src/telemetry/log.ts';
import { FULL_PLAN, QUICK_PLAN } from './bench-plan.ts';
import { machineFacts } from './machine-facts.ts';
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
  const measures = results.map(({ id, unit, better, values }) => ({ id, unit, better, values }));
  writeFileSync(BENCH_JSON, `${JSON.stringify({ ...machineFacts(), measures }, null, 2)}\n`);
}
