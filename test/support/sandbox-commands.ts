/** Runs `ambit sandbox` commands in tests, as root or as an ordinary user, with a temporary directory of its own. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
/** `nobody` on every distribution that matters. */
const ORDINARY_USER = 65534;

export interface CommandResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

/** The users that a test can be run as on this machine. */
export const USERS: readonly ('root' | 'ordinary user')[] =
  process.getuid?.() === 0 ? ['root', 'ordinary user'] : ['ordinary user'];

/** No group of tests takes longer, however busy the machine; a command that hangs is noticed in the end. */
export const DEADLINE_MS = 300_000;

export class SandboxCommands {
  /** Of this fixture alone: the state directories are in it. */
  readonly folder: string;
  readonly name: string;
  readonly #become: readonly string[];

  constructor(user: (typeof USERS)[number], name = 'test') {
    this.folder = mkdtempSync(join(tmpdir(), 'ambit-sandbox-'));
    this.name = name;
    const other = user === 'ordinary user' && process.getuid?.() === 0;
    this.#become = other
      ? ['setpriv', `--reuid=${ORDINARY_USER}`, `--regid=${ORDINARY_USER}`, '--clear-groups']
      : [];
    if (other) chownSync(this.folder, ORDINARY_USER, ORDINARY_USER);
  }

  /** Ends the sandbox, whatever became of it, and removes the folder. */
  async dispose(): Promise<void> {
    await this.run(['down']);
    rmSync(this.folder, { recursive: true, force: true });
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const cut = args.indexOf('--');
    const own = cut < 0 ? args : args.slice(0, cut);
    const rest = cut < 0 ? [] : args.slice(cut);
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', MAIN];
    const [program, ...argv] = [...this.#become, ...node, 'sandbox', ...own, '--name', this.name, ...rest];
    const { NODE_TEST_CONTEXT: _, XDG_RUNTIME_DIR: __, ...inherited } = process.env;
    return spawn(program!, argv, {
      cwd: '/',
      env: {
        ...inherited,
        HOME: this.folder,
        TMPDIR: this.folder,
        // Most of the time of a short command is spent on reading its source.
        NODE_COMPILE_CACHE: join(this.folder, 'compile-cache'),
        ...env,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  run(args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    return new Promise((resolve, reject) => {
      const child = this.start(args, options.env);
      const stdout: Buffer[] = [];
      let stderr = '';
      child.stdout!.on('data', (chunk: Buffer) => stdout.push(chunk));
      child.stderr!.setEncoding('utf8').on('data', (text: string) => {
        stderr += text;
      });
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? -1, stdout: Buffer.concat(stdout), stderr }));
      child.stdin!.on('error', () => {});
      child.stdin!.end(options.input ?? '');
    });
  }

  /** What the command prints; it must succeed. */
  async must(...args: readonly string[]): Promise<string> {
    return this.mustWith({}, ...args);
  }

  async mustWith(options: RunOptions, ...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options);
    assert.equal(code, 0, `ambit sandbox ${args.join(' ')}\n${stderr}${stdout}`);
    return stdout.toString('utf8');
  }

  async json<T>(...args: readonly string[]): Promise<T> {
    return JSON.parse(await this.must(...args, '-o', 'json')) as T;
  }
}

/** Asks until the answer is neither undefined nor false; fails after the deadline. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  deadlineMs = 20_000,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    assert.ok(performance.now() < end, `not within ${deadlineMs} ms: ${what}`);
    await delay(50);
  }
}
