/** Fetches Debian packages of any architecture through the machine's own apt, with a package database of its own. */

import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export type Architecture = 'amd64' | 'arm64';

/** One package, unpacked. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** Folder that holds its files as they would lie under `/`. */
  readonly folder: string;
}

export interface FetchOptions {
  readonly architecture: Architecture;
  /** Packages that are wanted; what they depend on comes along. */
  readonly packages: readonly string[];
  /** Kept from one call to the next. */
  readonly cache: string;
}

/**
 * Downloads, checks against the signed index, and unpacks. Nothing is installed, and no root is needed.
 * @throws Error with apt's own words when that fails
 */
export function fetchDebianPackages(options: FetchOptions): DebianPackage[] {
  const home = join(options.cache, options.architecture);
  for (const folder of ['lists/partial', 'archives/partial', 'unpacked', 'sources']) {
    mkdirSync(join(home, folder), { recursive: true });
  }
  writeFileSync(join(home, 'status'), '');
  writeSources(join(home, 'sources'));
  const settings = aptSettings(home, options.architecture);
  run('apt-get', [...settings, '-qq', 'update']);
  run('apt-get', [...settings, '-qq', 'clean']);
  run('apt-get', [
    ...settings,
    '-qq',
    '--download-only',
    '--no-install-recommends',
    '--yes',
    'install',
    ...options.packages,
  ]);
  const archives = globSync('*.deb', { cwd: join(home, 'archives') }).sort();
  return archives.map((name) => unpack(join(home, 'archives', name), join(home, 'unpacked')));
}

function aptSettings(home: string, architecture: Architecture): string[] {
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'APT::Sandbox::User': '',
    'APT::Update::Post-Invoke': '',
    'Debug::NoLocking': 'true',
    'Acquire::Languages': 'none',
    'Dir::Cache': home,
    'Dir::Cache::archives': join(home, 'archives'),
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': join(home, 'sources'),
    'Dir::State': home,
    'Dir::State::Lists': join(home, 'lists'),
    'Dir::State::status': join(home, 'status'),
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** The machine's own sources, of the distribution alone: others may lack the architecture. */
function writeSources(folder: string): void {
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'stable';
  const files = ['/etc/apt/sources.list', ...globSync('/etc/apt/sources.list.d/*.{list,sources}')];
  for (const file of files.filter(existsSync)) {
    const kept = sourcesOf(codename, basename(file), readFileSync(file, 'utf8'));
    writeFileSync(join(folder, basename(file)), kept);
  }
}

/** What a file of apt sources, of either format, has of the distribution, its updates and its security updates. */
export function sourcesOf(codename: string, name: string, text: string): string {
  const wanted = ['', '-updates', '-security'].map((suffix) => codename + suffix);
  const isWanted = (suites: string | undefined) =>
    suites
      ?.trim()
      .split(/\s+/)
      .some((suite) => wanted.includes(suite)) ?? false;
  if (name.endsWith('.list')) {
    const lines = text.split('\n');
    const kept = lines.filter((line) => isWanted(/^deb\s+(?:\[[^\]]*\]\s+)?\S+\s+(\S+)/.exec(line)?.[1]));
    return `${kept.join('\n')}\n`;
  }
  const stanzas = text.split(/\n\s*\n/);
  return `${stanzas.filter((stanza) => isWanted(/^Suites:(.*)$/m.exec(stanza)?.[1])).join('\n\n')}\n`;
}

function unpack(archive: string, folder: string): DebianPackage {
  const [name, version, architecture] = ['Package', 'Version', 'Architecture'].map((field) =>
    run('dpkg-deb', ['--field', archive, field]).trim(),
  ) as [string, string, string];
  const target = join(folder, basename(archive, '.deb'));
  if (!existsSync(target)) run('dpkg-deb', ['--extract', archive, target]);
  return { name, version, architecture, folder: target };
}

function run(program: string, args: readonly string[]): string {
  return execFileSync(program, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 << 20,
  });
}
