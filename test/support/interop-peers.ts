/** Programs of others that are built from Go modules. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const BUILD = join(import.meta.dirname, '..', 'interop', 'build.sh');

/** The path of a program; what was built once is kept in the user's cache. */
export function interopPeer(name: 'h2spec' | 'istio-messages' | 'helm'): string {
  const folder = execFileSync(BUILD, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
  return join(folder, name);
}
