/** What passes between the nodes of a sandbox while something happens: every TCP segment on the link of node 1. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from './sandbox-commands.ts';
import type { SandboxSession } from './sandbox-session.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
/** Nobody listens there; a call to it shows that everything before it has been seen. */
const MARKER_PORT = 9;

export interface Segment {
  readonly source: string;
  readonly destination: string;
  /** The payload, unprintable bytes as dots. */
  readonly text: string;
}

/** The segments of node 1, in both directions, from before the action begins until it has ended. */
export async function captureWhile(
  session: SandboxSession,
  action: () => Promise<void>,
): Promise<readonly Segment[]> {
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
  const [program, ...args] = [...session.enterNode('node1'), ...node, 'packets', '--interface', 'eth0'];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const segments: Segment[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => segments.push(parseSegment(line)));
  let messages = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    messages += text;
  });
  try {
    await until('the capture runs', async () => messages.includes('listening on'));
    await action();
    const other = (await session.pod('ambit-system', 'ztunnel-node2')).status.podIP;
    const marker = other.includes(':') ? `[${other}]:${MARKER_PORT}` : `${other}:${MARKER_PORT}`;
    await (await session.callerOn('node1')).probe(other, MARKER_PORT);
    await until('the last segment is captured', async () =>
      segments.some((one) => one.destination === marker),
    );
    return segments.filter((one) => one.destination !== marker && one.source !== marker);
  } finally {
    child.kill('SIGKILL');
  }
}

/** `10.244.1.3:40112 > 10.244.2.4:8080 59 bytes GET / HTTP/1.1..` */
function parseSegment(line: string): Segment {
  const match = /^(\S+) > (\S+) \d+ bytes ?(.*)$/.exec(line);
  return { source: match?.[1] ?? '', destination: match?.[2] ?? '', text: match?.[3] ?? line };
}

/** The port at the end of an address. */
export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
