/** Certificates for the loopback servers of these tests, made by openssl. */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerCredentials } from '../../../src/xds/grpc/grpc-server.ts';

export interface TestAuthority {
  readonly rootPem: string;
  /** A certificate with the names, each `DNS:…`, `IP:…` or `URI:…`. */
  issue(names: readonly string[]): ServerCredentials;
}

function openssl(folder: string, args: readonly string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
}

function inFolder<T>(action: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'ambit-xds-test-'));
  try {
    return action(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const KEY_ARGS = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export function makeAuthority(name = 'test root'): TestAuthority {
  const { rootPem, rootKey } = inFolder((folder) => {
    const subject = ['-subj', `/O=${name}`, '-days', '2', '-addext', 'basicConstraints=critical,CA:TRUE'];
    openssl(folder, ['req', '-x509', ...KEY_ARGS, '-keyout', 'key.pem', '-out', 'root.pem', ...subject]);
    return {
      rootPem: readFileSync(join(folder, 'root.pem'), 'utf8'),
      rootKey: readFileSync(join(folder, 'key.pem'), 'utf8'),
    };
  });
  return { rootPem, issue: (names) => inFolder((folder) => issue(folder, rootPem, rootKey, names)) };
}

function issue(
  folder: string,
  rootPem: string,
  rootKey: string,
  names: readonly string[],
): ServerCredentials {
  writeFileSync(join(folder, 'root.pem'), rootPem);
  writeFileSync(join(folder, 'root.key'), rootKey);
  writeFileSync(join(folder, 'ext'), `subjectAltName=${names.join(',')}\n`);
  openssl(folder, ['req', ...KEY_ARGS, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', '/O=test']);
  const sign = ['-CA', 'root.pem', '-CAkey', 'root.key', '-CAcreateserial', '-days', '1', '-extfile', 'ext'];
  openssl(folder, ['x509', '-req', '-in', 'leaf.csr', '-out', 'leaf.pem', ...sign]);
  return {
    certificateChainPem: readFileSync(join(folder, 'leaf.pem'), 'utf8'),
    privateKeyPem: readFileSync(join(folder, 'leaf.key'), 'utf8'),
  };
}
