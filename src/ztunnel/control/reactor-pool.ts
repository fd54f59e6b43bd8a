/** The reactor threads as the control thread sees them: started, fed with messages, asked questions. */

import { Worker } from 'node:worker_threads';
import { messageOf } from '../../base/errors.ts';
import { wakeReactor } from '../../io/reactor.ts';
import { releaseFreeBlocks, YOUNG_GENERATION_MB } from '../../sys/process-memory.ts';
import { logger } from '../../telemetry/log.ts';
import type { SeriesEntry } from '../../telemetry/series-store.ts';
import type { RejectedResource } from '../../xds/mesh-resources.ts';
import type { SharedUpdate } from '../../xds/shared-update.ts';
import type { ZtunnelConfig } from '../config.ts';
import { errors } from '../errors.ts';
import type { FromReactor, ReactorBoot, ReactorDump, ToReactor } from '../proxy/messages.ts';

const log = logger('reactors');
/** A thread that does not answer a dump in this time is busy or stuck; the dump goes on without it. */
const DUMP_TIMEOUT_MS = 5000;
/** Within it the other threads collect as well, and V8 has freed the buffers that it found. */
const TRIM_DELAY_MS = 1000;
/** Under a load that never pauses. Of what is free 1 to 7 MB have come anew by then; returning them takes 0.5 to 3 ms. */
const TRIM_INTERVAL_MS = 30_000;
/** Cutting connections takes a turn of each loop. */
const CLOSE_ALL_MS = 500;
/** Limit of a reactor's heap; only the mesh state of very large clusters comes near it. */
const REACTOR_HEAP_MB = 1024;

/** In place of a thread's descriptor to wake it by, until it runs. */
const NOT_YET = -1;

/** What the control thread does with what the reactors tell it. */
export interface ReactorEvents {
  onSeries(memory: SharedArrayBuffer, entry: SeriesEntry): void;
  onLog(text: string): void;
  onIdentityWanted(identity: string): void;
  onHostnameWanted(hostname: string): void;
  onPodStarted(thread: number, uid: string, attempt: number, error: string | undefined): void;
  onPodStopped(thread: number, uid: string): void;
  /** A thread has ended although nobody asked it to: the process cannot go on. */
  onFailure(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  wakeFd: number;
  series: SharedArrayBuffer | undefined;
  drained: boolean;
}

type Ready = Extract<FromReactor, { readonly kind: 'ready' }>;

interface PendingDump {
  readonly parts: ReactorDump[];
  missing: number;
  readonly finish: () => void;
}

interface PendingUpdate {
  missing: number;
  readonly finish: (rejected: readonly RejectedResource[]) => void;
}

export class ReactorPool {
  /** Threads start before there is somebody to tell what they say. */
  readonly #events = Promise.withResolvers<ReactorEvents>();
  readonly #threads: Thread[] = [];
  readonly #dumps = new Map<number, PendingDump>();
  readonly #updates = new Map<number, PendingUpdate>();
  #nextId = 1;
  #onDrained: (() => void) | undefined;
  #trim: NodeJS.Timeout | undefined;

  get size(): number {
    return this.#threads.length;
  }

  /** Resolves when every thread's loop runs. */
  async start(config: ZtunnelConfig): Promise<void> {
    const starts = Array.from({ length: config.workerThreads }, (_, index) =>
      this.#startThread({ config, index }),
    );
    await Promise.all(starts);
    setInterval(releaseFreeBlocks, TRIM_INTERVAL_MS).unref();
  }

  /** Tells what the threads say, and have said since their start. To be called once. */
  listen(events: ReactorEvents): void {
    this.#events.resolve(events);
  }

  /** Sends a message to every thread, also to one that does not run yet. */
  broadcast(message: ToReactor): void {
    for (let index = 0; index < this.#threads.length; index++) this.send(index, message);
  }

  send(index: number, message: ToReactor): void {
    const thread = this.#threads[index]!;
    thread.worker.postMessage(message);
    if (thread.wakeFd !== NOT_YET) wakeReactor(thread.wakeFd);
  }

  /** Resolves when every thread has taken the update, with what it refuses of it, by position: all come to the same. */
  apply(update: SharedUpdate): Promise<readonly RejectedResource[]> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      this.#updates.set(id, { missing: this.#threads.length, finish: resolve });
      this.broadcast({ kind: 'resources', id, update });
    });
  }

  /** Connections of all threads, and where asked for the mesh state of one of them. */
  dump(withMesh: boolean): Promise<ReactorDump> {
    const id = this.#nextId++;
    return new Promise((resolve) => {
      const parts: ReactorDump[] = [];
      const finish = () => {
        clearTimeout(timer);
        this.#dumps.delete(id);
        resolve(mergeDumps(parts));
      };
      const timer = setTimeout(finish, DUMP_TIMEOUT_MS);
      this.#dumps.set(id, { parts, missing: this.#threads.length, finish });
      this.#threads.forEach((_, index) => {
        this.send(index, { kind: 'dump', id, withMesh: withMesh && index === 0 });
      });
    });
  }

  /** Resolves when no thread has a connection left, or at the deadline, after which all are cut. */
  async drain(deadlineMs: number): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      this.#onDrained = resolve;
    });
    this.broadcast({ kind: 'drain' });
    if (await endsWithin(drained, deadlineMs)) return;
    log.warn('closing the connections that outlived the drain', { deadline_ms: deadlineMs });
    this.broadcast({ kind: 'close-all' });
    await endsWithin(drained, CLOSE_ALL_MS);
  }

  #startThread(boot: ReactorBoot): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = new Worker(new URL('../proxy/reactor-thread.ts', import.meta.url), {
        workerData: boot,
        name: `reactor-${boot.index}`,
        resourceLimits: {
          maxOldGenerationSizeMb: REACTOR_HEAP_MB,
          maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
        },
      });
      const thread: Thread = { worker, wakeFd: NOT_YET, series: undefined, drained: false };
      this.#threads[boot.index] = thread;
      worker.on('message', (message: FromReactor) => {
        if (message.kind === 'ready') resolve(onReady(thread, message));
        else void this.#events.promise.then((events) => this.#onMessage(events, boot.index, thread, message));
      });
      worker.on('error', (thrown) => {
        reject(thrown);
        const error = errors.AMBIT_WORKER_FAILED(
          `reactor ${boot.index} failed: ${messageOf(thrown)}`,
          thrown,
        );
        void this.#events.promise.then((events) => events.onFailure(error));
      });
    });
  }

  #onMessage(
    events: ReactorEvents,
    index: number,
    thread: Thread,
    message: Exclude<FromReactor, Ready>,
  ): void {
    switch (message.kind) {
      case 'series':
        return events.onSeries(thread.series!, message.entry);
      case 'log':
        return events.onLog(message.text);
      case 'identity-wanted':
        return events.onIdentityWanted(message.identity);
      case 'hostname-wanted':
        return events.onHostnameWanted(message.hostname);
      case 'pod-started':
        return events.onPodStarted(index, message.uid, message.attempt, message.error);
      case 'pod-stopped':
        return events.onPodStopped(index, message.uid);
      case 'resources-taken':
        return this.#onUpdateTaken(message.id, message.rejected);
      case 'dump':
        return this.#onDump(message.id, message.dump);
      case 'collected':
        return this.#trimSoon();
      case 'drained':
        thread.drained = true;
        if (this.#threads.every((one) => one.drained)) this.#onDrained?.();
    }
  }

  /** On this thread: the reactors go on, as long as they need no memory of the arena that is at hand. */
  #trimSoon(): void {
    this.#trim ??= setTimeout(() => {
      this.#trim = undefined;
      releaseFreeBlocks();
    }, TRIM_DELAY_MS).unref();
  }

  #onUpdateTaken(id: number, rejected: readonly RejectedResource[]): void {
    const pending = this.#updates.get(id)!;
    pending.missing--;
    if (pending.missing > 0) return;
    this.#updates.delete(id);
    pending.finish(rejected);
  }

  #onDump(id: number, dump: ReactorDump): void {
    const pending = this.#dumps.get(id);
    if (pending === undefined) return;
    pending.parts.push(dump);
    pending.missing--;
    if (pending.missing === 0) pending.finish();
  }
}

function onReady(thread: Thread, { wakeFd, series }: Ready): void {
  thread.wakeFd = wakeFd;
  thread.series = series;
  // There may be messages from before it ran.
  wakeReactor(wakeFd);
  // The process lives by its listeners; a thread that only waits must not keep it from ending.
  thread.worker.unref();
}

/** Leaves no timer behind, which would keep the process. */
async function endsWithin(work: Promise<void>, deadlineMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<'late'>();
  const timer = setTimeout(resolve, deadlineMs, 'late');
  return (await Promise.race([work, late]).finally(() => clearTimeout(timer))) !== 'late';
}

function mergeDumps(parts: readonly ReactorDump[]): ReactorDump {
  const mesh = parts.find((part) => part.mesh !== undefined)?.mesh;
  const connections = parts.flatMap((part) => part.connections);
  return mesh === undefined ? { connections } : { connections, mesh };
}
