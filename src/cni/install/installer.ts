/** Keeps the CNI plugin installed on the node: puts it there, watches it, and repairs what others change. */

import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { AmbitError, messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import { cniErrors } from '../errors.ts';
import type { PartReport } from '../part-report.ts';

/** How a pass ended, under Istio's names. */
export type InstallFailure =
  | 'COPY_BINARIES_FAILURE'
  | 'CREATE_CNI_CONFIG_FAILURE'
  | 'CREATE_KUBECONFIG_FAILURE';
export type InstallResult = 'SUCCESS' | InstallFailure;

/** A part of the installation. */
export interface InstalledPart {
  /** Puts it in place or repairs it. @returns whether it was missing or somebody had changed it */
  ensure(): boolean | Promise<boolean>;
  remove(): void;
}

export interface InstallerOptions {
  /** In the order in which they are put in place, and how it is called when one cannot be. */
  readonly parts: readonly { readonly part: InstalledPart; readonly failure: InstallFailure }[];
  /** Changes in these folders lead to a pass. */
  readonly folders: readonly string[];
  /** After a pass that changed something or failed. */
  readonly onResult: (result: InstallResult) => void;
  readonly onReady: (isReady: boolean) => void;
  readonly timing?: InstallerTiming;
}

export interface InstallerTiming {
  /** Without any sign of a change. */
  readonly passMs: number;
  /** After a sign: changes come in groups. */
  readonly settleMs: number;
  /** Between passes at most, while something else undoes what is done. */
  readonly throttleMs: number;
}

/** Not every file system tells of changes. */
const TIMING: InstallerTiming = { passMs: 30_000, settleMs: 100, throttleMs: 30_000 };
/** Repairs within a minute that are taken for an accident. */
const TOLERATED_REPAIRS = 5;
const MINUTE_MS = 60_000;
/** A pass takes a second or two, unless the API server does not answer. */
const PASS_LIMIT_MS = 5_000;

const log = logger('install');

export class Installer {
  readonly #options: InstallerOptions;
  readonly #timing: InstallerTiming;
  readonly #installed = Promise.withResolvers<void>();
  #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #dueAtMs = Number.POSITIVE_INFINITY;
  #isRunning = false;
  #running: Promise<void> = Promise.resolve();
  #isAgainDue = false;
  #isStopped = false;
  #isReady = false;
  #wasInstalled = false;
  #lastError = '';
  /** When something had to be repaired, within the last minute. */
  #repairsAtMs: number[] = [];
  #throttleMs = 0;
  #repairedAt: Date | undefined;

  constructor(options: InstallerOptions) {
    this.#options = options;
    this.#timing = options.timing ?? TIMING;
  }

  /** Resolves when the plugin is installed for the first time; that may have to wait for the network of the cluster. */
  start(): Promise<void> {
    for (const folder of this.#options.folders) mkdirSync(folder, { recursive: true });
    this.#watch();
    this.#plan(0);
    return this.#installed.promise;
  }

  /** What is installed stays. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }

  /** Takes the plugin away: what leads to it before what it leads to. A pass that is under way ends before. */
  async uninstall(): Promise<void> {
    this.stop();
    await Promise.race([this.#running, setTimeoutAsync(PASS_LIMIT_MS, undefined, { ref: false })]);
    for (const { part } of this.#options.parts.toReversed()) part.remove();
    log.info('removed');
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  report(): PartReport {
    const repairedAt = this.#repairedAt?.toISOString();
    return {
      ok: this.#isReady,
      ...(!this.#isReady && { detail: this.#lastError || 'not installed yet' }),
      ...(repairedAt !== undefined && { repairedAt }),
    };
  }

  #watch(): void {
    this.#watchers = this.#options.folders.map((folder) => {
      const watcher = watch(folder, () => this.#onChange());
      // The periodic passes go on.
      watcher.on('error', (error) => log.warn('folder not watched', { folder, error: error.message }));
      return watcher;
    });
  }

  #onChange(): void {
    if (this.#isRunning) this.#isAgainDue = true;
    else this.#plan(this.#soonMs);
  }

  get #soonMs(): number {
    return Math.max(this.#timing.settleMs, this.#throttleMs);
  }

  /** Unless a pass is due sooner: changes without end must not put it off without end. */
  #plan(delayMs: number): void {
    const dueAtMs = performance.now() + delayMs;
    if (this.#isStopped || dueAtMs >= this.#dueAtMs) return;
    clearTimeout(this.#timer);
    this.#dueAtMs = dueAtMs;
    this.#timer = setTimeout(() => {
      this.#running = this.#pass();
    }, delayMs);
  }

  async #pass(): Promise<void> {
    this.#dueAtMs = Number.POSITIVE_INFINITY;
    this.#isRunning = true;
    this.#isAgainDue = false;
    await this.#install();
    this.#isRunning = false;
    this.#plan(this.#isAgainDue ? this.#soonMs : this.#timing.passMs);
  }

  async #install(): Promise<void> {
    let isRepaired = false;
    for (const { part, failure } of this.#options.parts) {
      if (this.#isStopped) return;
      try {
        if (await part.ensure()) isRepaired = true;
      } catch (thrown) {
        this.#onFailure(thrown, failure);
        return;
      }
    }
    if (isRepaired) this.#onInstalled();
    else this.#onUnchanged();
    this.#lastError = '';
    this.#setReady(true);
    this.#installed.resolve();
  }

  #onInstalled(): void {
    this.#options.onResult('SUCCESS');
    if (!this.#wasInstalled) {
      this.#wasInstalled = true;
      log.info('installed');
      return;
    }
    this.#repairedAt = new Date();
    log.warn('repaired: something else has changed the plugin or the CNI configuration');
    this.#noteRepair();
  }

  #noteRepair(): void {
    const now = performance.now();
    this.#repairsAtMs = [...this.#repairsAtMs.filter((at) => now - at < MINUTE_MS), now];
    if (this.#repairsAtMs.length <= TOLERATED_REPAIRS) return;
    this.#throttleMs = Math.min(this.#timing.throttleMs, Math.max(1_000, this.#throttleMs * 2));
    const { code, message, hint } = cniErrors.AMBIT_CNI_CONFIG_FIGHT(
      `repaired ${this.#repairsAtMs.length} times within a minute`,
    );
    log.warn(message, { code, hint, nextPassInMs: this.#throttleMs });
  }

  #onUnchanged(): void {
    const now = performance.now();
    this.#repairsAtMs = this.#repairsAtMs.filter((at) => now - at < MINUTE_MS);
    if (this.#repairsAtMs.length === 0) this.#throttleMs = 0;
  }

  #onFailure(thrown: unknown, result: InstallFailure): void {
    const error =
      thrown instanceof AmbitError
        ? thrown
        : cniErrors.AMBIT_CNI_INSTALL_FAILED(`the plugin is not installed: ${messageOf(thrown)}`, thrown);
    this.#options.onResult(result);
    this.#setReady(false);
    if (error.message !== this.#lastError) log.error(error.message, { code: error.code, hint: error.hint });
    this.#lastError = error.message;
  }

  #setReady(isReady: boolean): void {
    this.#isReady = isReady;
    this.#options.onReady(isReady);
  }
}
