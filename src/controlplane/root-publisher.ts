/** Publishes the root certificates of the mesh as a file, for clients that are to trust this control plane. */

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { CertificateAuthority } from './ca/certificate-authority.ts';
import { controlPlaneErrors } from './errors.ts';

export const ROOT_FILE = 'root-cert.pem';

const log = logger('ca');

/**
 * Writes the file now and whenever the roots change; returns how to stop.
 * @throws AMBIT_CONTROLPLANE_ROOT_UNWRITABLE
 */
export function publishRoots(authority: CertificateAuthority, folder: string): () => void {
  const path = join(folder, ROOT_FILE);
  try {
    replaceFile(path, authority.trustBundle.pem);
  } catch (thrown) {
    const message = `${path} cannot be written: ${messageOf(thrown)}`;
    throw controlPlaneErrors.AMBIT_CONTROLPLANE_ROOT_UNWRITABLE(message, thrown);
  }
  return authority.onChange(({ trustBundle }) => {
    try {
      replaceFile(path, trustBundle.pem);
    } catch (thrown) {
      log.error('the root certificates cannot be published', { path, reason: messageOf(thrown) });
    }
  });
}

/** A reader sees the old file or the new one, never a part. */
function replaceFile(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
