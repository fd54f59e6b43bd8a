/** Keeps the state of a self-signed CA in one file of a directory, replaced atomically and readable by its owner only. */

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AmbitError, messageOf } from '../../base/errors.ts';
import type { Clock } from '../../identity/clock.ts';
import { WatchedFiles } from '../../identity/watched-files.ts';
import { type AuthorityState, type AuthorityStore, parseAuthorityState } from './authority-state.ts';
import { caErrors } from './errors.ts';

const FILE_NAME = 'authority.json';
/** The file holds a private key. */
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

export class AuthorityDirectory implements AuthorityStore {
  readonly #directory: string;
  readonly #path: string;
  readonly #clock: Clock;

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#path = join(directory, FILE_NAME);
    this.#clock = clock;
  }

  async load(): Promise<AuthorityState | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw caErrors.AMBIT_CA_STATE_UNREADABLE(`${this.#path} cannot be read: ${messageOf(thrown)}`, thrown);
    }
    const state = parseAuthorityState(text);
    if (state === undefined) {
      throw caErrors.AMBIT_CA_STATE_UNREADABLE(`${this.#path} does not hold the state of a CA`);
    }
    return state;
  }

  /** A hard link fails where the name is taken, which a rename does not. */
  async create(state: AuthorityState): Promise<AuthorityState> {
    await this.#write(state, async (temporary) => {
      try {
        await link(temporary, this.#path);
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
      }
    });
    return (await this.load()) ?? state;
  }

  /** A directory belongs to one process: the last writer wins. */
  async save(state: AuthorityState): Promise<boolean> {
    await this.#write(state, (temporary) => rename(temporary, this.#path));
    return true;
  }

  watch(onChange: () => void): () => void {
    const files = new WatchedFiles([this.#path], this.#clock, onChange);
    files.start();
    return () => files.close();
  }

  /** A crash at any point leaves the old content or the new one, never a part. */
  async #write(state: AuthorityState, publish: (temporary: string) => Promise<void>): Promise<void> {
    const temporary = join(this.#directory, `.${FILE_NAME}.${randomUUID()}`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: DIRECTORY_MODE });
      await writeDurably(temporary, `${JSON.stringify(state, undefined, 2)}\n`);
      await publish(temporary);
      await syncDirectory(this.#directory);
    } catch (thrown) {
      if (thrown instanceof AmbitError) throw thrown;
      throw caErrors.AMBIT_CA_STATE_UNWRITABLE(
        `${this.#path} cannot be written: ${messageOf(thrown)}`,
        thrown,
      );
    } finally {
      // What went wrong before matters more than a file that stays behind.
      await rm(temporary, { force: true }).catch(() => {});
    }
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
