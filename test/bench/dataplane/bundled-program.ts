/** The program as a container image runs it: the bundle, by the Node of this checkout. */

import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBundle } from '../../../scripts/packaging/bundle.ts';

/** Its words, in front of those of a command; disposing of it removes its files. */
export class BundledProgram implements Disposable {
  readonly words: readonly string[];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    this.words = [process.execPath, '--disable-warning=ExperimentalWarning', join(folder, 'dist', 'main.js')];
  }

  static async build(): Promise<BundledProgram> {
    const folder = mkdtempSync(join(tmpdir(), 'ambit-bench-'));
    // Pods run as other users.
    chmodSync(folder, 0o755);
    await buildBundle(join(folder, 'dist'));
    return new BundledProgram(folder);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
