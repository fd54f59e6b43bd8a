/** The roots that the control plane's certificate has to end in: from a file that may be replaced, the system, or given. */

import { readFileSync } from 'node:fs';
import { messageOf } from '../base/errors.ts';
import { systemClock } from '../identity/clock.ts';
import { WatchedFiles } from '../identity/watched-files.ts';
import { xdsErrors } from './errors.ts';
import type { TrustedRoots } from './grpc/session-dialler.ts';

export type RootSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'system' }
  | { readonly kind: 'inline'; readonly pem: string };

/** Throws AMBIT_ROOT_CERTIFICATE_UNREADABLE when the file is not there or holds no certificate. */
export function readRoots(source: RootSource): TrustedRoots {
  if (source.kind === 'system') return source;
  const pem = source.kind === 'inline' ? source.pem : readPem(source.path);
  if (!pem.includes('-----BEGIN CERTIFICATE-----')) {
    const where = source.kind === 'file' ? source.path : 'the root certificate given';
    throw xdsErrors.AMBIT_ROOT_CERTIFICATE_UNREADABLE(`${where} holds no certificate`);
  }
  return { kind: 'pem', pem };
}

/** Calls back when the file has changed; returns how to stop. */
export function watchRoots(source: RootSource, onChange: () => void): () => void {
  if (source.kind !== 'file') return () => {};
  const watch = new WatchedFiles([source.path], systemClock, onChange);
  watch.start();
  return () => watch.close();
}

function readPem(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (thrown) {
    throw xdsErrors.AMBIT_ROOT_CERTIFICATE_UNREADABLE(`${path} cannot be read: ${messageOf(thrown)}`, thrown);
  }
}
