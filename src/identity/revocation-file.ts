/** The file of revocation lists that an operator mounts, read again whenever it is replaced. */

import { readFileSync, statSync } from 'node:fs';
import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { Clock } from './clock.ts';
import { identityErrors } from './errors.ts';
import { RevocationList } from './revocation-list.ts';
import { WatchedFiles } from './watched-files.ts';

const log = logger('crl');

/** Bytes of the file at most: about 400,000 revoked certificates, far above what a mounted ConfigMap can hold. */
const MAX_CRL_FILE_BYTES = 16 * 1024 * 1024;

export type RevocationListener = (list: RevocationList) => void;

/** Holds the last content that could be read; a missing file revokes nothing, as the ConfigMap is optional. */
export class RevocationFile {
  readonly #path: string;
  readonly #files: WatchedFiles;
  readonly #listeners = new Set<RevocationListener>();
  #current: RevocationList;

  /** Throws AMBIT_CRL_MALFORMED or AMBIT_CRL_UNREADABLE: at the start there is no older list to fall back to. */
  constructor(path: string, clock: Clock) {
    this.#path = path;
    this.#files = new WatchedFiles([path], clock, () => this.#reload());
    this.#current = readLists(path);
    this.#files.start();
  }

  get current(): RevocationList {
    return this.#current;
  }

  /** Tells of every new content, so that live connections can be checked again; returns how to stop. */
  onChange(listener: RevocationListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#files.close();
  }

  #reload(): void {
    try {
      this.#current = readLists(this.#path);
    } catch (thrown) {
      log.error('the revocation lists could not be read again; those read before stay in force', {
        path: this.#path,
        error: messageOf(thrown),
      });
      return;
    }
    log.info('revocation lists read', { path: this.#path, revoked: this.#current.size });
    for (const listener of this.#listeners) listener(this.#current);
  }
}

function readLists(path: string): RevocationList {
  try {
    const bytes = statSync(path, { throwIfNoEntry: false })?.size;
    if (bytes === undefined) return RevocationList.empty;
    if (bytes > MAX_CRL_FILE_BYTES) {
      throw identityErrors.AMBIT_CRL_UNREADABLE(
        `${path} has ${bytes} bytes, more than ${MAX_CRL_FILE_BYTES}`,
      );
    }
    return RevocationList.parse(readFileSync(path));
  } catch (thrown) {
    if (thrown instanceof AmbitError) throw thrown;
    throw identityErrors.AMBIT_CRL_UNREADABLE(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
}
