/** Runs a program of the testbed to its end, or leaves it running, for tests on a cluster. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable } from 'node:stream';

export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

const TESTBED = join(import.meta.dirname, '..', '..', 'cluster', 'testbed');
/** On a machine with everybody's clusters on it. */
const DEFAULT_TIMEOUT_MS = 120_000;

/** The path of a script of the testbed. */
export function testbedScript(name: string): string {
  return join(TESTBED, name);
}

/** Resolves however the command ends; rejects when it cannot be started or takes too long. */
export function tryCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { input = '', timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] });
    const output: string[] = [];
    const errors: string[] = [];
    child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${command.join(' ')}: not done within ${timeoutMs} ms: ${errors.join('')}`));
    }, timeoutMs);
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128, output: output.join(''), errors: errors.join('') });
    });
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

/** What the command prints. @throws Error with what it says when it ends with another code than 0 */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, output, errors } = await tryCommand(command, options);
  if (code !== 0) throw new Error(`${command.join(' ')}: exit code ${code}: ${errors}${output}`);
  return output;
}

export type RunningCommand = ChildProcessByStdio<null, Readable, Readable>;

/** Leaves a command running. It may enter namespaces, for which it becomes two processes: they are one group. */
export function startCommand(command: readonly string[]): RunningCommand {
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(command[0]!, command.slice(1), { cwd: '/', detached: true, stdio });
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  return child;
}

/** Tells the whole group to end, and resolves when all it had to say has been read. */
export function endCommand(child: RunningCommand, signal: 'SIGINT' | 'SIGTERM'): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, signal);
    else resolve();
  });
}
