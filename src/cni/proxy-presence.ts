/** Whether a proxy really serves a pod: looks for listeners on ztunnel's ports in the pod's namespace. */

import { HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from './redirection-constants.ts';
import type { Program, ProgramResult } from './run-programs.ts';

const PROXY_PORTS = [OUTBOUND_PORT, INBOUND_PLAINTEXT_PORT, HBONE_PORT];

/** Asks the kernel for listeners only; reading /proc/net/tcp walks every connection of the machine. */
export const LIST_LISTENERS: Program = { argv: ['ss', '-Hltn'] };

/** Undefined when it cannot be told. */
export function isProxyThere(listed: ProgramResult): boolean | undefined {
  if (listed.status !== 0) return undefined;
  const open = new Set(parseListeners(listed.stdout));
  return PROXY_PORTS.every((port) => open.has(port));
}

/** Reads lines such as `LISTEN 0 511 *:15001 *:*`; anything else is passed over. */
export function parseListeners(text: string): number[] {
  return [...text.matchAll(/^LISTEN +\d+ +\d+ +\S*:(\d{1,5}) /gm)].map((match) => Number(match[1]));
}
