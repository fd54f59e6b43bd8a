/** Runs a system tool to its end. */

import { spawn } from 'node:child_process';
import { sandboxErrors } from '../errors.ts';

export interface CommandOptions {
  /** Written to its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
  /** Instead of the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  /** The exit code, or 128 + the number of the signal, as shells count. */
  readonly code: number;
  readonly output: string;
  readonly errors: string;
  readonly timedOut: boolean;
}

/** No tool of ours takes longer, unless the machine is stuck. */
const DEFAULT_TIMEOUT_MS = 20_000;
/** What is kept of the output of a tool, in characters. */
const MAX_OUTPUT = 1024 * 1024;

/** Resolves however the command ends; rejects only when it cannot be started. */
export function tryCommand(command: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command[0]!, command.slice(1), { env: options.env ?? process.env });
    let output = '';
    let errors = '';
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length < MAX_OUTPUT) output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (errors.length < MAX_OUTPUT) errors += text;
    });
    child.on('error', (thrown) => {
      clearTimeout(timer);
      reject(thrown);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 128, output, errors, timedOut });
    });
    // A tool that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
  });
}

/** @throws AMBIT_SANDBOX_COMMAND_FAILED when the exit code is not 0 */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const result = await tryCommand(command, options);
  if (result.code === 0) return result.output;
  const reason = result.timedOut ? 'did not end in time' : result.errors.trim() || `exit code ${result.code}`;
  throw sandboxErrors.AMBIT_SANDBOX_COMMAND_FAILED(`${command.join(' ')}: ${reason}`);
}
