/** Keeps the contents of all manifest files below a folder, and finds what changed with as little reading as is safe. */

import { createHash } from 'node:crypto';
import { type Dirent, lstatSync, readdirSync, readFileSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { OVERLAY_FOLDER } from './overlay.ts';

/** A file that is new, changed, gone, or cannot be read. */
export type FileReport =
  | { readonly kind: 'content'; readonly path: string; readonly text: string }
  | { readonly kind: 'gone'; readonly path: string }
  | { readonly kind: 'failed'; readonly path: string; readonly code: string; readonly reason: string };

export interface FolderFilesOptions {
  /** Absolute path. */
  readonly folder: string;
  /** Called for every folder before it is listed, so that nothing can change unseen in between. */
  readonly onFolder: (path: string) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/** What is known of a file since it was last read. */
interface KnownFile {
  readonly signature: string;
  readonly hash: string;
  /** It changed so shortly before it was read that a further change may carry the same timestamp. */
  readonly racy: boolean;
}

/** A writer that pauses for less than this is not interrupted: its half-written file is not read. */
const QUIET_MS = 15;
/** Truncated and not yet written again: the most common half-written file gets more time. */
const QUIET_WHEN_EMPTY_MS = 1000;
/** A file that never comes to rest is read after this long all the same. */
const MAX_UNREST_MS = 500;
/** A timestamp further in the future says nothing about when the file was written. */
const MAX_CLOCK_SKEW_MS = 100;
/** Coarser than the timestamps of any file system in use. */
const RACY_MS = 2000;
/** A manifest larger than this is a mistake; parsing it would stall the process. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MANIFEST = /^[^.].*\.(ya?ml|json)$/;

/** All reading is synchronous: a scan is one consistent step. */
export class FolderFiles {
  readonly #folder: string;
  readonly #onFolder: (path: string) => void;
  readonly #now: () => number;
  readonly #known = new Map<string, KnownFile>();
  /** Of each folder that was listed, the files and folders of interest in it. */
  readonly #children = new Map<string, Set<string>>();
  readonly #failed = new Map<string, string>();
  /** Files that are being written, since when. */
  readonly #restless = new Map<string, number>();
  readonly #gone = new Set<string>();
  #reports: FileReport[] = [];

  constructor(options: FolderFilesOptions) {
    this.#folder = options.folder;
    this.#onFolder = options.onFolder;
    this.#now = options.now ?? Date.now;
  }

  /** Files that must be looked at again soon, because their writer has not finished. */
  get restless(): readonly string[] {
    return [...this.#restless.keys()];
  }

  /** Looks at every file; reads those that may have changed. */
  scanAll(): readonly FileReport[] {
    return this.scan([this.#folder]);
  }

  /** Looks at these paths (files or folders, there or not) and at what is below them. */
  scan(paths: Iterable<string>): readonly FileReport[] {
    this.#reports = [];
    for (const path of paths) this.#look(path);
    this.#releaseGone();
    return this.#reports;
  }

  /** A file that is gone may have been moved to where one is just being written: it is told of together with that. */
  #releaseGone(): void {
    for (const path of this.#restless.keys()) if (!this.#known.has(path)) return;
    for (const path of this.#gone) this.#reports.push({ kind: 'gone', path });
    this.#gone.clear();
  }

  #look(path: string): void {
    const entry = attempt(() => lstatSync(path));
    if (entry instanceof Error) {
      if (path === this.#folder) this.#fail(path, `the folder cannot be read: ${entry.message}`);
      else if (isMissing(entry)) this.#forget(path);
    } else if (entry.isDirectory()) {
      if (this.#isFolderOfOurs(path)) this.#lookIntoFolder(path);
    } else if (this.#isFileOfOurs(path)) {
      this.#lookAtFile(path, true);
    } else if (entry.isSymbolicLink()) {
      // A mounted ConfigMap changes by exchanging one hidden link beside its files.
      this.#look(dirname(path));
    }
  }

  #isFolderOfOurs(path: string): boolean {
    if (path === this.#folder || path === join(this.#folder, OVERLAY_FOLDER)) return true;
    return path.startsWith(`${this.#folder}/`) && !basename(path).startsWith('.');
  }

  #isFileOfOurs(path: string): boolean {
    return MANIFEST.test(basename(path)) && this.#isFolderOfOurs(dirname(path));
  }

  #lookIntoFolder(path: string): void {
    this.#onFolder(path);
    const entries = attempt(() => readdirSync(path, { withFileTypes: true }));
    if (entries instanceof Error) {
      if (isMissing(entries) && path !== this.#folder) this.#forget(path);
      else this.#fail(path, entries.message);
      return;
    }
    if (this.#failed.delete(path)) this.#gone.add(path);
    const present = new Set(entries.map((entry) => join(path, entry.name)));
    for (const child of this.#children.get(path) ?? []) if (!present.has(child)) this.#forget(child);
    if (!this.#children.has(path)) this.#children.set(path, new Set());
    for (const entry of entries) this.#lookAtEntry(join(path, entry.name), entry);
  }

  #lookAtEntry(path: string, entry: Dirent): void {
    if (entry.isDirectory() && this.#isFolderOfOurs(path)) {
      this.#adopt(path);
      this.#lookIntoFolder(path);
    } else if (!entry.isDirectory() && this.#isFileOfOurs(path)) {
      this.#lookAtFile(path, false);
    }
  }

  #adopt(path: string): void {
    this.#children.get(dirname(path))?.add(path);
  }

  #lookAtFile(path: string, suspected: boolean): void {
    const stats = attempt(() => statSync(path));
    if (stats instanceof Error) {
      if (isMissing(stats)) this.#forget(path);
      else this.#fail(path, stats.message);
      return;
    }
    this.#adopt(path);
    const known = this.#known.get(path);
    const signature = `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeMs}:${stats.ctimeMs}`;
    if (!stats.isFile() || (!suspected && known?.signature === signature && !known.racy)) return;
    // Overlays are only ever put in place complete.
    if (!path.startsWith(join(this.#folder, OVERLAY_FOLDER)) && this.#isRestless(path, stats)) return;
    this.#read(path, signature, stats);
  }

  #isRestless(path: string, stats: Stats): boolean {
    const now = this.#now();
    const ageMs = now - stats.mtimeMs;
    const emptied = stats.size === 0 && this.#known.has(path);
    const since = this.#restless.get(path) ?? now;
    const patienceMs = emptied ? QUIET_WHEN_EMPTY_MS : MAX_UNREST_MS;
    const quietMs = emptied ? QUIET_WHEN_EMPTY_MS : QUIET_MS;
    const restless = ageMs > -MAX_CLOCK_SKEW_MS && ageMs < quietMs && now - since < patienceMs;
    if (restless) this.#restless.set(path, since);
    else this.#restless.delete(path);
    return restless;
  }

  #read(path: string, signature: string, stats: Stats): void {
    if (stats.size > MAX_FILE_BYTES) {
      this.#fail(
        path,
        `the file has ${stats.size} bytes, at most ${MAX_FILE_BYTES} are read`,
        'AMBIT_OBJECTS_FILE_TOO_LARGE',
      );
      return;
    }
    const text = attempt(() => readFileSync(path, 'utf8'));
    if (text instanceof Error) {
      if (isMissing(text)) this.#forget(path);
      else this.#fail(path, text.message);
      return;
    }
    const hash = createHash('sha256').update(text).digest('base64');
    const unchanged = this.#known.get(path)?.hash === hash && !this.#failed.has(path);
    this.#failed.delete(path);
    this.#known.set(path, { signature, hash, racy: this.#now() - stats.ctimeMs < RACY_MS });
    const wasGone = this.#gone.delete(path);
    if (!unchanged || wasGone) this.#reports.push({ kind: 'content', path, text });
  }

  #fail(path: string, reason: string, code = 'AMBIT_OBJECTS_FILE_UNREADABLE'): void {
    if (this.#failed.get(path) === reason) return;
    this.#failed.set(path, reason);
    this.#gone.delete(path);
    this.#reports.push({ kind: 'failed', path, code, reason });
  }

  /** A file, or a folder with all that was in it, is gone. */
  #forget(path: string): void {
    for (const child of this.#children.get(path) ?? []) this.#forget(child);
    this.#children.delete(path);
    this.#children.get(dirname(path))?.delete(path);
    this.#restless.delete(path);
    const known = this.#known.delete(path);
    const failed = this.#failed.delete(path);
    if (known || failed) this.#gone.add(path);
  }
}

function attempt<T>(action: () => T): T | Error {
  try {
    return action();
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
