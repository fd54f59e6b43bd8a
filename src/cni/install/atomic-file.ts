/** Files that appear whole or not at all, also after a power cut. */

import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Not read by any runtime: it has none of the extensions of a CNI configuration. */
const TEMPORARY_SUFFIX = '.ambit-tmp';

/** Writes under a temporary name in the same folder and renames; the file has exactly this mode. */
export function writeFileAtomically(path: string, content: string | Buffer, mode: number): void {
  const temporary = join(dirname(path), `.${basename(path)}${TEMPORARY_SUFFIX}`);
  try {
    const fd = openSync(temporary, 'w', mode);
    try {
      // What the umask took away.
      fchmodSync(fd, mode);
      writeFileSync(fd, content);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw thrown;
  }
}
