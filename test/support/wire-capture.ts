/** What passes between the nodes of a sandbox while something happens: every TCP segment on the link of node 1. */

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
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

/** Tells of every segment that passes an interface, until it is stopped. */
export class WireCapture {
  readonly #child: ChildProcess;
  #messages = '';

  private constructor(child: ChildProcessByStdio<null, Readable, Readable>) {
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#messages += text;
    });
  }

  /** @param inside put before the command, it runs where the interface is */
  static async start(
    inside: readonly string[],
    interfaceName: string,
    onSegment: (segment: Segment) => void,
  ): Promise<WireCapture> {
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
    const [program, ...args] = [...inside, ...node, 'packets', '--interface', interfaceName];
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    createInterface({ input: child.stdout }).on('line', (line) => onSegment(parseSegment(line)));
    const capture = new WireCapture(child);
    await until('the capture runs', async () => capture.#messages.includes('listening on'));
    return capture;
  }

  get runs(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

/** The segments of node 1, in both directions, from before the action begins until it has ended. */
export async function captureWhile(
  session: SandboxSession,
  action: () => Promise<void>,
): Promise<readonly Segment[]> {
  const segments: Segment[] = [];
  const capture = await WireCapture.start(session.enterNode('node1'), 'eth0', (one) => segments.push(one));
  try {
    await action();
    const other = (await session.pod('ambit-system', 'ztunnel-node2')).status.podIP;
    const marker = other.includes(':') ? `[${other}]:${MARKER_PORT}` : `${other}:${MARKER_PORT}`;
    await (await session.callerOn('node1')).probe(other, MARKER_PORT);
    await until('the last segment is captured', async () =>
      segments.some((one) => one.destination === marker),
    );
    return segments.filter((one) => one.destination !== marker && one.source !== marker);
  } finally {
    capture.stop();
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
