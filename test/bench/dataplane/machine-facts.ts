/** Where and of what figures are taken. */

import { execFileSync } from 'node:child_process';
import { cpus, release } from 'node:os';

export interface MachineFacts {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string };
  /** `2026-11-30`. */
  readonly date: string;
  /** Of the checkout; `-dirty` behind it when files differ. */
  readonly commit: string;
}

export function machineFacts(): MachineFacts {
  const describe = ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'];
  const commit = execFileSync('git', describe, { cwd: import.meta.dirname, encoding: 'utf8' }).trim();
  const machine = { cpu: cpus()[0]?.model ?? '', cores: cpus().length, kernel: release() };
  return { machine, date: new Date().toISOString().slice(0, 10), commit };
}
