/** How many descriptors this process has open, for tests that nothing leaks. */

import { readdirSync } from 'node:fs';

export function descriptorCount(): number {
  // The listing itself holds one.
  return readdirSync('/proc/self/fd').length - 1;
}
