/** The results as a table of Markdown. */

import type { Goal } from './measures.ts';
import type { PeerName } from './peers/peer.ts';
import type { MeasureResult } from './results.ts';
import type { Spread } from './statistics.ts';

const PEERS: readonly PeerName[] = ['ambit', 'haproxy', 'envoy', 'direct'];
const HEADINGS = ['measure', 'unit', ...PEERS, '÷ haproxy', 'goal', ''];

/** Median and, in brackets, the lowest and the highest round; whether a goal is met stands in the last column. */
export function resultsTable(results: readonly MeasureResult[]): string {
  const rows = results.map(rowOf);
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(HEADINGS), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

function rowOf(result: MeasureResult): readonly string[] {
  const { id, unit, values, goal, better } = result;
  const ratio = ratioToHaproxy(result);
  const sign = better === 'higher' ? '≥' : '≤';
  return [
    id,
    unit,
    ...PEERS.map((peer) => cellOf(values[peer])),
    ratio === undefined ? '' : inDigits(ratio),
    goal === undefined ? '' : `${sign} ${goal.limit}${goal.of === 'ratio' ? ' ×' : ''}`,
    verdictOf(result, goal),
  ];
}

function cellOf(spread: Spread | undefined): string {
  if (spread === undefined) return '';
  const { median, min, max } = spread;
  const range = min === max ? '' : ` (${inDigits(min)}–${inDigits(max)})`;
  return `${inDigits(median)}${range}`;
}

/** Undefined when either was not measured. */
export function ratioToHaproxy({ values: { ambit, haproxy } }: MeasureResult): number | undefined {
  return ambit === undefined || haproxy === undefined ? undefined : ambit.median / haproxy.median;
}

/** Whether the goal is reached; undefined when that cannot be told. */
export function isMet(result: MeasureResult, goal: Goal): boolean | undefined {
  const reached = goal.of === 'ratio' ? ratioToHaproxy(result) : result.values.ambit?.median;
  if (reached === undefined) return undefined;
  return result.better === 'higher' ? reached >= goal.limit : reached <= goal.limit;
}

function verdictOf(result: MeasureResult, goal: Goal | undefined): string {
  const met = goal === undefined ? undefined : isMet(result, goal);
  if (met === undefined) return '';
  return met ? '✔' : '✘';
}

/** Three digits that count. */
function inDigits(value: number): string {
  if (value === 0) return '0';
  const decimals = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(3, decimals));
}
