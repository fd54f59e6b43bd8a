/** How many descriptors this process may have open. */

import { readFileSync } from 'node:fs';

/** 0 where there is no limit. */
export function maxDescriptors(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
}
