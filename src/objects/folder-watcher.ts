/** Watches folders for changes and remembers which paths must be looked at; what it misses, a slow rescan finds. */

import { type FSWatcher, watch } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';

const log = logger('objects');

/** One watch for each folder, because a recursive one misses what happens while it is being set up. */
export class FolderWatcher {
  readonly #onDirty: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #dirty = new Set<string>();
  #complained = false;

  /** @param onDirty called at every event; cheap work only */
  constructor(onDirty: () => void) {
    this.#onDirty = onDirty;
  }

  /** Begins to watch a folder; nothing happens when it is watched already. */
  watch(folder: string): void {
    if (this.#watchers.has(folder)) return;
    try {
      const watcher = watch(folder, (_event, name) => this.#onEvent(folder, name));
      watcher.on('error', () => this.#lose(folder));
      this.#watchers.set(folder, watcher);
    } catch (thrown) {
      this.#complain(thrown);
    }
  }

  /** This path must be looked at. */
  mark(path: string): void {
    this.#dirty.add(path);
    this.#onDirty();
  }

  /** The paths marked since the last call. */
  takeDirty(): ReadonlySet<string> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    // A folder that was deleted and made again is another one: its watch must be made again as well.
    for (const path of dirty) if (this.#watchers.has(path)) this.#unwatch(path);
    return dirty;
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #onEvent(folder: string, name: string | null): void {
    // The end of the watched folder itself is told under its own name.
    if (name === null || name === basename(folder)) this.#lose(folder);
    if (name !== null) this.mark(join(folder, name));
  }

  #lose(folder: string): void {
    this.#unwatch(folder);
    this.mark(folder);
  }

  #unwatch(folder: string): void {
    for (const [path, watcher] of this.#watchers) {
      if (path !== folder && !path.startsWith(`${folder}/`)) continue;
      watcher.close();
      this.#watchers.delete(path);
    }
  }

  #complain(thrown: unknown): void {
    if (this.#complained) return;
    this.#complained = true;
    log.warn('a folder of manifests cannot be watched: changes are found by rescanning only', {
      reason: messageOf(thrown),
    });
  }
}
