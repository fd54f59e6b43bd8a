/**
 * The time of day of a process, changed while it runs: the kernel has one for all (only monotonic clocks have
 * namespaces), so libfaketime stands between the process and libc. OpenSSL goes by it as well as JavaScript.
 */

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's package of it puts it below the folder of the machine's architecture. */
const LIBRARIES = '/usr/lib';
const LIBRARY = 'faketime/libfaketimeMT.so.1';
/** How often a process reads the file. */
const READ_SECONDS = 1;

/** What is written into the file: ahead, or back where the hours are below zero. */
export function clockShift(hours: number): string {
  return `${hours < 0 ? '' : '+'}${hours}h`;
}

/** Which clock the process of a command in a shell goes by, put before it. */
export function byClockOf(file: string): string {
  return `FAKETIME_TIMESTAMP_FILE=${file}`;
}

/**
 * What a process must have in its environment for its time of day to follow the file. Monotonic clocks stay as they are.
 * @throws when libfaketime is not installed
 */
export function shiftedBy(file: string): readonly string[] {
  const found = readdirSync(LIBRARIES).filter((name) => existsSync(join(LIBRARIES, name, LIBRARY)));
  if (found.length === 0) throw new Error('libfaketime is missing (on Debian: apt install faketime)');
  return [
    `LD_PRELOAD=${join(LIBRARIES, found[0]!, LIBRARY)}`,
    byClockOf(file),
    `FAKETIME_CACHE_DURATION=${READ_SECONDS}`,
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'NO_FAKE_STAT=1',
  ];
}
