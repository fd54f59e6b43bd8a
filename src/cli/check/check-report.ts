/** The outcome of all checks as a value: what a person reads and a program parses. */

import type { Check, Finding, Section, Severity } from './check.ts';

export type CheckResult = 'ok' | 'warning' | 'error' | 'skipped';

export interface CheckOutcome {
  readonly code: string;
  readonly claim: string;
  readonly result: CheckResult;
  /** Each with its remedy. */
  readonly findings: readonly (Finding & { readonly remedy: string })[];
  /** Why it was skipped. */
  readonly reason?: string;
}

export interface SectionOutcome {
  readonly name: string;
  readonly checks: readonly CheckOutcome[];
}

export interface CheckReport {
  /** Grows when a key changes its meaning or goes. */
  readonly schemaVersion: 1;
  /** No error; there may be warnings. */
  readonly success: boolean;
  readonly sections: readonly SectionOutcome[];
}

/** What a section tells, and why the sections after it cannot be looked at, if so. */
interface Evaluation {
  readonly outcome: SectionOutcome;
  readonly stop?: string | undefined;
}

/** A section with its facts, whatever they are. */
export interface RunnableSection {
  readonly codes: readonly string[];
  run(): Promise<Evaluation>;
  skip(reason: string): SectionOutcome;
}

export function runnable<Facts>(section: Section<Facts>): RunnableSection {
  const { name, checks } = section;
  return {
    codes: checks.map((check) => check.code),
    run: async () => evaluate(section, await section.collect()),
    skip: (reason) => ({ name, checks: checks.map((check) => skipped(check, reason)) }),
  };
}

/** Looks at one section after the other; after a fatal error the rest is skipped. */
export async function makeReport(sections: readonly RunnableSection[]): Promise<CheckReport> {
  const outcomes: SectionOutcome[] = [];
  let stop: string | undefined;
  for (const section of sections) {
    if (stop !== undefined) {
      outcomes.push(section.skip(stop));
      continue;
    }
    const evaluation = await section.run();
    outcomes.push(evaluation.outcome);
    stop = evaluation.stop;
  }
  const success = !outcomes.some((one) => one.checks.some((check) => check.result === 'error'));
  return { schemaVersion: 1, success, sections: outcomes };
}

/** The outcome of one check of a report. */
export function outcomeIn(report: CheckReport, code: string): CheckOutcome | undefined {
  return report.sections.flatMap((section) => section.checks).find((check) => check.code === code);
}

function evaluate<Facts>({ name, checks }: Section<Facts>, facts: Facts): Evaluation {
  let stop: string | undefined;
  const outcomes = checks.map((check) => {
    if (stop !== undefined) return skipped(check, stop);
    const outcome = outcomeOf(check, check.find(facts));
    if (check.isFatal && outcome.result === 'error') stop = `${check.code} has to be mended first`;
    return outcome;
  });
  return { outcome: { name, checks: outcomes }, stop };
}

function outcomeOf<Facts>(check: Check<Facts>, findings: readonly Finding[]): CheckOutcome {
  const { code, claim, remedy } = check;
  const complete = findings.map((finding) => ({ ...finding, remedy: finding.remedy ?? remedy }));
  return { code, claim, result: worst(findings), findings: complete };
}

function worst(findings: readonly Finding[]): CheckResult {
  const has = (severity: Severity) => findings.some((finding) => finding.severity === severity);
  if (has('error')) return 'error';
  return has('warning') ? 'warning' : 'ok';
}

function skipped<Facts>({ code, claim }: Check<Facts>, reason: string): CheckOutcome {
  return { code, claim, result: 'skipped', findings: [], reason };
}
