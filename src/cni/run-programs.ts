/** Runs the system's network programs, if need be inside another network namespace, several in one go. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { cniErrors } from './errors.ts';

/** iptables waits up to 5 s for its lock (see -w), and there are up to four of them in one go. */
const TIMEOUT_MS = 25_000;
/** Output kept per stream: a namespace with more rules than that is not one that this agent made. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Linux: MAX_ARG_STRLEN is 128 KiB. */
const MAX_SCRIPT_LENGTH = 120_000;
/** Where the programs live; a service's PATH often lacks the sbin directories. */
const SBIN_PATH = '/usr/local/sbin:/usr/sbin:/sbin';

export interface Program {
  readonly argv: readonly string[];
  /** Given to standard input. */
  readonly input?: string;
}

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs one program to its end. It is in the namespace from its first instruction on: a child begins in the
 * namespace of the thread that forks it, and fork happens within the synchronous spawn.
 * @throws AMBIT_CNI_PROGRAM_FAILED when it cannot be started, does not end in time or prints without end
 */
export async function runProgram(program: Program, namespace?: NetworkNamespace): Promise<ProgramResult> {
  const start = () => startProgram(program);
  const child = namespace === undefined ? start() : namespace.run(start);
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) => {
      kill(child);
      reject(cniErrors.AMBIT_CNI_PROGRAM_FAILED(`${program.argv[0]}: ${why}`, cause));
    };
    const timer = setTimeout(() => fail(`not finished after ${TIMEOUT_MS} ms`), TIMEOUT_MS);
    const overflow = () => fail(`more than ${MAX_OUTPUT_BYTES} bytes of output`);
    const stdout = collect(child.stdout, overflow);
    const stderr = collect(child.stderr, overflow);
    child.on('error', (thrown) => {
      clearTimeout(timer);
      fail(thrown.message, thrown);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === null) fail(`ended by ${signal}`);
      else resolve({ status: code, stdout: stdout(), stderr: stderr() });
    });
    feed(child.stdin, program.input);
  });
}

/**
 * Runs programs one after the other, whatever the outcome of each, in one shell: starting a process from this one
 * costs several milliseconds, starting it from a shell a fraction of one.
 */
export async function runPrograms(
  programs: readonly Program[],
  namespace?: NetworkNamespace,
): Promise<ProgramResult[]> {
  // Output may hold text that a pod chose, such as a rule's comment, so the mark must not be guessable.
  const mark = randomUUID();
  const script = programs.map((program) => scriptOf(program, mark)).join('');
  if (script.length > MAX_SCRIPT_LENGTH) {
    throw cniErrors.AMBIT_CNI_PROGRAM_FAILED(`${programs[0]?.argv[0]}: ${script.length} characters of input`);
  }
  const { stdout, stderr } = await runProgram({ argv: ['/bin/sh', '-c', script] }, namespace);
  const outputs = stdout.split(`\n${mark}`);
  const errors = stderr.split(`\n${mark}`);
  return programs.map((_, i) => ({
    status: Number(/^ (\d+)/.exec(outputs[i + 1] ?? '')?.[1] ?? 255),
    stdout: withoutStatus(outputs[i] ?? '', i),
    stderr: (errors[i] ?? '').trim(),
  }));
}

function scriptOf(program: Program, mark: string): string {
  const command = program.argv.map(quote).join(' ');
  const input = program.input;
  const line = input === undefined ? `${command} </dev/null` : `${command} <<'${mark}'\n${input}${mark}`;
  return `${line}\ns=$?; printf '\\n${mark} %d\\n' $s; printf '\\n${mark}' >&2\n`;
}

/** What follows a mark on standard output begins with ` <status>\n` of the program before. */
function withoutStatus(text: string, index: number): string {
  return index === 0 ? text : text.slice(text.indexOf('\n') + 1);
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function startProgram(program: Program): ChildProcess {
  const [file, ...args] = program.argv;
  return spawn(file!, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A group of its own, so that a shell is killed with what it has started.
    detached: true,
    env: { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? '/usr/bin:/bin'}:${SBIN_PATH}` },
  });
}

function kill(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended by itself just now.
  }
}

function collect(stream: NodeJS.ReadableStream | null, overflow: () => void): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream?.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > MAX_OUTPUT_BYTES) overflow();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString();
}

/** A program that fails at once closes its input: its exit status says more than EPIPE. */
function feed(stdin: Writable | null, input: string | undefined): void {
  stdin?.on('error', () => {});
  stdin?.end(input);
}
