/** Keeps a view of one kind of objects up to date for ever: lists, watches, and recovers from whatever goes wrong. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { Backoff } from '../base/backoff.ts';
import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import { kubeErrors } from './errors.ts';
import { LineSplitter } from './json-lines.ts';
import type { KubeClient } from './kube-client.ts';
import { hasStatus, KubeRequestError } from './kube-request-error.ts';
import { listPages } from './list-pages.ts';
import { makeCounters, type ReflectorCounters } from './reflector-counters.ts';
import {
  isNotNewer,
  keyOf,
  parseWatchEvent,
  type RawObject,
  versionOf,
  type WatchEvent,
} from './watch-event.ts';

const log = logger('kube');

/** An object of the view. */
export interface ReflectedObject<T> {
  /** `namespace/name`, or the name of what is cluster-scoped. */
  readonly key: string;
  readonly resourceVersion: string;
  readonly object: T;
}

export interface ReflectedEvent<T> extends ReflectedObject<T> {
  readonly type: 'upsert' | 'delete';
}

export interface ReflectorTiming {
  /** Waiting after a failure: at first, and at most. */
  readonly backoffMs: readonly [number, number];
  /** How long the server is asked to keep a watch: a random time between these, so that not all end together. */
  readonly watchSeconds: readonly [number, number];
  /** A watch that its server has not ended this long after it should have is cut. */
  readonly overdueMs: number;
  /** How often it is asked whether a kind that is not installed is there now. */
  readonly absentMs: number;
  /** How long a page of a list may take, and the beginning of a watch. */
  readonly answerMs: number;
  /** A watch that ends sooner than this without having told anything counts as a failure. */
  readonly shortWatchMs: number;
}

const TIMING: ReflectorTiming = {
  backoffMs: [200, 30_000],
  watchSeconds: [290, 590],
  overdueMs: 30_000,
  absentMs: 5000,
  answerMs: 60_000,
  shortWatchMs: 1000,
};

export interface ReflectorOptions<T> {
  readonly client: KubeClient;
  /** Of the list, such as `/api/v1/pods`. */
  readonly path: string;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** The first list may come out of the server's memory: cheap for it, and a little old. */
  readonly fromCache?: boolean;
  /**
   * Whether the kind is not installed, asked when its path is not found; without it, it always is installed. What this
   * throws is why the kind cannot be read.
   */
  readonly isAbsent?: () => Promise<boolean>;
  /** Keeps what is wanted of an object; nothing else of it stays in memory. */
  readonly decode: (raw: RawObject) => T;
  /** The whole view anew: what is not in it is gone. */
  readonly onList: (objects: readonly ReflectedObject<T>[]) => void;
  /** What has happened since, in order. */
  readonly onEvents: (events: readonly ReflectedEvent<T>[]) => void;
  readonly timing?: Partial<ReflectorTiming>;
}

export type ReflectorState = 'listing' | 'watching' | 'backing-off' | 'absent' | 'stopped';

/**
 * Never gives up before it is stopped. After a watch has ended it resumes from the last version; when that is too old
 * (HTTP 410, or an ERROR event with it), or when anything came that cannot be understood, it lists anew.
 */
export class Reflector<T> {
  readonly counters: ReflectorCounters = makeCounters();
  /** Resolves when the first view is complete. Rejects with AMBIT_KUBE_STOPPED. */
  readonly synced: Promise<void>;
  readonly #options: ReflectorOptions<T>;
  readonly #timing: ReflectorTiming;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  readonly #sync = Promise.withResolvers<void>();
  #state: ReflectorState = 'listing';
  #version: string | undefined;
  #failure: AmbitError | undefined;
  /** A version has expired and no event has come since. */
  #expiredBefore = false;
  #running: Promise<void> = Promise.resolve();

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.#timing = { ...TIMING, ...options.timing };
    const [minMs, maxMs] = this.#timing.backoffMs;
    this.#backoff = new Backoff({ minMs, maxMs });
    this.synced = this.#sync.promise;
    this.synced.catch(() => undefined);
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** Why the view is not being kept up to date now. */
  get failure(): AmbitError | undefined {
    return this.#failure;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when nothing is called back any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#sync.reject(kubeErrors.AMBIT_KUBE_STOPPED(`reading ${this.#options.path} has been stopped`));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) await this.#list();
        await this.#watch(this.#version!);
      } catch (thrown) {
        if (!signal.aborted) await this.#recover(thrown);
      }
    }
    this.#state = 'stopped';
  }

  async #list(): Promise<void> {
    // Asking again whether a kind is installed by now is nothing new.
    if (this.#state !== 'absent') this.#state = 'listing';
    const { client, path, fieldSelector, labelSelector, fromCache = false, decode, onList } = this.#options;
    const isFirst = this.counters.lists === 0;
    this.counters.lists++;
    if (!isFirst) this.counters.relists++;
    const objects: ReflectedObject<T>[] = [];
    // Only the first list may be an old one: a later one could go back behind what has been told.
    const list = {
      client,
      path,
      fieldSelector,
      labelSelector,
      fromCache: fromCache && isFirst,
      signal: this.#stop.signal,
      timeoutMs: this.#timing.answerMs,
    };
    const version = await listPages(list, (raw) => objects.push(this.#reflect(raw, decode(raw))));
    this.#stop.signal.throwIfAborted();
    onList(objects);
    this.#version = version;
    this.#noteAnswer();
    this.#sync.resolve();
  }

  async #watch(resourceVersion: string): Promise<void> {
    const { client, path, fieldSelector, labelSelector } = this.#options;
    const [min, max] = this.#timing.watchSeconds;
    const timeoutSeconds = Math.round(min + Math.random() * (max - min));
    const limit = AbortSignal.timeout(timeoutSeconds * 1000 + this.#timing.overdueMs);
    const query = {
      watch: true,
      allowWatchBookmarks: true,
      resourceVersion,
      timeoutSeconds,
      fieldSelector,
      labelSelector,
    };
    const signal = AbortSignal.any([this.#stop.signal, limit]);
    const startedAt = performance.now();
    const told = this.counters.events + this.counters.bookmarks;
    this.counters.watches++;
    try {
      const stream = await client.stream({ path, query, signal, timeoutMs: this.#timing.answerMs });
      this.#state = 'watching';
      this.#noteAnswer();
      await this.#follow(stream);
    } catch (thrown) {
      if (!limit.aborted) throw thrown;
      this.counters.overdue++;
    }
    const isShort = performance.now() - startedAt < this.#timing.shortWatchMs;
    if (!isShort || told !== this.counters.events + this.counters.bookmarks) return;
    throw kubeErrors.AMBIT_KUBE_UNREACHABLE(`watching ${path} ended at once`);
  }

  async #follow(stream: AsyncIterable<Buffer>): Promise<void> {
    const lines = new LineSplitter();
    for await (const chunk of stream) {
      const events: ReflectedEvent<T>[] = [];
      try {
        for (const line of lines.push(chunk)) this.#take(parseWatchEvent(line), events);
      } finally {
        // What came before a line that cannot be read has happened all the same.
        if (events.length > 0 && !this.#stop.signal.aborted) this.#options.onEvents(events);
      }
    }
    if (lines.pending === 0) return;
    throw kubeErrors.AMBIT_KUBE_UNREACHABLE(`watching ${this.#options.path} ended within an event`);
  }

  #take(event: WatchEvent, events: ReflectedEvent<T>[]): void {
    if (event.kind === 'failure') throw new KubeRequestError(`watching ${this.#options.path}`, event.failure);
    const version = event.kind === 'bookmark' ? event.resourceVersion : versionOf(event.object);
    if (version === '') throw kubeErrors.AMBIT_KUBE_RESPONSE_INVALID('an event of a watch has no version');
    this.#noteAnswer();
    this.#backoff.reset();
    this.#expiredBefore = false;
    if (event.kind === 'bookmark') this.counters.bookmarks++;
    else if (isNotNewer(version, this.#version ?? '')) this.counters.duplicates++;
    else {
      const object = this.#options.decode(event.object);
      events.push({ type: event.kind, ...this.#reflect(event.object, object) });
      this.counters.events++;
    }
    if (!isNotNewer(version, this.#version ?? '')) this.#version = version;
  }

  #reflect(raw: RawObject, object: T): ReflectedObject<T> {
    return { key: keyOf(raw), resourceVersion: versionOf(raw), object };
  }

  /** Decides what is to be done next, and waits. */
  async #recover(thrown: unknown): Promise<void> {
    const error = hasStatus(thrown, 404) ? await this.#reasonOfAbsence(thrown) : asError(thrown);
    if (error === undefined) return this.#waitUntilInstalled();
    this.counters.failures++;
    if (error.code === 'AMBIT_KUBE_RESPONSE_INVALID' || error.code === 'AMBIT_KUBE_RESPONSE_TOO_LARGE') {
      this.counters.undecodable++;
    }
    if (mustListAnew(error)) this.#version = undefined;
    if (error instanceof KubeRequestError && error.isExpired) {
      this.counters.expired++;
      // This is part of ordinary life; twice without an event between, it is not.
      const isOrdinary = !this.#expiredBefore;
      this.#expiredBefore = true;
      if (isOrdinary) return;
    }
    this.#noteFailure(error);
    const waitMs = Math.max(
      this.#backoff.next(),
      error instanceof KubeRequestError ? (error.retryAfterMs ?? 0) : 0,
    );
    this.#state = 'backing-off';
    await this.#sleep(waitMs);
  }

  /** undefined when the kind is not installed, which is nobody's fault. */
  async #reasonOfAbsence(notFound: unknown): Promise<AmbitError | undefined> {
    try {
      return (await this.#options.isAbsent?.()) === true ? undefined : asError(notFound);
    } catch (thrown) {
      return asError(thrown);
    }
  }

  async #waitUntilInstalled(): Promise<void> {
    if (this.#state !== 'absent') log.info('not installed; read as empty', { path: this.#options.path });
    this.#state = 'absent';
    this.#version = undefined;
    if (this.#stop.signal.aborted) return;
    this.#options.onList([]);
    this.#noteAnswer();
    this.#sync.resolve();
    await this.#sleep(this.#timing.absentMs);
  }

  async #sleep(ms: number): Promise<void> {
    try {
      await setTimeoutAsync(ms, undefined, { signal: this.#stop.signal });
    } catch {
      // Stopped meanwhile.
    }
  }

  #noteAnswer(): void {
    this.counters.lastLifeMs = performance.now();
    if (this.#failure !== undefined) log.info('read again', { path: this.#options.path });
    this.#failure = undefined;
  }

  /** Each trouble once; the metrics count the rest. */
  #noteFailure(error: AmbitError): void {
    const { path } = this.#options;
    const level = this.#failure === undefined ? 'warn' : 'debug';
    log.log(level, 'cannot be read now; it is tried again', {
      path,
      reason: error.message,
      code: error.code,
    });
    this.#failure = error;
  }
}

/** After a lost connection or an overloaded server the watch goes on where it was; after anything else nothing is sure. */
function mustListAnew(error: AmbitError): boolean {
  if (!(error instanceof KubeRequestError)) return error.code !== 'AMBIT_KUBE_UNREACHABLE';
  return error.isExpired || error.isFromTheFuture || (error.status < 500 && error.status !== 429);
}

function asError(thrown: unknown): AmbitError {
  return thrown instanceof AmbitError ? thrown : kubeErrors.AMBIT_KUBE_UNREACHABLE(messageOf(thrown), thrown);
}
