/** Bundles the program into dist/: one file for each entry point, and chunks for what they share or load on demand. */

import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { type BundledPackage, bundledPackages, licenceTexts } from './bundled-packages.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
const SOURCES = join(ROOT, 'src');

/** `new URL('./worker.ts', import.meta.url)`: how a source names another file that is started or read. */
const FILE_REFERENCE = /new URL\(\s*'(\.{1,2}\/[^']*)',\s*import\.meta\.url,?\s*\)/g;

/** A package that is loaded on demand. */
const PACKAGE_ON_DEMAND = /\bawait import\('((?!node:|\.)[^']+)'\)/g;

/** CommonJS packages ask for Node's own modules by `require`, which an ES module does not have. */
const REQUIRE_BANNER =
  "import { createRequire as ambitCreateRequire } from 'node:module';\nconst require = ambitCreateRequire(import.meta.url);";

/**
 * Writes the bundle; whatever was in the folder before is gone.
 * @returns the npm packages in it
 */
export async function buildBundle(folder: string): Promise<BundledPackage[]> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const { metafile } = await build({
    entryPoints: Object.fromEntries(entryPoints().map((path) => [entryName(path), path])),
    outdir: folder,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node26',
    chunkNames: '[name]-[hash]',
    banner: { js: REQUIRE_BANNER },
    legalComments: 'none',
    metafile: true,
    absWorkingDir: ROOT,
    logLevel: 'warning',
    plugins: [sourceChanges, versionOnly],
  });
  const packages = bundledPackages(ROOT, metafile);
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'licences-of-packages.txt'), licenceTexts(ROOT, packages));
  return packages;
}

/** The program, and every source that another one starts as a thread or a process. */
export function entryPoints(): string[] {
  const started = globSync('**/*.ts', { cwd: SOURCES }).flatMap((name) => {
    const path = join(SOURCES, name);
    return [...readFileSync(path, 'utf8').matchAll(FILE_REFERENCE)]
      .map((match) => resolve(dirname(path), match[1]!))
      .filter((target) => target.endsWith('.ts'));
  });
  return [...new Set([join(SOURCES, 'main.ts'), ...started])].sort();
}

/** All outputs lie in one folder, so the folders of the source become part of the name. */
function entryName(path: string): string {
  return relative(SOURCES, path).replaceAll('/', '-').replace(/\.ts$/, '');
}

/**
 * Every output lies directly in dist/, wherever its sources were: references follow. And a CommonJS package in a chunk of
 * its own has a default export alone, where Node would give its names as well.
 */
const sourceChanges: Plugin = {
  name: 'source-changes',
  setup({ onLoad }) {
    onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const contents = text
        .replaceAll(FILE_REFERENCE, (_, reference: string) => movedReference(path, reference))
        .replaceAll(PACKAGE_ON_DEMAND, (load) => `${load}.then((loaded) => loaded.default ?? loaded)`);
      return { contents, loader: 'ts' };
    });
  },
};

function movedReference(path: string, reference: string): string {
  const target = resolve(dirname(path), reference);
  const slash = reference.endsWith('/') ? '/' : '';
  const moved = target.endsWith('.ts') ? `./${entryName(target)}.js` : `../${relative(ROOT, target)}${slash}`;
  return `new URL('${moved}', import.meta.url)`;
}

/** Of package.json the program wants its version alone. */
const versionOnly: Plugin = {
  name: 'version-only',
  setup({ onLoad }) {
    onLoad({ filter: /\/package\.json$/ }, ({ path }) => {
      if (path !== join(ROOT, 'package.json')) return undefined;
      const { version }: { version: string } = JSON.parse(readFileSync(path, 'utf8'));
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};
