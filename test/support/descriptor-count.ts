/** How many descriptors a process has open, for tests that nothing leaks. */

import { readdirSync } from 'node:fs';

/** Of this process unless given. */
export function descriptorCount(pid: number | 'self' = 'self'): number {
  const count = readdirSync(`/proc/${pid}/fd`).length;
  // The listing itself holds one.
  return pid === 'self' ? count - 1 : count;
}
