/** A table of faults and invariants, for people and as JSON. */

import type { Fault } from './faults.ts';
import { INVARIANTS, type Invariant } from './invariants.ts';
import type { ChaosResult } from './run-chaos.ts';

export interface FaultRow {
  readonly fault: string;
  readonly costs: Fault['costs'];
  readonly times: number;
  /** The longest time until calls succeeded again. */
  readonly recoveryMs: number;
  /** What was wrong, by invariant; empty where everything held. */
  readonly violations: Partial<Record<Invariant, readonly string[]>>;
}

/** One row for each fault, in the order in which they are given. */
export function rowsOf(faults: readonly Fault[], { trials }: ChaosResult): readonly FaultRow[] {
  return faults.map((fault) => {
    const own = trials.filter((one) => one.fault === fault);
    const violations = INVARIANTS.flatMap((name) => {
      const words = own.flatMap((one) => one.violations[name] ?? []);
      return words.length === 0 ? [] : [[name, words] as const];
    });
    return {
      fault: fault.name,
      costs: fault.costs,
      times: own.length,
      recoveryMs: Math.max(...own.map((one) => one.recoveryMs)),
      violations: Object.fromEntries(violations),
    };
  });
}

export function holds(rows: readonly FaultRow[], { leftAtTheEnd }: ChaosResult): boolean {
  return leftAtTheEnd.length === 0 && rows.every(({ violations }) => Object.keys(violations).length === 0);
}

/** As Markdown, and below it what was wrong. */
export function tableOf(rows: readonly FaultRow[]): string {
  const cells = rows.map((row) => [
    row.fault,
    String(row.times),
    `${row.recoveryMs} ms`,
    ...INVARIANTS.map((name) => cellOf(row, name)),
  ]);
  const all = [['fault', 'times', 'well again', ...INVARIANTS], ...cells];
  const widths = all[0]!.map((_, i) => Math.max(...all.map((line) => line[i]!.length)));
  const lines = all.map((line) => `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`);
  const ruler = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  return [lines[0], ruler, ...lines.slice(1), ...rows.flatMap(wordsOf)].join('\n');
}

function cellOf({ costs, violations }: FaultRow, name: Invariant): string {
  if (violations[name] !== undefined) return 'VIOLATED';
  return name === 'nothing cut' && costs === 'connections' ? 'may be' : 'holds';
}

function wordsOf({ fault, violations }: FaultRow): readonly string[] {
  return Object.entries(violations).flatMap(([name, words]) =>
    words.map((text) => `${fault}: ${name}: ${text}`),
  );
}
