/** Runs the launcher as a person would, and keeps what it prints. */

import { execFile } from 'node:child_process';
import { join } from 'node:path';

export const LAUNCHER = join(import.meta.dirname, '../../bin/ambit');
/** A command that takes longer hangs; an installation waits for a whole cluster. */
const DEADLINE_MS = 300_000;

export interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Setting {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The sandbox that a developer may have selected must not answer for the proxy of a test. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const { AMBIT_SANDBOX: _, CDPATH: __, ...rest } = process.env;
  return { ...rest, ...extra };
}

export function run(program: string, args: readonly string[], setting: Setting = {}): Promise<Outcome> {
  const options = { cwd: setting.cwd, env: environment(setting.env), timeout: DEADLINE_MS };
  return new Promise((resolve) => {
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

/** `ambit` with these arguments. */
export function ambit(...args: readonly string[]): Promise<Outcome> {
  return run(LAUNCHER, args);
}
