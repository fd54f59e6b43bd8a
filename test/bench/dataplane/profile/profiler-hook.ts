/**
 * Loaded into a node proxy before its program: on SIGUSR2 it profiles the main thread and every reactor for a while, and
 * leaves what came out as JSON in the working directory. The inspector interrupts threads that run a loop of their own.
 */

import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import {
  type CpuProfile,
  cpuShares,
  type HeapNode,
  heapShares,
  type ThreadProfile,
} from './thread-profile.ts';

export const PROFILE_FILE = 'profile.json';
export const PROFILE_MS = 3000;
const CPU_INTERVAL_US = 500;
const HEAP_INTERVAL_BYTES = 4096;

type Call = (method: string, params?: object) => Promise<unknown>;

async function profileThread(thread: string, call: Call): Promise<ThreadProfile> {
  await call('Profiler.enable');
  await call('Profiler.setSamplingInterval', { interval: CPU_INTERVAL_US });
  await call('Profiler.start');
  await call('HeapProfiler.startSampling', { samplingInterval: HEAP_INTERVAL_BYTES });
  await delay(PROFILE_MS);
  const { profile } = (await call('Profiler.stop')) as { profile: CpuProfile };
  const heap = (await call('HeapProfiler.stopSampling')) as { profile: { head: HeapNode } };
  const usage = (await call('Runtime.getHeapUsage')) as { usedSize: number; totalSize: number };
  return {
    thread,
    ...cpuShares(profile),
    heap: heapShares(heap.profile.head),
    usedHeap: usage.usedSize,
    totalHeap: usage.totalSize,
  };
}

/** Calls into a thread, through the session of the main one. */
class ThreadCalls {
  readonly #session: Session;
  readonly #sessionId: string;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #lastId = 0;

  constructor(session: Session, sessionId: string) {
    this.#session = session;
    this.#sessionId = sessionId;
  }

  readonly call: Call = (method, params = {}) => {
    const id = ++this.#lastId;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    this.#waiting.set(id, resolve);
    const message = JSON.stringify({ id, method, params });
    void this.#session.post('NodeWorker.sendMessageToWorker', { sessionId: this.#sessionId, message });
    return promise;
  };

  onMessage(text: string): void {
    const { id, result } = JSON.parse(text) as { id: number; result: unknown };
    this.#waiting.get(id)?.(result);
  }
}

async function profileAll(): Promise<readonly ThreadProfile[]> {
  const session = new Session();
  session.connect();
  const threads = new Map<string, { readonly title: string; readonly calls: ThreadCalls }>();
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId, workerInfo } }) => {
    threads.set(sessionId, { title: workerInfo.title, calls: new ThreadCalls(session, sessionId) });
  });
  session.on('NodeWorker.receivedMessageFromWorker', ({ params: { sessionId, message } }) => {
    threads.get(sessionId)?.calls.onMessage(message);
  });
  await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false });
  const own = new Session();
  own.connect();
  const profiles = [
    profileThread('main', (method, params) => own.post(method, params)),
    ...Array.from(threads.values(), ({ title, calls }) => profileThread(title, calls.call)),
  ];
  return Promise.all(profiles);
}

if (isMainThread) {
  process.on('SIGUSR2', () => {
    void profileAll().then((profiles) => writeFileSync(PROFILE_FILE, JSON.stringify(profiles)));
  });
}
