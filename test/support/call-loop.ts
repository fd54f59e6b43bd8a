/** Calls from a pod at short intervals, and what became of each. */

import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { CallLine } from './call-loop-main.ts';
import { type SandboxCommands, until } from './sandbox-commands.ts';

/** To be started with the arguments of {@link callArguments}. */
export const CALL_PROGRAM = `${import.meta.dirname}/call-loop-main.ts`;
const INTERVAL_MS = 25;

/** @param host an echo server over TCP */
export function callArguments(host: string, port: number, intervalMs = INTERVAL_MS): readonly string[] {
  return [host, String(port), String(intervalMs)];
}

/** An echo server over TCP, and how often it is called. */
export interface CallTarget {
  readonly host: string;
  readonly port: number;
  readonly intervalMs?: number;
}

/** The same inside a pod of a sandbox. */
export function callFromPod(
  commands: SandboxCommands,
  pod: { readonly namespace: string; readonly name: string },
  { host, port, intervalMs }: CallTarget,
): CallLoop {
  const program = [process.execPath, '--disable-warning=ExperimentalWarning', CALL_PROGRAM];
  const command = [...program, ...callArguments(host, port, intervalMs)];
  return new CallLoop(commands.start(['exec', pod.name, '-n', pod.namespace, '--', ...command]));
}

export class CallLoop {
  /** In the order in which they ended. */
  readonly lines: CallLine[] = [];
  readonly #child: ChildProcess;

  /** @param child the program, with pipes to its input and output */
  constructor(child: ChildProcess) {
    this.#child = child;
    createInterface(child.stdout!).on('line', (line) => this.lines.push(JSON.parse(line)));
  }

  /** Waits for a call that began at this time (milliseconds since 1970) or later, and succeeded. */
  async succeeded(sinceMs: number): Promise<CallLine> {
    return until('a call succeeds', async () =>
      this.lines.find((one) => one.startMs >= sinceMs && one.error === undefined),
    );
  }

  /** Those that failed. */
  failures(): readonly CallLine[] {
    return this.lines.filter((one) => one.error !== undefined);
  }

  stop(): void {
    this.#child.stdin!.end();
  }
}
