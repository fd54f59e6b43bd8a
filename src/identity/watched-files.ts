/** Notices when files are replaced, also by the symbolic-link swap with which Kubernetes updates mounted volumes. */

import { statSync } from 'node:fs';
import type { Clock, Timer } from './clock.ts';

/**
 * How often the files are looked at. Polling sees every kind of replacement on every file system; a mounted ConfigMap
 * or Secret takes up to a minute to arrive anyway.
 */
export const WATCH_INTERVAL_MS = 2_000;

/**
 * Calls back when a file appeared, vanished or was replaced since this object was made. Make it, read the files, then
 * start it: what is replaced in between is noticed too.
 */
export class WatchedFiles {
  readonly #paths: readonly string[];
  readonly #clock: Clock;
  readonly #onChange: () => void;
  #seen: string;
  #timer: Timer | undefined;

  constructor(paths: readonly string[], clock: Clock, onChange: () => void) {
    this.#paths = paths;
    this.#clock = clock;
    this.#onChange = onChange;
    this.#seen = this.#look();
  }

  start(): void {
    this.#timer = this.#clock.setTimer(WATCH_INTERVAL_MS, () => this.#check());
  }

  close(): void {
    this.#timer?.cancel();
  }

  #check(): void {
    this.start();
    const seen = this.#look();
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#onChange();
  }

  #look(): string {
    return this.#paths.map(versionOf).join('\n');
  }
}

/** Something that differs after every replacement; a file that cannot be looked at is as good as missing. */
function versionOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs}`;
  } catch {
    return 'missing';
  }
}
