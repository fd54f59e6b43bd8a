/** Chooses from unpacked Debian packages what the programs of the image need, and nothing else. */

import { existsSync, globSync, lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { Architecture, DebianPackage } from './debian-packages.ts';
import { elfNeeds } from './elf-file.ts';
import type { TarEntry } from './tar-archive.ts';

/** What the node agent calls, in its shell; see src/cni/. */
export const PROGRAMS = [
  'usr/bin/dash',
  'usr/bin/nsenter',
  'usr/bin/ss',
  'usr/bin/ip',
  'usr/sbin/ipset',
  ...['iptables', 'ip6tables'].flatMap((name) =>
    ['nft', 'legacy'].flatMap((flavour) =>
      ['', '-save', '-restore'].map((suffix) => `usr/sbin/${name}-${flavour}${suffix}`),
    ),
  ),
];

/** Packages that hold them, and the libraries of Node. */
export const SEED_PACKAGES = [
  'dash',
  'iproute2',
  'ipset',
  'iptables',
  'libatomic1',
  'libc6',
  'libstdc++6',
  'util-linux',
];

const MULTIARCH: Readonly<Record<Architecture, string>> = {
  amd64: 'x86_64-linux-gnu',
  arm64: 'aarch64-linux-gnu',
};

/** Extensions of iptables are loaded by name when a rule asks for them. */
const MODULES = /^usr\/lib\/[^/]+\/xtables\/.*\.so$/;

/** Since usrmerge these are links; older packages still ship files in them. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64'];

export interface ChosenFiles {
  readonly entries: readonly TarEntry[];
  /** The packages that at least one file came from. */
  readonly packages: readonly DebianPackage[];
}

/** All files of the packages by their path in a merged file system. */
type PackageFiles = ReadonlyMap<string, { readonly source: string; readonly from: DebianPackage }>;

/**
 * @param executables further programs, not from packages, whose libraries are needed
 * @throws Error when a program or a library is in none of the packages
 */
export function chooseFiles(
  packages: readonly DebianPackage[],
  architecture: Architecture,
  executables: readonly string[],
): ChosenFiles {
  const files = indexFiles(packages);
  const chosen = new Set<string>();
  const wanted = [...PROGRAMS, ...[...files.keys()].filter((path) => MODULES.test(path))];
  for (const executable of executables) wanted.push(...needsOf(executable, files, architecture));
  for (let path = wanted.pop(); path !== undefined; path = wanted.pop()) {
    if (chosen.has(path)) continue;
    chosen.add(path);
    wanted.push(...followUps(path, files, architecture));
  }
  const paths = [...chosen].sort();
  const used = new Set(paths.flatMap((path) => files.get(path)?.from ?? []));
  return {
    entries: [...paths.map((path) => entryOf(path, files)), ...copyrightEntries(used)],
    packages: packages.filter((one) => used.has(one)),
  };
}

function indexFiles(packages: readonly DebianPackage[]): PackageFiles {
  const files = new Map<string, { source: string; from: DebianPackage }>();
  for (const from of packages) {
    for (const name of globSync('**/*', { cwd: from.folder })) {
      const source = join(from.folder, name);
      if (!lstatSync(source).isDirectory()) files.set(mergedPath(name), { source, from });
    }
  }
  return files;
}

/** `lib/x` is `usr/lib/x` in a merged file system. */
function mergedPath(path: string): string {
  return MERGED.some((folder) => path.startsWith(`${folder}/`)) ? `usr/${path}` : path;
}

function followUps(path: string, files: PackageFiles, architecture: Architecture): string[] {
  const file = files.get(path);
  if (file === undefined) throw new Error(`no package holds ${path}`);
  if (!lstatSync(file.source).isSymbolicLink()) return needsOf(file.source, files, architecture);
  const target = readlinkSync(file.source);
  return [mergedPath(target.startsWith('/') ? target.slice(1) : join(dirname(path), target))];
}

/** Paths of the loader and the libraries of an executable or a library. */
function needsOf(source: string, files: PackageFiles, architecture: Architecture): string[] {
  const needs = elfNeeds(readFileSync(source));
  if (needs === undefined) return [];
  const loader = needs.interpreter === undefined ? [] : [mergedPath(needs.interpreter.slice(1))];
  const libraries = needs.libraries.map((name) => {
    const path = `usr/lib/${MULTIARCH[architecture]}/${name}`;
    if (files.has(path)) return path;
    const loaderPath = [...files.keys()].find((one) => one.endsWith(`/${name}`));
    if (loaderPath === undefined) throw new Error(`no package holds ${name}, which ${source} needs`);
    return loaderPath;
  });
  return [...loader, ...libraries];
}

function entryOf(path: string, files: PackageFiles): TarEntry {
  const { source } = files.get(path)!;
  if (lstatSync(source).isSymbolicLink()) return { kind: 'symlink', path, target: readlinkSync(source) };
  return { kind: 'file', path, mode: statSync(source).mode & 0o777, content: source };
}

/** Their licences ask for it. */
function copyrightEntries(packages: ReadonlySet<DebianPackage>): TarEntry[] {
  return [...packages].flatMap((one): TarEntry[] => {
    const path = `usr/share/doc/${one.name}/copyright`;
    const source = join(one.folder, path);
    return existsSync(source) && !lstatSync(join(one.folder, dirname(path))).isSymbolicLink()
      ? [{ kind: 'file', path, mode: 0o644, content: source }]
      : [];
  });
}

/** The entries, those that every image has, and the folders that all of them lie in. */
export function withSkeleton(entries: readonly TarEntry[]): TarEntry[] {
  return withFolders([...entries, ...skeleton()]);
}

/** The entries and the folders that they lie in. */
export function withFolders(entries: readonly TarEntry[]): TarEntry[] {
  const present = new Set(entries.map((entry) => entry.path));
  const missing = new Set(
    entries.flatMap((entry) => parentsOf(entry.path)).filter((path) => !present.has(path)),
  );
  return [...entries, ...[...missing].map((path): TarEntry => ({ kind: 'directory', path }))];
}

function skeleton(): TarEntry[] {
  return [
    ...MERGED.map((path): TarEntry => ({ kind: 'symlink', path, target: `usr/${path}` })),
    { kind: 'symlink', path: 'usr/bin/sh', target: 'dash' },
    { kind: 'directory', path: 'tmp', mode: 0o1777 },
    ...['dev', 'proc', 'sys', 'run', 'root', 'var', 'usr/lib64', 'usr/sbin'].map(
      (path): TarEntry => ({ kind: 'directory', path }),
    ),
    { kind: 'symlink', path: 'var/run', target: '../run' },
    text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nambit:x:65532:65532:ambit:/tmp:/bin/sh\n'),
    text('etc/group', 'root:x:0:\nambit:x:65532:\n'),
    text('etc/nsswitch.conf', 'passwd: files\ngroup: files\nhosts: files dns\n'),
  ];
}

function text(path: string, content: string): TarEntry {
  return { kind: 'file', path, mode: 0o644, content: Buffer.from(content) };
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === '.' ? [] : [parent, ...parentsOf(parent)];
}

/** Every file below a folder of this machine, placed under `target`. */
export function folderEntries(folder: string, target: string): TarEntry[] {
  return globSync('**/*', { cwd: folder })
    .map((name) => join(folder, name))
    .filter((source) => statSync(source).isFile())
    .map((source) => ({
      kind: 'file',
      path: `${target}/${relative(folder, source)}`,
      mode: 0o644,
      content: source,
    }));
}
