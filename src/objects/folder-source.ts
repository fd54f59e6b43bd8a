/** An ObjectSource that is a folder of YAML and JSON files: the API server of a mesh without Kubernetes. */

import { realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import { objectErrors } from './errors.ts';
import { FolderFiles } from './folder-files.ts';
import { FolderState } from './folder-state.ts';
import { FolderWatcher } from './folder-watcher.ts';
import type { KindMap, ObjectKind } from './kinds.ts';
import type {
  ObjectChange,
  ObjectListener,
  ObjectPatch,
  ObjectReference,
  ObjectSource,
  SourceProblem,
} from './object-source.ts';
import { objectKey } from './object-source.ts';
import { OVERLAY_FOLDER, overlayFileName, removeOverlay, writeOverlay } from './overlay.ts';

const log = logger('objects');

/** Events that come this close together are one change. */
const QUIET_MS = 10;
/** A folder that never comes to rest is read this often all the same. */
const MAX_DELAY_MS = 50;
/** Files that were still being written are looked at again after this long. */
const RESTLESS_MS = 10;
/** Change notification may fail (a queue that overflows, a network file system): everything is looked at this often. */
const RESCAN_MS = 5000;

export interface FolderSourceOptions {
  readonly folder: string;
  /** Name of this process among those that write to the same folder: a DNS label, such as `controlplane`. */
  readonly writer: string;
}

/**
 * Reads every *.yaml, *.yml and *.json below the folder and follows every change. Names that begin with a dot are
 * skipped. Patches are kept in `.overlay/<writer>/` and merged into what every process reads from the folder.
 */
export class FolderSource implements ObjectSource {
  readonly #options: FolderSourceOptions;
  readonly #listeners = new Set<ObjectListener>();
  readonly #watcher = new FolderWatcher(() => this.#schedule());
  #overlayFolder = '';
  #files: FolderFiles | undefined;
  #state: FolderState | undefined;
  #timer: NodeJS.Timeout | undefined;
  #rescan: NodeJS.Timeout | undefined;
  #waitingSinceMs = 0;
  #known = new Set<string>();
  #started = false;
  #stopped = false;

  constructor(options: FolderSourceOptions) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(options.writer)) throw new RangeError(`writer name: ${options.writer}`);
    this.#options = options;
  }

  /** @throws AMBIT_OBJECTS_FOLDER_UNREADABLE */
  async start(): Promise<void> {
    const folder = openFolder(this.#options.folder);
    this.#overlayFolder = join(folder, OVERLAY_FOLDER, this.#options.writer);
    this.#files = new FolderFiles({ folder, onFolder: (path) => this.#watcher.watch(path) });
    this.#state = new FolderState({ ...this.#options, realFolder: folder });
    const reports = [...this.#files.scanAll()];
    while (this.#files.restless.length > 0) {
      await setTimeoutAsync(RESTLESS_MS);
      reports.push(...this.#files.scan(this.#files.restless));
    }
    this.#read(reports);
    this.#started = !this.#stopped;
    if (this.#started) this.#rescan = setInterval(() => this.#scanAll(), RESCAN_MS);
    this.#schedule();
  }

  stop(): void {
    this.#stopped = true;
    this.#started = false;
    clearTimeout(this.#timer);
    clearInterval(this.#rescan);
    this.#watcher.close();
  }

  list<K extends ObjectKind>(kind: K): readonly KindMap[K][] {
    return this.#state?.list(kind) ?? [];
  }

  get<K extends ObjectKind>(kind: K, namespace: string, name: string): KindMap[K] | undefined {
    const object = this.#state?.get(objectKey({ kind, namespace, name }));
    return object as KindMap[K] | undefined;
  }

  subscribe(listener: ObjectListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws AMBIT_OBJECT_NOT_FOUND, AMBIT_OBJECTS_OVERLAY_UNWRITABLE */
  async patch(reference: ObjectReference, patch: ObjectPatch): Promise<void> {
    const overlay = this.#state?.patched(reference, patch);
    if (overlay === undefined) {
      throw objectErrors.AMBIT_OBJECT_NOT_FOUND(`there is no ${objectKey(reference)} to write to`);
    }
    if (overlay === 'unchanged') return;
    writeOverlay(this.#overlayFolder, overlay);
    this.#state?.remember(overlay);
    this.#watcher.mark(join(this.#overlayFolder, overlayFileName(reference)));
  }

  get problems(): readonly SourceProblem[] {
    return this.#state?.problems() ?? [];
  }

  #schedule(delayMs = QUIET_MS): void {
    if (!this.#started) return;
    const now = performance.now();
    if (this.#timer === undefined) this.#waitingSinceMs = now;
    const leftMs = this.#waitingSinceMs + MAX_DELAY_MS - now;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#scanDirty(), Math.max(0, Math.min(delayMs, leftMs)));
  }

  #scanDirty(): void {
    this.#timer = undefined;
    const files = this.#files!;
    const restless = files.restless;
    this.#read(files.scan([...this.#watcher.takeDirty(), ...restless]));
    if (files.restless.length > 0) this.#schedule(RESTLESS_MS);
  }

  #scanAll(): void {
    this.#read(this.#files!.scanAll());
    if (this.#files!.restless.length > 0) this.#schedule(RESTLESS_MS);
  }

  #read(reports: ReturnType<FolderFiles['scanAll']>): void {
    if (reports.length === 0) return;
    const { changes, orphans } = this.#state!.apply(reports);
    for (const orphan of orphans) removeOverlay(this.#overlayFolder, orphan);
    this.#logProblems();
    if (changes.length > 0 && this.#started) this.#notify(changes);
  }

  #notify(changes: readonly ObjectChange[]): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(changes);
      } catch (thrown) {
        log.error('a listener for object changes failed', { reason: messageOf(thrown) });
      }
    }
  }

  /** Each problem once, for as long as it lasts. */
  #logProblems(): void {
    const before = this.#known;
    this.#known = new Set();
    for (const { code, severity, message } of this.problems) {
      if (!before.has(message) && !this.#known.has(message)) {
        log.log(severity === 'error' ? 'error' : 'warn', message, { code });
      }
      this.#known.add(message);
    }
  }
}

function openFolder(folder: string): string {
  try {
    const path = realpathSync(folder);
    if (!statSync(path).isDirectory()) throw new Error('it is not a folder');
    return path;
  } catch (thrown) {
    throw objectErrors.AMBIT_OBJECTS_FOLDER_UNREADABLE(
      `the folder of objects ${folder} cannot be read: ${messageOf(thrown)}`,
      thrown,
    );
  }
}
