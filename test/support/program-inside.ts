/** Programs that run inside a pod or node, with pipes to their input and output. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

export type ProgramInside = ChildProcessByStdio<Writable, Readable, null>;

/** Put before a command, it runs where a pod is. */
export type Enter = readonly string[];

/** Before a TypeScript file and its arguments. */
const NODE = [process.execPath, '--disable-warning=ExperimentalWarning'];

export function startInside(
  enter: Enter,
  command: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): ProgramInside {
  const [program, ...args] = [...enter, ...command];
  const child = spawn(program!, args, { env, cwd: '/', stdio: ['pipe', 'pipe', 'inherit'] });
  // A program that has ended takes no more orders; its exit tells.
  child.stdin.on('error', () => {});
  return child;
}

/** The same for a TypeScript file, by this node. */
export function startFileInside(
  enter: Enter,
  [file, ...args]: readonly [string, ...string[]],
  env?: NodeJS.ProcessEnv,
): ProgramInside {
  return startInside(enter, [...NODE, file, ...args], env);
}
