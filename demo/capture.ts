/** A packet capture on the link between the nodes while something happens. */

import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { AMBIT, exitOf, type SandboxCommands, until } from './sandbox-commands.ts';

/** The last packets are still on their way out of the kernel. */
const SETTLE_MS = 500;
const START_TIMEOUT_MS = 10_000;

/** Captures all TCP of node1 toward the other nodes, a line for each segment, while the action runs. */
export async function captureWhile<T>(
  sandbox: SandboxCommands,
  action: () => Promise<T>,
): Promise<{ result: T; packets: string[] }> {
  const child = sandbox.start('node', 'exec', 'node1', '--', AMBIT, 'packets', '--interface', 'eth0');
  const packets: string[] = [];
  const lines = createInterface({ input: child.stdout! });
  lines.on('line', (line) => packets.push(line));
  let messages = '';
  child.stderr!.on('data', (chunk) => {
    messages += chunk;
  });
  await until('the capture to listen', START_TIMEOUT_MS, async () => messages.includes('listening on'));
  const result = await action();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  child.kill('SIGTERM');
  await Promise.all([exitOf(child), once(lines, 'close')]);
  return { result, packets };
}
