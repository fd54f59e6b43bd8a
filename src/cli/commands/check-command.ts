/** The flags of `ambit check`. */

import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import type { CheckFormat } from '../check/check-printer.ts';
import type { CheckReport } from '../check/check-report.ts';
import { addClusterOptions, type ClusterOptions, parseDuration } from '../cluster/cluster-options.ts';
import { EXIT } from './program-options.ts';

interface CheckOptions extends ClusterOptions {
  readonly pre?: boolean;
  /** Milliseconds until which a failed check is made again. */
  readonly wait: number;
  readonly output: CheckFormat;
}

/** Between two looks at a cluster that is not yet as it should be. */
const RETRY_MS = 2000;

export function addCheckCommand(program: Command): void {
  const command = program
    .command('check')
    .description('looks at the cluster and the mesh, and says what is wrong and what to do')
    .option('--pre', 'before an installation: only what the cluster must be like')
    .addOption(
      new Option('--wait <duration>', 'check again until nothing fails, at most this long')
        .argParser(parseDuration)
        .default(0, 'not at all'),
    )
    .addOption(
      new Option('-o, --output <format>', 'everything, only problems, or for programs')
        .choices(['table', 'short', 'json'])
        .default('table'),
    );
  addClusterOptions(command).action(async (options: CheckOptions) => {
    const { formatReport } = await import('../check/check-printer.ts');
    const report = await reportOf(options);
    process.stdout.write(await formatReport(report, options.output, process.stdout));
    process.exitCode = await exitCodeOf(report);
  });
}

async function reportOf(options: CheckOptions): Promise<CheckReport> {
  const { openCluster } = await import('../cluster/open-cluster.ts');
  const { sectionsFor } = await import('../check/collect-facts.ts');
  const { makeReport } = await import('../check/check-report.ts');
  const cluster = await openCluster(options);
  const end = performance.now() + options.wait;
  try {
    for (;;) {
      const report = await makeReport(sectionsFor(cluster, options.pre ?? false));
      if (report.success || performance.now() >= end) return report;
      await delay(RETRY_MS);
    }
  } finally {
    await cluster.close();
  }
}

async function exitCodeOf(report: CheckReport): Promise<number> {
  const { outcomeIn } = await import('../check/check-report.ts');
  if (outcomeIn(report, 'AMBIT_CHECK_API')?.result === 'error') return EXIT.unreachable;
  return report.success ? 0 : EXIT.failed;
}
