/** The table of a run of drills. */

import type { DrillResult } from './drill.ts';

const MIB = 1024 * 1024;

function verdictOf({ faults, inTime }: DrillResult): string {
  if (faults.length > 0) return faults.join('; ');
  return inTime ? 'ok' : 'the neighbour was too slow';
}

function cells(result: DrillResult): readonly string[] {
  return [
    result.drill,
    Object.keys(result.moved).join(', ').replaceAll('ambit_', '') || '-',
    Object.values(result.moved).join(', ') || '-',
    `${result.quietP99Ms.toFixed(1)} / ${result.attackedP99Ms.toFixed(1)}`,
    `${Math.round(result.residentBefore / MIB)} / ${Math.round(result.residentAfter / MIB)}`,
    `${result.descriptorsBefore} / ${result.descriptorsAfter}`,
    verdictOf(result),
  ];
}

const HEADINGS = ['drill', 'limit that answered', 'count', 'p99 ms', 'RSS MiB', 'fds', 'verdict'];

/** Quiet and under attack, before and after, stand side by side. */
export function formatTable(results: readonly DrillResult[]): string {
  const rows = [HEADINGS, ...results.map(cells)];
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
