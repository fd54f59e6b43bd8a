/** A check: a claim about the cluster that can be false, told by a pure function over facts that were collected. */

export type Severity = 'warning' | 'error';

/** What is not as it should be. */
export interface Finding {
  readonly severity: Severity;
  /** `node/worker1`, `pod/shop/orders-0`; absent when it is about the cluster. */
  readonly object?: string;
  /** One line: what is the case. */
  readonly cause: string;
  /** One line: what to do; the check's own remedy where this is absent. */
  readonly remedy?: string;
}

export interface Check<Facts> {
  /** Stable: scripts and docs/troubleshooting.md refer to it. */
  readonly code: `AMBIT_CHECK_${string}`;
  /** What is the case when nothing is found. */
  readonly claim: string;
  /** One line: what to do in general. */
  readonly remedy: string;
  /** After an error here nothing further can be looked at. */
  readonly isFatal?: boolean;
  find(facts: Facts): readonly Finding[];
}

/** Checks that are made over the same facts. */
export interface Section<Facts> {
  readonly name: string;
  collect(): Promise<Facts>;
  readonly checks: readonly Check<Facts>[];
}

export function error(cause: string, extra: Pick<Finding, 'object' | 'remedy'> = {}): Finding {
  return { severity: 'error', cause, ...extra };
}

export function warning(cause: string, extra: Pick<Finding, 'object' | 'remedy'> = {}): Finding {
  return { severity: 'warning', cause, ...extra };
}
