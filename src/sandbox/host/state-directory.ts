/** Where sandboxes keep their state, and whether the one that owns a state directory is still alive. */

import { lstatSync, mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import { StatePaths } from '../daemon/sandbox-config.ts';
import { sandboxErrors } from '../errors.ts';
import { startTimeOf } from './process-table.ts';

/** The process that holds a sandbox: when it ends, the kernel ends everything in it. */
export interface Owner {
  readonly pid: number;
  /** Tells it from a later process of the same number. */
  readonly startTime: string;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/;
/** A Unix socket's path must fit into 108 bytes; this much of it is ours, at most. */
const LONGEST_SOCKET = '/nodes/node240/plugin.sock'.length;
const MAX_SOCKET_PATH = 107;
/** Another `up` needs less than this between making the directory and writing its name into it. */
const CLAIM_MS = 500;

/**
 * The state directory of this name: where there is one, else where a new one belongs.
 * @throws AMBIT_SANDBOX_NAME_INVALID, AMBIT_SANDBOX_STATE_UNSAFE
 */
export function stateDirectory(name: string): string {
  if (!NAME.test(name)) throw sandboxErrors.AMBIT_SANDBOX_NAME_INVALID(`${name} is not a name for a sandbox`);
  const uid = process.getuid?.() ?? 0;
  const runtime = process.env.XDG_RUNTIME_DIR;
  const temporary = join(tmpdir(), `ambit-${uid}`);
  const bases =
    runtime !== undefined && isDirectory(runtime) ? [join(runtime, 'ambit'), temporary] : [temporary];
  const base = bases.find((one) => isDirectory(join(one, name))) ?? bases[0]!;
  const state = join(base, name);
  if (state.length + LONGEST_SOCKET > MAX_SOCKET_PATH) {
    throw sandboxErrors.AMBIT_SANDBOX_STATE_UNSAFE(`${state} is too long for the paths of Unix sockets`);
  }
  return state;
}

/**
 * Takes the state directory for a new sandbox, removing what a dead one left.
 * @throws AMBIT_SANDBOX_ALREADY_UP, AMBIT_SANDBOX_STATE_UNSAFE
 */
export async function claimState(state: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    makeBase(dirname(state));
    try {
      mkdirSync(state, { mode: 0o700 });
      writeOwner(state, process.pid);
      return;
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) throw unsafe(state, thrown);
    }
    if (readOwner(state) === undefined) await new Promise((resolve) => setTimeout(resolve, CLAIM_MS));
    const owner = readOwner(state);
    if (owner !== undefined && isAlive(owner)) {
      throw sandboxErrors.AMBIT_SANDBOX_ALREADY_UP(
        `the sandbox of ${state} is up already, as process ${owner.pid}`,
      );
    }
    removeState(state);
  }
}

/** Removes the directory, and the one above when it was the last. */
export function removeState(state: string): void {
  rmSync(state, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  try {
    rmdirSync(dirname(state));
  } catch {
    // Other sandboxes have theirs there.
  }
}

export function writeOwner(state: string, pid: number): void {
  const { ownerFile } = new StatePaths(state);
  const draft = `${ownerFile}.draft`;
  writeFileSync(draft, JSON.stringify({ pid, startTime: startTimeOf(pid) ?? '' } satisfies Owner));
  renameSync(draft, ownerFile);
}

export function readOwner(state: string): Owner | undefined {
  try {
    return JSON.parse(readFileSync(new StatePaths(state).ownerFile, 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

export function isAlive(owner: Owner): boolean {
  return startTimeOf(owner.pid) === owner.startTime;
}

/** Resolves to whether the owner has ended within the time. */
export async function untilEnded(owner: Owner, timeoutMs: number): Promise<boolean> {
  const endMs = performance.now() + timeoutMs;
  while (isAlive(owner)) {
    if (performance.now() > endMs) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

/** In a folder where everybody may write, somebody else may have been there first. */
function makeBase(base: string): void {
  try {
    mkdirSync(base, { recursive: true, mode: 0o700 });
  } catch (thrown) {
    throw unsafe(base, thrown);
  }
  const { uid, mode } = lstatSync(base);
  const safe = isDirectory(base) && uid === process.getuid?.() && (mode & 0o022) === 0;
  if (!safe)
    throw sandboxErrors.AMBIT_SANDBOX_STATE_UNSAFE(`${base} is not a directory that only you can write to`);
}

function isDirectory(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

function unsafe(path: string, thrown: unknown) {
  return sandboxErrors.AMBIT_SANDBOX_STATE_UNSAFE(`${path} cannot be used: ${messageOf(thrown)}`, thrown);
}
