/**
 * Fuzzes every parser in turn: FUZZ_SECONDS for all of them (600), TARGET=name for one, SEED=number for other inputs.
 * Ends with a table, and with 1 when there are findings, whose inputs lie in build/fuzz/findings.
 */

import { Worker } from 'node:worker_threads';
import { saveFinding, saveFound } from './corpus.ts';
import type { FuzzOrder, FuzzReport } from './fuzz-messages.ts';
import type { FuzzTarget } from './fuzz-target.ts';
import { MAX_INPUT_BYTES } from './mutator.ts';
import { TARGETS } from './targets.ts';

const DEFAULT_SECONDS = 600;
/** An input that runs longer is taken to run for ever. */
const HANG_MS = 10_000;
const WATCH_MS = 500;
/** The heap of a target with its corpus; what it needs beyond that is too much. */
const HEAP_MB = 512;
/** By how much the whole process may grow meanwhile, native buffers with it. */
const MEMORY_MB = 1500;

interface Result {
  readonly name: string;
  readonly seconds: number;
  readonly report: FuzzReport;
}

const EMPTY: FuzzReport = { runs: 0, answers: 0, findings: [], corpus: [], isLast: false };

/** Fuzzes one target in a thread of its own. */
function fuzz(target: FuzzTarget, seed: number, milliseconds: number): Promise<Result> {
  const shared = new SharedArrayBuffer(8 + MAX_INPUT_BYTES);
  const counters = new Int32Array(shared, 0, 2);
  const order: FuzzOrder = { target: target.name, seed, milliseconds, shared };
  const worker = new Worker(new URL('./fuzz-worker.ts', import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { promise, resolve } = Promise.withResolvers<Result>();
  const start = performance.now();
  // Not what an earlier target may have left.
  const residentBefore = process.memoryUsage.rss();
  let [latest, seenRuns, seenAt] = [EMPTY, 0, start];
  const finish = (report: FuzzReport) => {
    clearInterval(watch);
    resolve({ name: target.name, seconds: (performance.now() - start) / 1000, report });
  };
  /** The input that runs now is the finding. */
  const blame = (what: string) => {
    const input = new Uint8Array(shared, 8, counters[1]).slice();
    void worker.terminate();
    finish({ ...latest, findings: [...latest.findings, { what, input }] });
  };
  const watch = setInterval(() => {
    const runs = Atomics.load(counters, 0);
    if (runs !== seenRuns) [seenRuns, seenAt] = [runs, performance.now()];
    else if (performance.now() - seenAt > HANG_MS) blame(`longer than ${HANG_MS} ms`);
    const grownBytes = process.memoryUsage.rss() - residentBefore;
    if (grownBytes > MEMORY_MB * 1_000_000) blame(`more than ${MEMORY_MB} MB more`);
  }, WATCH_MS);
  worker.on('message', (report: FuzzReport) => {
    latest = report;
    if (report.isLast) finish(report);
    else progress(target.name, (performance.now() - start) / 1000, report);
  });
  worker.on('error', (thrown) =>
    blame(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)),
  );
  return promise;
}

function progress(name: string, seconds: number, { runs, answers, findings }: FuzzReport): void {
  if (!process.stderr.isTTY) return;
  const rate = Math.round(runs / seconds);
  process.stderr.write(
    `\r${name}: ${runs} inputs, ${rate}/s, ${answers} answers, ${findings.length} findings  `,
  );
}

function tell({ name, seconds, report }: Result): void {
  const { runs, answers, findings } = report;
  const columns = [
    name.padEnd(20),
    String(runs).padStart(10),
    String(Math.round(runs / seconds)).padStart(10),
    String(answers).padStart(8),
    String(findings.length).padStart(8),
  ];
  process.stdout.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}${columns.join('')}\n`);
  for (const { what, input } of findings) {
    process.stdout.write(`  ${saveFinding(name, input)} (${input.length} bytes): ${what}\n`);
  }
}

const { FUZZ_SECONDS = String(DEFAULT_SECONDS), TARGET, SEED = '1' } = process.env;
const targets = TARGETS.filter(({ name }) => TARGET === undefined || TARGET === name);
if (targets.length === 0) {
  process.stderr.write(`no target ${TARGET}; there are ${TARGETS.map(({ name }) => name).join(', ')}\n`);
  process.exit(2);
}
const milliseconds = (Number(FUZZ_SECONDS) * 1000) / targets.length;
process.stdout.write('target                  inputs  inputs/s answers findings\n');
let findings = 0;
for (const target of targets) {
  const result = await fuzz(target, Number(SEED), milliseconds);
  saveFound(target.name, result.report.corpus);
  findings += result.report.findings.length;
  tell(result);
}
process.exit(findings === 0 ? 0 : 1);
