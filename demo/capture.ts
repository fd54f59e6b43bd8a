/** A packet capture on the link between the nodes while something happens. */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { SandboxCommands } from './sandbox-commands.ts';
import { exitOf, until } from './sandbox-commands.ts';

/** tcpdump needs a moment to take the last packets out of the kernel. */
const SETTLE_MS = 500;
const START_TIMEOUT_MS = 10_000;

/** Captures all TCP of node1 toward the other nodes, as text, while the action runs. */
export async function captureWhile<T>(
  sandbox: SandboxCommands,
  action: () => Promise<T>,
): Promise<{ result: T; packets: string[] }> {
  const tcpdump = ['tcpdump', '-Z', 'root', '-U', '-l', '-n', '-A', '-s', '400', '-i', 'eth0', 'tcp'];
  const child = sandbox.start('node', 'exec', 'node1', '--', ...tcpdump);
  const packets: string[] = [];
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => packets.push(line));
  let messages = '';
  child.stderr!.on('data', (chunk) => {
    messages += chunk;
  });
  await until('tcpdump to listen', START_TIMEOUT_MS, async () => messages.includes('listening on'));
  const result = await action();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  child.kill('SIGTERM');
  await Promise.all([exitOf(child), once(lines, 'close')]);
  return { result, packets };
}
