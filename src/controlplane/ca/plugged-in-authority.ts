/** A CA key made elsewhere and mounted as files, in the layout of Istio's `cacerts` Secret or of cert-manager. */

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../../base/errors.ts';
import type { Clock } from '../../identity/clock.ts';
import { WatchedFiles } from '../../identity/watched-files.ts';
import { logger } from '../../telemetry/log.ts';
import { caErrors } from './errors.ts';
import { makeSigningMaterial, type SigningMaterial, type SigningSource } from './signing-material.ts';

const log = logger('ca');

interface Layout {
  readonly key: string;
  readonly certificate: string;
  /** Certificates above the signer; the roots may be among them. */
  readonly chain: string;
  readonly roots: string;
}

const LAYOUTS: readonly Layout[] = [
  { key: 'ca-key.pem', certificate: 'ca-cert.pem', chain: 'cert-chain.pem', roots: 'root-cert.pem' },
  { key: 'tls.key', certificate: 'tls.crt', chain: 'tls.crt', roots: 'ca.crt' },
];

/** Signs with files and follows them when they are replaced; files that do not fit together change nothing. */
export class PluggedInAuthority implements SigningSource {
  readonly #directory: string;
  readonly #files: WatchedFiles;
  readonly #listeners = new Set<(material: SigningMaterial) => void>();
  #material: SigningMaterial;

  /** Throws AMBIT_CA_FILES_INVALID. */
  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    const paths = LAYOUTS.flatMap((layout) => Object.values(layout)).map((name) => join(directory, name));
    this.#files = new WatchedFiles(paths, clock, () => this.#reload());
    this.#material = readDirectory(directory);
    this.#files.start();
  }

  /** Whether a directory holds a CA key in a known layout. */
  static isPresent(directory: string): boolean {
    return layoutOf(directory) !== undefined;
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
      this.#material = readDirectory(this.#directory);
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

function layoutOf(directory: string): Layout | undefined {
  return LAYOUTS.find((layout) => existsSync(join(directory, layout.key)));
}

function readDirectory(directory: string): SigningMaterial {
  const layout = layoutOf(directory);
  if (layout === undefined) throw caErrors.AMBIT_CA_FILES_INVALID(`${directory} holds no CA key`);
  const signer = { keyPem: read(directory, layout.key), certificatePem: read(directory, layout.certificate) };
  return makeSigningMaterial(signer, readOptional(directory, layout.chain), read(directory, layout.roots));
}

function read(directory: string, name: string): string {
  try {
    return readFileSync(join(directory, name), 'utf8');
  } catch (thrown) {
    throw caErrors.AMBIT_CA_FILES_INVALID(
      `${join(directory, name)} cannot be read: ${messageOf(thrown)}`,
      thrown,
    );
  }
}

/** A chain file is of no use where the signer is a root or directly below one. */
function readOptional(directory: string, name: string): string {
  return existsSync(join(directory, name)) ? read(directory, name) : '';
}
