/** What a process holds in memory, in megabytes of 10^6 bytes. */

import { readFileSync } from 'node:fs';

const KIB = 1024;
const MEGABYTE = 1e6;

export interface ProcessMemory {
  readonly resident: number;
  /** Without what is mapped from files, which other processes of the same program share. */
  readonly anonymous: number;
}

/** Of /proc; throws when there is no such process. */
export function memoryOf(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const field = (name: string) =>
    (Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1]) * KIB) / MEGABYTE;
  return { resident: field('Rss'), anonymous: field('Anonymous') };
}
