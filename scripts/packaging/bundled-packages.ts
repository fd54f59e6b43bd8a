/** Which npm packages ended up in the bundle, and the licences that have to go with it. */

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

export interface BundledPackage {
  readonly name: string;
  readonly version: string;
  readonly licence: string;
  /** Below the root of the repository. */
  readonly folder: string;
}

/** `node_modules/a/node_modules/@b/c`: the innermost one is the package that a file belongs to. */
const PACKAGE_FOLDER = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/;

/** Sorted by name; packages from which not a line is in the outputs are left out. */
export function bundledPackages(root: string, metafile: Metafile): BundledPackage[] {
  const inputs = Object.values(metafile.outputs).flatMap((output) =>
    Object.entries(output.inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([path]) => path),
  );
  const folders = new Set(inputs.flatMap((path) => PACKAGE_FOLDER.exec(path)?.[0] ?? []));
  return [...folders]
    .map((folder) => readPackage(root, folder))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function readPackage(root: string, folder: string): BundledPackage {
  const text = readFileSync(join(root, folder, 'package.json'), 'utf8');
  const {
    name,
    version,
    license = 'see its files',
  }: { name: string; version: string; license?: string } = JSON.parse(text);
  return { name, version, licence: license, folder };
}

/** The texts of all licences, one after the other. */
export function licenceTexts(root: string, packages: readonly BundledPackage[]): string {
  const parts = packages.map(({ name, version, licence, folder }) => {
    const files = globSync('{LICEN[CS]E,licen[cs]e,NOTICE,COPYING}*', { cwd: join(root, folder) }).sort();
    const texts = files.map((file) => readFileSync(join(root, folder, file), 'utf8').trim());
    return [`${name} ${version} (${licence})`, ...texts].join('\n\n');
  });
  return `${parts.join(`\n\n${'-'.repeat(80)}\n\n`)}\n`;
}
