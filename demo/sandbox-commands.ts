/** The demo's hands: `ambit` commands as a person would type them. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

const ROOT = join(import.meta.dirname, '..');
/** The program of this checkout. */
export const AMBIT = join(ROOT, 'bin', 'ambit');
const POLL_MS = 200;

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One sandbox by name. */
export class SandboxCommands {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** Runs `ambit sandbox <args> --name <name>`; fails the demo when the command fails. */
  async run(...args: readonly string[]): Promise<string> {
    const result = await this.attempt(...args);
    if (result.status === 0) return result.stdout;
    throw new Error(`ambit sandbox ${args.join(' ')} failed:\n${result.stderr}${result.stdout}`);
  }

  async attempt(...args: readonly string[]): Promise<CommandResult> {
    const child = this.start(...args);
    const [stdout, stderr, status] = await Promise.all([
      text(child.stdout!),
      text(child.stderr!),
      exitOf(child),
    ]);
    return { status, stdout, stderr };
  }

  /** The same as a process that goes on. */
  start(...args: readonly string[]): ChildProcess {
    return spawn(AMBIT, this.#argv(args), { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** With this terminal as its own, for commands that show their progress. */
  async show(...args: readonly string[]): Promise<void> {
    const child = spawn(AMBIT, this.#argv(args), { cwd: ROOT, stdio: 'inherit' });
    const status = await exitOf(child);
    if (status !== 0) throw new Error(`ambit sandbox ${args.join(' ')} failed`);
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(...args, '-o', 'json')) as T;
  }

  /** Any other `ambit` command about this sandbox. */
  async ambit(...args: readonly string[]): Promise<string> {
    const child = spawn(AMBIT, [...args, '--sandbox', this.name], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [stdout, status] = await Promise.all([text(child.stdout!), exitOf(child)]);
    if (status !== 0) throw new Error(`ambit ${args.join(' ')} failed`);
    return stdout;
  }

  /** What comes behind `--` is for the program in the pod and must stay last. */
  #argv(args: readonly string[]): string[] {
    const cut = args.indexOf('--');
    const own = cut < 0 ? args : args.slice(0, cut);
    const rest = cut < 0 ? [] : args.slice(cut);
    return ['sandbox', ...own, '--name', this.name, ...rest];
  }
}

/** Asks until the answer is there; the demo fails, and says what it waited for, when it never comes. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs / 1000} s in vain for this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode);
    child.once('close', (code) => resolve(code ?? 1));
  });
}
