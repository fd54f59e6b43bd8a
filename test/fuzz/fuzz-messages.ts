/** What the thread that fuzzes and the one that watches it tell each other. */

import type { Finding } from './fuzzer.ts';

export interface FuzzOrder {
  /** Name of a target. */
  readonly target: string;
  readonly seed: number;
  readonly milliseconds: number;
  /** Two numbers of 32 bits, the runs so far and the length of the input; then the input that runs now. */
  readonly shared: SharedArrayBuffer;
}

export interface FuzzReport {
  readonly runs: number;
  /** Different ones. */
  readonly answers: number;
  readonly findings: readonly Finding[];
  /** Inputs worth keeping; in the last report only. */
  readonly corpus: readonly Uint8Array[];
  readonly isLast: boolean;
}
