/** Keeps the logs of a sandbox from filling the disk. */

import { copyFileSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';

/** A log of this size is set aside and begun anew, in bytes. */
const MAX_LOG_BYTES = 32 * 1024 * 1024;
const CHECK_MS = 5000;

/** Whoever writes appends, and so goes on at the new beginning. */
export function limitLogs(folder: string): void {
  setInterval(() => {
    for (const name of readdirSync(folder)) {
      if (name.endsWith('.log')) limitLog(join(folder, name));
    }
  }, CHECK_MS).unref();
}

function limitLog(path: string): void {
  if (statSync(path).size < MAX_LOG_BYTES) return;
  copyFileSync(path, `${path}.1`);
  truncateSync(path);
}
