/** The CNI plugin on the host: the launcher `ambit-cni`, and beside it a folder with all that it needs. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PLUGIN_TYPE } from '../plugin/plugin-config.ts';
import { writeFileAtomically } from './atomic-file.ts';
import { type LauncherArchitecture, makeLauncher } from './launcher.ts';
import type { RuntimeFiles } from './runtime-files.ts';

export interface PluginExecutableOptions {
  /** The node's folder of CNI plugins. */
  readonly binDir: string;
  readonly architecture: LauncherArchitecture;
  readonly runtime: RuntimeFiles;
  /** Files of the plugin's program by name, the module that is started first. */
  readonly program: ReadonlyMap<string, string>;
}

/** A file of the folder: copied from another one, or with this text. */
type Content = { readonly copyOf: string } | { readonly text: string };

const FOLDER_PREFIX = `.${PLUGIN_TYPE}-`;
const EXECUTABLE_MODE = 0o755;
const NODE_NAME = 'node';

export class PluginExecutable {
  readonly #binDir: string;
  readonly #folder: string;
  readonly #contents: ReadonlyMap<string, Content>;
  readonly #launcher: Buffer;

  constructor(options: PluginExecutableOptions) {
    const { binDir, architecture, runtime, program } = options;
    const loader = basename(runtime.loader);
    const [main] = program.keys();
    this.#binDir = binDir;
    this.#contents = new Map<string, Content>([
      [NODE_NAME, { copyOf: runtime.node }],
      [loader, { copyOf: runtime.loader }],
      ...[...runtime.libraries].map(([name, path]) => [name, { copyOf: path }] as const),
      ...[...program].map(([name, text]) => [name, { text }] as const),
    ]);
    this.#folder = `${FOLDER_PREFIX}${fingerprintOf(this.#contents)}`;
    const search = ['--inhibit-cache', '--library-path', '.'];
    const argv = [PLUGIN_TYPE, ...search, `./${NODE_NAME}`, main!];
    this.#launcher = makeLauncher(architecture, { folder: this.#folder, loader: `./${loader}`, argv });
  }

  /**
   * Puts in place what is missing or differs. Runs of the plugin that are under way keep their files: those of an
   * earlier version go when this one has been in place for a whole pass.
   * @returns whether anything was to be done
   */
  async ensure(): Promise<boolean> {
    const isFolderComplete = this.#isFolderComplete();
    if (!isFolderComplete) await this.#writeFolder();
    const isLauncherRight = this.#isLauncherRight();
    if (!isLauncherRight) writeFileAtomically(this.#launcherPath, this.#launcher, EXECUTABLE_MODE);
    const isRight = isFolderComplete && isLauncherRight;
    if (isRight) removeFolders(this.#binDir, this.#folder);
    return !isRight;
  }

  remove(): void {
    removeExecutable(this.#binDir);
  }

  get #launcherPath(): string {
    return join(this.#binDir, PLUGIN_TYPE);
  }

  #isFolderComplete(): boolean {
    return [...this.#contents].every(([name, content]) => {
      const stat = statSync(join(this.#binDir, this.#folder, name), { throwIfNoEntry: false });
      return stat?.isFile() === true && stat.size === sizeOf(content) && (stat.mode & 0o500) === 0o500;
    });
  }

  #isLauncherRight(): boolean {
    const stat = statSync(this.#launcherPath, { throwIfNoEntry: false });
    if (stat?.isFile() !== true || (stat.mode & 0o777) !== EXECUTABLE_MODE) return false;
    return readFileSync(this.#launcherPath).equals(this.#launcher);
  }

  async #writeFolder(): Promise<void> {
    const folder = join(this.#binDir, this.#folder);
    const temporary = `${folder}.tmp`;
    await rm(temporary, { recursive: true, force: true });
    await mkdir(temporary, { recursive: true, mode: EXECUTABLE_MODE });
    for (const [name, content] of this.#contents) await writeContent(join(temporary, name), content);
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  }
}

/** Takes everything away, of every version. */
export function removeExecutable(binDir: string): void {
  rmSync(join(binDir, PLUGIN_TYPE), { force: true });
  removeFolders(binDir, undefined);
}

function removeFolders(binDir: string, kept: string | undefined): void {
  const names = readdirSync(binDir).filter((name) => name.startsWith(FOLDER_PREFIX) && name !== kept);
  for (const name of names) rmSync(join(binDir, name), { recursive: true });
}

/** On disk when it resolves, so that a rename cannot be there without it after a power cut. */
async function writeContent(path: string, content: Content): Promise<void> {
  if ('text' in content) await writeFile(path, content.text);
  else await copyFile(content.copyOf, path);
  const file = await open(path, 'r+');
  await file.chmod(EXECUTABLE_MODE);
  await file.sync();
  await file.close();
}

function sizeOf(content: Content): number {
  return 'text' in content ? Buffer.byteLength(content.text) : statSync(content.copyOf).size;
}

/** Names the version: another build of Node or of the plugin gets another folder. */
function fingerprintOf(contents: ReadonlyMap<string, Content>): string {
  const hash = createHash('sha256');
  for (const [name, content] of contents) {
    const identity = 'text' in content ? content.text : `${statSync(content.copyOf).mtimeMs}`;
    hash.update(`${name}\0${sizeOf(content)}\0${identity}\0${process.version}\0`);
  }
  return hash.digest('hex').slice(0, 12);
}
