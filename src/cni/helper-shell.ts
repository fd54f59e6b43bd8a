/**
 * A shell that waits for scripts. Forking it costs a fraction of a millisecond; forking this process copies the page
 * tables of a runtime, every time.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { cniErrors } from './errors.ts';

/** iptables waits up to 5 s for its lock (see -w), and there are several of them in a script. */
const TIMEOUT_MS = 25_000;
/** Output kept per stream: a namespace with more rules than that is not one that this agent made. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Where the programs live; a service's PATH often lacks the sbin directories. */
const SBIN_PATH = '/usr/local/sbin:/usr/sbin:/sbin';

export interface ShellOutput {
  readonly stdout: string;
  readonly stderr: string;
}

/** One stream of the script that is running. */
interface Collected {
  chunks: Buffer[];
  length: number;
  /** Its end was seen. */
  text: string | undefined;
}

interface Job {
  readonly endMark: string;
  readonly stdout: Collected;
  readonly stderr: Collected;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (output: ShellOutput) => void;
  readonly reject: (error: Error) => void;
}

export class HelperShell {
  readonly #child: ChildProcess;
  #job: Job | undefined;
  #isBroken = false;

  constructor() {
    this.#child = spawn('/bin/sh', [], {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group of its own, so that it is killed with what it has started.
      detached: true,
      env: { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:${SBIN_PATH}` },
    });
    this.#child.on('error', (thrown) => this.#break(thrown.message));
    this.#child.on('close', () => this.#break('the shell has ended'));
    this.#child.stdin?.on('error', () => {});
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#collect('stdout', chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#collect('stderr', chunk));
    this.#hold(false);
  }

  /** Whether it may get another script. */
  get isUsable(): boolean {
    return !this.#isBroken;
  }

  /**
   * Runs a script to its end; one at a time.
   * @param mark does not occur in the output by chance or on purpose
   * @throws AMBIT_CNI_PROGRAM_FAILED when it does not end in time, prints without end, or ends the shell
   */
  run(script: string, mark: string): Promise<ShellOutput> {
    const endMark = `\n${mark} end\n`;
    this.#hold(true);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#kill(`not finished after ${TIMEOUT_MS} ms`), TIMEOUT_MS);
      const collected = (): Collected => ({ chunks: [], length: 0, text: undefined });
      this.#job = { endMark, stdout: collected(), stderr: collected(), timer, resolve, reject };
      this.#child.stdin?.write(`${script}\nprintf '\\n${mark} end\\n'; printf '\\n${mark} end\\n' >&2\n`);
    });
  }

  /** Lets it end by itself. */
  end(): void {
    this.#child.stdin?.end();
  }

  #collect(name: 'stdout' | 'stderr', chunk: Buffer): void {
    const job = this.#job;
    if (job === undefined) return;
    const stream = job[name];
    stream.chunks.push(chunk);
    stream.length += chunk.length;
    if (stream.length > MAX_OUTPUT_BYTES) return this.#kill(`more than ${MAX_OUTPUT_BYTES} bytes of output`);
    // The mark may come in two pieces; earlier ones are looked at again only when the last could complete it.
    const text = endsLine(chunk) ? Buffer.concat(stream.chunks).toString() : '';
    if (!text.endsWith(job.endMark)) return;
    stream.text = text.slice(0, -job.endMark.length);
    if (job.stdout.text === undefined || job.stderr.text === undefined) return;
    this.#finish();
    job.resolve({ stdout: job.stdout.text, stderr: job.stderr.text });
  }

  #finish(): void {
    clearTimeout(this.#job?.timer);
    this.#job = undefined;
    this.#hold(false);
  }

  #kill(why: string): void {
    try {
      if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It ended by itself just now.
    }
    this.#break(why);
  }

  #break(why: string): void {
    this.#isBroken = true;
    const job = this.#job;
    this.#finish();
    job?.reject(cniErrors.AMBIT_CNI_PROGRAM_FAILED(`shell: ${why}`));
  }

  /** An idle shell does not keep this process from ending; its input then ends, and so does it. */
  #hold(isHeld: boolean): void {
    const { stdin, stdout, stderr } = this.#child;
    for (const handle of [
      this.#child,
      stdin as Socket | null,
      stdout as Socket | null,
      stderr as Socket | null,
    ]) {
      if (isHeld) handle?.ref();
      else handle?.unref();
    }
  }
}

function endsLine(chunk: Buffer): boolean {
  return chunk.at(-1) === 0x0a;
}
