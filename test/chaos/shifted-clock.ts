/**
 * Loaded before a program: its time of day is off by the milliseconds in the file AMBIT_CLOCK_SHIFT, which is read anew
 * at SIGUSR2. The kernel has one time of day for all; only monotonic clocks have namespaces.
 */

import { readFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const SystemDate = Date;
const file = process.env.AMBIT_CLOCK_SHIFT;
let shiftMs = 0;

class ShiftedDate extends SystemDate {
  constructor(...args: [] | [string | number | Date]) {
    if (args.length === 0) super(ShiftedDate.now());
    else super(args[0]);
  }

  static override now(): number {
    return SystemDate.now() + shiftMs;
  }
}

// Certificates, and all else that goes by the time of day, are the main thread's.
if (file !== undefined && isMainThread) {
  const read = () => {
    shiftMs = Number(readFileSync(file, 'utf8'));
  };
  read();
  process.on('SIGUSR2', read);
  globalThis.Date = ShiftedDate as DateConstructor;
}
