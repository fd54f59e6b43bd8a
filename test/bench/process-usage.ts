/** What a process has used so far, as the kernel counts it. */

import { readFileSync } from 'node:fs';

/** USER_HZ, which is 100 on every Linux there is. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;

export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly peakResidentBytes: number;
}

/** Of /proc; throws when there is no such process. */
export function usageOf(pid: number): ProcessUsage {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentBytes: kib('VmRSS') * KIB,
    peakResidentBytes: kib('VmHWM') * KIB,
  };
}
