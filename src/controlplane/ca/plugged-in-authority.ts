/** A CA key made elsewhere and mounted as files, in the layout of Istio's `cacerts` Secret or of cert-manager. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import type { Clock } from '../../identity/clock.ts';
import { WatchedFiles } from '../../identity/watched-files.ts';
import { logger } from '../../telemetry/log.ts';
import { caErrors } from './errors.ts';
import {
  hasPluggedInKey,
  type NamedTexts,
  PLUGGED_IN_NAMES,
  readPluggedInMaterial,
} from './plugged-in-material.ts';
import type { SigningMaterial, SigningSource } from './signing-material.ts';

const log = logger('ca');

/** Signs with files and follows them when they are replaced; files that do not fit together change nothing. */
export class PluggedInAuthority implements SigningSource {
  readonly #directory: string;
  readonly #files: WatchedFiles;
  readonly #listeners = new Set<(material: SigningMaterial) => void>();
  #material: SigningMaterial;

  /** Throws AMBIT_CA_FILES_INVALID. */
  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    const paths = PLUGGED_IN_NAMES.map((name) => join(directory, name));
    this.#files = new WatchedFiles(paths, clock, () => this.#reload());
    this.#material = readPluggedInMaterial(textsOf(directory));
    this.#files.start();
  }

  /** Whether a directory holds a CA key in a known layout. */
  static isPresent(directory: string): boolean {
    return hasPluggedInKey(textsOf(directory));
  }

  get material(): SigningMaterial {
    return this.#material;
  }

  /** Who owns the files decides when an old root goes; there is nothing to plan here. */
  async noteIssued(): Promise<void> {}

  onChange(listener: (material: SigningMaterial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#files.close();
  }

  #reload(): void {
    try {
      this.#material = readPluggedInMaterial(textsOf(this.#directory));
    } catch (thrown) {
      log.error('the replaced CA files are not usable; signing goes on with those before', {
        directory: this.#directory,
        error: messageOf(thrown),
      });
      return;
    }
    log.info('CA files read', {
      directory: this.#directory,
      expires: new Date(this.#material.expiresMs).toISOString(),
    });
    for (const listener of this.#listeners) listener(this.#material);
  }
}

function textsOf(directory: string): NamedTexts {
  return {
    place: directory,
    has: (name) => existsSync(join(directory, name)),
    read: (name) => read(join(directory, name)),
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw caErrors.AMBIT_CA_FILES_INVALID(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
}
