/** Inputs on disk: those of the repository, which every run of the unit tests replays, and those that a run has found. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FuzzTarget } from './fuzz-target.ts';

/** Inputs that were findings once, a folder for each target. */
const REGRESSIONS = join(import.meta.dirname, 'regressions');
/** Not in the repository. */
const BUILD = join(import.meta.dirname, '..', '..', 'build', 'fuzz');

/** What a target must always stand: its seeds, and what it did not stand once. */
export function committedInputs(target: FuzzTarget): readonly Uint8Array[] {
  return [...target.seeds(), ...readFolder(join(REGRESSIONS, target.name))];
}

/** What earlier runs on this machine found worth keeping. */
export function foundInputs(target: FuzzTarget): readonly Uint8Array[] {
  return readFolder(join(BUILD, 'corpus', target.name));
}

export function saveFound(name: string, inputs: readonly Uint8Array[]): void {
  for (const input of inputs) write(join(BUILD, 'corpus', name), input);
}

/** Returns the path of the file. */
export function saveFinding(name: string, input: Uint8Array): string {
  return write(join(BUILD, 'findings', name), input);
}

function write(folder: string, input: Uint8Array): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(path, input);
  return path;
}

function readFolder(folder: string): readonly Uint8Array[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => new Uint8Array(readFileSync(join(folder, name))));
}
