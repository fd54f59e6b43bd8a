/** Builds the container image: dist/, a root file system of Debian packages, Node, archives of the image. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildBundle, ROOT } from './bundle.ts';
import { type Architecture, type DebianPackage, fetchDebianPackages } from './debian-packages.ts';
import { withoutSymbols } from './elf-file.ts';
import { type Image, makeImage, makeLayer, writeImageArchive } from './image-archive.ts';
import { fetchNode } from './node-binary.ts';
import { chooseFiles, folderEntries, SEED_PACKAGES, withFolders, withSkeleton } from './root-file-system.ts';
import { makeSbom } from './sbom.ts';
import type { TarEntry } from './tar-archive.ts';

const BUILD = join(ROOT, 'build');
const DIST = join(ROOT, 'dist');
const HOME = 'opt/ambit';
const NODE_PATH = 'usr/local/bin/node';
const COMMAND = [`/${NODE_PATH}`, '--disable-warning=ExperimentalWarning', `/${HOME}/dist/main.js`];
const ARCHITECTURES: readonly Architecture[] = ['amd64', 'arm64'];
/** Who runs what needs no more: the control plane, and whoever runs the image by hand. */
const USER = '65532:65532';

interface Options {
  readonly name: string;
  readonly architectures: readonly Architecture[];
  readonly output: string;
}

async function buildImageArchives(options: Options): Promise<void> {
  mkdirSync(options.output, { recursive: true });
  const npmPackages = await buildBundle(DIST);
  const images: Image[] = [];
  for (const architecture of options.architectures) {
    const base = collectBase(architecture);
    const image = await buildImage(architecture, base.entries);
    const ingredients = { name: 'ambit', version: version(), npmPackages, ...base };
    writeFileSync(join(options.output, `ambit-${architecture}.sbom.json`), makeSbom(ROOT, ingredients));
    const file = join(options.output, `ambit-${architecture}.tar`);
    writeImageArchive(file, options.name, [image]);
    tell(`${options.name} for ${architecture} is ${file}`);
    images.push(image);
  }
  if (images.length < 2) return;
  const file = join(options.output, 'ambit.tar');
  writeImageArchive(file, options.name, images);
  tell(`${options.name} for all of them is ${file}`);
}

async function buildImage(architecture: Architecture, baseEntries: readonly TarEntry[]): Promise<Image> {
  const layers = join(BUILD, 'layers');
  const base = await makeLayer(layers, 'Debian and Node', baseEntries);
  const program = await makeLayer(layers, 'Ambit', withFolders(programEntries()));
  return makeImage(
    {
      architecture,
      user: USER,
      entrypoint: COMMAND,
      env: ['PATH=/usr/local/bin:/usr/sbin:/usr/bin', 'NODE_ENV=production'],
      labels: {
        'org.opencontainers.image.title': 'ambit',
        'org.opencontainers.image.version': version(),
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    },
    [base, program],
  );
}

/** What lies below the program, and where it comes from. */
interface Base {
  readonly entries: readonly TarEntry[];
  readonly debianPackages: readonly DebianPackage[];
  readonly nodeVersions: Readonly<Record<string, string>>;
}

function collectBase(architecture: Architecture): Base {
  const node = fetchNode(architecture, join(BUILD, 'node'));
  const packages = fetchDebianPackages({
    architecture,
    packages: SEED_PACKAGES,
    cache: join(BUILD, 'debian'),
  });
  const { entries, packages: debianPackages } = chooseFiles(packages, architecture, [node.executable]);
  const all = withSkeleton([
    ...entries,
    { kind: 'file', path: NODE_PATH, mode: 0o755, content: withoutSymbols(readFileSync(node.executable)) },
    { kind: 'file', path: 'usr/share/doc/node/LICENSE', mode: 0o644, content: node.licence },
  ]);
  // One release of Node is made of the same parts on every architecture, and this one runs that release.
  return { entries: all, debianPackages, nodeVersions: definedVersions() };
}

function programEntries(): TarEntry[] {
  const launcher = `#!/bin/sh\nexec ${COMMAND.join(' ')} "$@"\n`;
  return [
    ...folderEntries(DIST, `${HOME}/dist`),
    ...['base', 'crds'].flatMap((part) =>
      folderEntries(join(ROOT, 'daemonset', part), `${HOME}/daemonset/${part}`),
    ),
    { kind: 'file', path: 'usr/local/bin/ambit', mode: 0o755, content: Buffer.from(launcher) },
  ];
}

function definedVersions(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.versions).map(([name, value]) => [name, value ?? '']));
}

function version(): string {
  const manifest: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  return manifest.version;
}

function tell(line: string): void {
  process.stderr.write(`image: ${line}\n`);
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      name: { type: 'string', default: `ambit:${version()}` },
      arch: { type: 'string', default: ARCHITECTURES.join(',') },
      output: { type: 'string', default: BUILD },
    },
  });
  const asked = values.arch.split(',');
  const architectures = ARCHITECTURES.filter((one) => asked.includes(one));
  if (architectures.length !== asked.length) throw new Error(`${values.arch} is not of ${ARCHITECTURES}`);
  return { name: values.name, architectures, output: values.output };
}

await buildImageArchives(readOptions());
