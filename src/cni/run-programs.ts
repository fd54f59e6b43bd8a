/** Runs the system's network programs, if need be inside another network namespace, several in one go. */

import { randomUUID } from 'node:crypto';
import type { NetworkNamespace } from '../sys/network-namespace.ts';
import { HelperShell } from './helper-shell.ts';

/** Shells that are kept for later; there are as many at work as there are callers. */
const MAX_IDLE_SHELLS = 4;

export interface Program {
  readonly argv: readonly string[];
  /** Given to standard input, in whole lines. */
  readonly input?: string;
}

export interface ProgramResult {
  /** As the shell counts: 127 for a program that is not there, 128 and more for one that was killed. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const idleShells: HelperShell[] = [];

/**
 * Runs programs one after the other, whatever the outcome of each.
 * @param namespace held open by the caller until the end
 * @throws AMBIT_CNI_PROGRAM_FAILED when they do not end in time or print without end
 */
export async function runPrograms(
  programs: readonly Program[],
  namespace?: NetworkNamespace,
): Promise<ProgramResult[]> {
  // Output may hold text that a pod chose, such as a rule's comment, so the mark must not be guessable.
  // It begins with a character that begins no line of ours: dash loses bytes behind a line's end when the line agrees
  // with the first character of the word that ends its here-document, and bytes from 0x81 to 0x88 follow.
  const mark = `=${randomUUID()}`;
  const script = programs.map((program) => scriptOf(program, mark)).join('');
  const shell = takeShell();
  try {
    const { stdout, stderr } = await shell.run(inNamespace(script, mark, namespace), mark);
    const outputs = stdout.split(`\n${mark}`);
    const errors = stderr.split(`\n${mark}`);
    return programs.map((_, i) => resultOf(outputs, errors, i));
  } finally {
    giveBack(shell);
  }
}

/** As {@link runPrograms}, for one. */
export async function runProgram(program: Program, namespace?: NetworkNamespace): Promise<ProgramResult> {
  const [result] = await runPrograms([program], namespace);
  return result!;
}

function takeShell(): HelperShell {
  return idleShells.pop() ?? new HelperShell();
}

function giveBack(shell: HelperShell): void {
  if (shell.isUsable && idleShells.length < MAX_IDLE_SHELLS) idleShells.push(shell);
  else shell.end();
}

/** The namespace is entered by its descriptor in this process: a path could lead to another one by then. */
function inNamespace(script: string, mark: string, namespace: NetworkNamespace | undefined): string {
  const enter =
    namespace === undefined ? [] : ['nsenter', `--net=/proc/${process.pid}/fd/${namespace.fd}`, '--'];
  return `${[...enter, '/bin/sh'].map(quote).join(' ')} <<'${mark} script'\n${script}${mark} script`;
}

function scriptOf(program: Program, mark: string): string {
  const command = program.argv.map(quote).join(' ');
  const { input } = program;
  const line = input === undefined ? `${command} </dev/null` : `${command} <<'${mark}'\n${input}${mark}`;
  return `${line}\ns=$?; printf '\\n${mark} %d\\n' $s; printf '\\n${mark}' >&2\n`;
}

/** Each program's output is followed by a mark, its status and a line's end. */
function resultOf(outputs: readonly string[], errors: readonly string[], index: number): ProgramResult {
  const before = outputs[index] ?? '';
  return {
    status: Number(/^ (\d+)/.exec(outputs[index + 1] ?? '')?.[1] ?? 255),
    stdout: index === 0 ? before : before.slice(before.indexOf('\n') + 1),
    stderr: (errors[index] ?? '').trim(),
  };
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
