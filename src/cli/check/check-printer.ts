/** How a report of checks is printed: marks and sentences for people, JSON for programs. */

import { styleText } from 'node:util';
import { formatValue } from '../printer.ts';
import type { CheckOutcome, CheckReport, CheckResult } from './check-report.ts';

export const CHECK_FORMATS = ['table', 'short', 'json'] as const;
export type CheckFormat = (typeof CHECK_FORMATS)[number];

const MARKS: Readonly<Record<CheckResult, string>> = { ok: '✓', warning: '!', error: '✗', skipped: '–' };
const COLOURS = { ok: 'green', warning: 'yellow', error: 'red', skipped: 'gray' } as const;
/** More objects than this with the same trouble fill a terminal. */
const MAX_FINDINGS = 20;

/** @param stream where it is written: colours only where a person reads */
export async function formatReport(
  report: CheckReport,
  format: CheckFormat,
  stream: NodeJS.WriteStream,
): Promise<string> {
  if (format === 'json') return formatValue(report, 'json');
  const sections = report.sections.map(({ name, checks }) => {
    const shown = checks.filter((one) => (format === 'short' ? isProblem(one) : one.result !== 'skipped'));
    const text =
      shown.map((one) => checkText(one, stream)).join('') + (format === 'short' ? '' : skippedText(checks));
    return text === '' ? '' : `${name}\n${text}\n`;
  });
  return `${sections.join('')}${verdict(report)}\n`;
}

function isProblem({ result }: CheckOutcome): boolean {
  return result === 'error' || result === 'warning';
}

function checkText(check: CheckOutcome, stream: NodeJS.WriteStream): string {
  const { result, claim, code, findings } = check;
  const mark = styleText(COLOURS[result], MARKS[result], { stream });
  const title = isProblem(check) ? `${claim}  [${code}]` : claim;
  const lines = findings
    .slice(0, MAX_FINDINGS)
    .map(({ object, cause }) => `      ${object ? `${object}: ` : ''}${cause}\n`);
  const more = findings.length - MAX_FINDINGS;
  const rest = more > 0 ? `      and ${more} more: see -o json\n` : '';
  const remedies = [...new Set(findings.map(({ remedy }) => `    → ${remedy}\n`))];
  return `  ${mark} ${title}\n${lines.join('')}${rest}${remedies.join('')}`;
}

/** The same reason for each of them: one line is enough. */
function skippedText(checks: readonly CheckOutcome[]): string {
  const skipped = checks.filter(({ result }) => result === 'skipped');
  if (skipped.length === 0) return '';
  return `  ${MARKS.skipped} ${skipped.length} not looked at: ${skipped[0]?.reason}\n`;
}

function verdict({ sections }: CheckReport): string {
  const checks = sections.flatMap((section) => section.checks);
  const count = (result: CheckResult) => checks.filter((check) => check.result === result).length;
  const [errors, warnings] = [count('error'), count('warning')];
  if (errors > 0) return `${errors} of ${checks.length} checks failed, ${warnings} with warnings`;
  return warnings > 0 ? `no check failed, ${warnings} with warnings` : `all ${checks.length} checks passed`;
}
