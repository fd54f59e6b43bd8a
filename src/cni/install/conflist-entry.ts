/** Our entry in the node's folder of CNI configurations: put in, kept in, taken out. */

import { readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { extname, join } from 'node:path';
import { cniErrors } from '../errors.ts';
import { writeFileAtomically } from './atomic-file.ts';
import {
  CONFIG_EXTENSIONS,
  formatList,
  hasEntry,
  type JsonObject,
  type NetworkList,
  parseList,
  parseSingle,
  withEntry,
  withoutEntry,
} from './network-config.ts';

export interface ConflistEntryOptions {
  /** The node's folder of CNI configurations. */
  readonly confDir: string;
  readonly entry: JsonObject;
  /**
   * A file of our own, with a copy of the plugins of the cluster's network, instead of an entry in its file: that may
   * then be rewritten or removed without a moment in which pods start uncaptured.
   */
  readonly ownConflist: boolean;
}

/** The file that runtimes use: the first one, by name, that is valid. */
interface ConfigFile {
  readonly name: string;
  readonly list: NetworkList;
  readonly isSingle: boolean;
  readonly mode: number;
}

export const OWN_CONFLIST = '02-ambit-cni.conflist';
/** A configuration of a single plugin is kept under this name while a list stands in for it. */
const ORIGINAL_SUFFIX = '.ambit-original';

export class ConflistEntry {
  readonly #confDir: string;
  readonly #entry: JsonObject;
  readonly #ownConflist: boolean;

  constructor(options: ConflistEntryOptions) {
    this.#confDir = options.confDir;
    this.#entry = options.entry;
    this.#ownConflist = options.ownConflist;
  }

  /**
   * @returns whether anything was to be done
   * @throws AMBIT_CNI_NO_PRIMARY_CONFIG, AMBIT_CNI_CONFIG_NOT_FIRST; errors of the file system
   */
  ensure(): boolean {
    const primary = this.#files().find((file) => file.name !== OWN_CONFLIST);
    return this.#ownConflist ? this.#ensureOwn(primary) : this.#ensureChained(primary);
  }

  /** Takes the entry out of every file, and brings back a configuration that was replaced by a list. */
  remove(): void {
    rmSync(this.#path(OWN_CONFLIST), { force: true });
    for (const file of this.#files()) {
      if (!file.isSingle && hasEntry(file.list)) this.#takeOut(file);
    }
  }

  #ensureChained(primary: ConfigFile | undefined): boolean {
    if (primary === undefined) throw this.#noPrimary();
    const hasChanged = primary.isSingle ? this.#convert(primary) : this.#putInto(primary);
    // Left over from the other way of installing; the entry is in force without it.
    rmSync(this.#path(OWN_CONFLIST), { force: true });
    return hasChanged;
  }

  #putInto(file: ConfigFile): boolean {
    const wanted = withEntry(file.list, this.#entry);
    if (formatList(wanted) === formatList(file.list)) return false;
    writeFileAtomically(this.#path(file.name), formatList(wanted), file.mode);
    return true;
  }

  /** The list must be there before the single configuration goes: a node without any is not ready. */
  #convert(file: ConfigFile): boolean {
    const list = withEntry(file.list, this.#entry);
    writeFileAtomically(this.#path(listNameOf(file.name)), formatList(list), file.mode);
    renameSync(this.#path(file.name), this.#path(originalNameOf(file.name)));
    return true;
  }

  #ensureOwn(primary: ConfigFile | undefined): boolean {
    const path = this.#path(OWN_CONFLIST);
    const own = this.#read(OWN_CONFLIST);
    if (primary === undefined) {
      if (own === undefined) throw this.#noPrimary();
      // The network's own file is being rewritten; what it said last goes on.
      return false;
    }
    if (primary.name < OWN_CONFLIST) {
      throw cniErrors.AMBIT_CNI_CONFIG_NOT_FIRST(`${primary.name} sorts before ${OWN_CONFLIST}`);
    }
    const wanted = formatList(withEntry(withoutEntry(primary.list), this.#entry));
    const isRight = own !== undefined && formatList(own.list) === wanted;
    if (!isRight) writeFileAtomically(path, wanted, primary.mode);
    if (!primary.isSingle && hasEntry(primary.list)) this.#takeOut(primary);
    return !isRight;
  }

  #takeOut(file: ConfigFile): void {
    const rest = withoutEntry(file.list);
    if (this.#bringBack(file.name, rest)) return;
    writeFileAtomically(this.#path(file.name), formatList(rest), file.mode);
  }

  /** @returns whether the list stood in for a configuration that is there again now */
  #bringBack(listName: string, rest: NetworkList): boolean {
    const base = listName.slice(0, -extname(listName).length);
    for (const extension of ['.conf', '.json']) {
      const saved = this.#path(originalNameOf(`${base}${extension}`));
      const original = parseSingle(readText(saved) ?? '', base);
      if (original === undefined) continue;
      const isSame = formatList(original) === formatList(rest);
      if (isSame) renameSync(saved, this.#path(`${base}${extension}`));
      else rmSync(saved);
      if (isSame) rmSync(this.#path(listName));
      return isSame;
    }
    return false;
  }

  /** Those that a runtime would accept, in its order. */
  #files(): ConfigFile[] {
    return readdirSync(this.#confDir)
      .filter((name) => CONFIG_EXTENSIONS.some((extension) => extname(name) === extension))
      .sort()
      .map((name) => this.#read(name))
      .filter((file) => file !== undefined);
  }

  #read(name: string): ConfigFile | undefined {
    const text = readText(this.#path(name));
    const stat = statSync(this.#path(name), { throwIfNoEntry: false });
    if (text === undefined || stat === undefined) return undefined;
    const isSingle = extname(name) !== '.conflist';
    const list = isSingle ? parseSingle(text, name.slice(0, -extname(name).length)) : parseList(text);
    return list === undefined ? undefined : { name, list, isSingle, mode: stat.mode & 0o777 };
  }

  #path(name: string): string {
    return join(this.#confDir, name);
  }

  #noPrimary() {
    return cniErrors.AMBIT_CNI_NO_PRIMARY_CONFIG(`there is no valid CNI configuration in ${this.#confDir}`);
  }
}

function listNameOf(name: string): string {
  return `${name.slice(0, -extname(name).length)}.conflist`;
}

/** Hidden, and without an extension that a runtime reads. */
function originalNameOf(name: string): string {
  return `.${name}${ORIGINAL_SUFFIX}`;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
