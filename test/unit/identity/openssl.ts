/** The openssl command, the judge of everything that this project writes. */

import { spawnSync } from 'node:child_process';

/** Runs openssl and returns what it printed on both outputs; throws when it fails. */
export function openssl(args: readonly string[], input?: string | Uint8Array): string;
export function openssl(args: readonly string[], input: string | Uint8Array, encoding: 'buffer'): Buffer;
export function openssl(
  args: readonly string[],
  input?: string | Uint8Array,
  encoding?: 'buffer',
): string | Buffer {
  const { status, stdout, stderr } = spawnSync('openssl', args, { input: input ?? '' });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}${stdout}`);
  return encoding === 'buffer' ? stdout : `${stdout}${args.includes('-verify') ? stderr : ''}`;
}
