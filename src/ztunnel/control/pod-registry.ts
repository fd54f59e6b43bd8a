/** The pods that this proxy serves: each is started in every reactor thread, retried while it fails, and let go. */

import type { NetworkNamespace } from '../../sys/network-namespace.ts';
import { logger } from '../../telemetry/log.ts';
import type { PodInfo, ToReactor } from '../proxy/messages.ts';

const log = logger('pods');
/** How long a pod that could not be started is left alone before it is tried again. */
export const POD_RETRY_MS = 5000;

/** The side of the reactors that the registry needs. */
export interface PodThreads {
  readonly size: number;
  broadcast(message: ToReactor): void;
}

type PodState =
  | { readonly kind: 'starting'; readonly missing: Set<number>; readonly errors: string[] }
  | { readonly kind: 'up' }
  | { readonly kind: 'pending'; readonly reason: string; readonly retry: NodeJS.Timeout }
  | { readonly kind: 'stopping'; readonly missing: Set<number> };

interface Pod {
  readonly info: PodInfo;
  readonly namespace: NetworkNamespace;
  state: PodState;
  attempt: number;
  waiters: ((error: string | undefined) => void)[];
}

export interface PodRegistryEvents {
  onStarted(info: PodInfo): void;
  onStopped(info: PodInfo): void;
}

/** One pod as config_dump shows it. */
export interface PodSummary {
  readonly info: PodInfo;
  readonly state: 'Up' | 'Pending';
  readonly reason?: string;
}

export class PodRegistry {
  readonly #threads: PodThreads;
  readonly #events: PodRegistryEvents;
  readonly #pods = new Map<string, Pod>();
  /** One count for all pods: a late answer to a pod's former life must not pass for one to its present life. */
  #attempts = 0;
  /** Pods that are gone for the agent while threads still close their sockets, by uid; the same uid may come back. */
  readonly #stopping = new Map<string, Pod[]>();

  constructor(threads: PodThreads, events: PodRegistryEvents) {
    this.#threads = threads;
    this.#events = events;
  }

  /** Pods that were begun to be served, and let go, since the start. */
  startedTotal = 0;
  stoppedTotal = 0;

  get active(): number {
    return this.#count('up');
  }

  get pending(): number {
    return this.#pods.size - this.active;
  }

  /**
   * Starts serving a pod; takes over the namespace handle. Resolves with undefined once every thread serves it, else
   * with the reason; it is then retried until it succeeds or is removed.
   */
  add(info: PodInfo, namespace: NetworkNamespace): Promise<string | undefined> {
    const known = this.#pods.get(info.uid);
    if (known?.namespace.inode === namespace.inode) {
      namespace.close();
      return this.#whenSettled(known);
    }
    if (known !== undefined) this.remove(info.uid);
    const pod: Pod = { info, namespace, state: { kind: 'up' }, attempt: 0, waiters: [] };
    this.#pods.set(info.uid, pod);
    log.info('pod added', { pod: info.name, namespace: info.namespace, uid: info.uid });
    this.startedTotal++;
    this.#events.onStarted(info);
    this.#start(pod);
    return this.#whenSettled(pod);
  }

  /** Stops serving a pod at once: its listeners and connections are closed. */
  remove(uid: string): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined) return;
    this.#pods.delete(uid);
    if (pod.state.kind === 'pending') clearTimeout(pod.state.retry);
    this.#settle(pod, 'the pod was removed');
    pod.state = { kind: 'stopping', missing: this.#allThreads() };
    this.#stopping.set(uid, [...(this.#stopping.get(uid) ?? []), pod]);
    log.info('pod removed', { pod: pod.info.name, namespace: pod.info.namespace, uid });
    this.#threads.broadcast({ kind: 'pod-remove', uid });
    this.stoppedTotal++;
    this.#events.onStopped(pod.info);
  }

  /** After a snapshot: pods that the agent did not mention are gone. */
  retainOnly(uids: ReadonlySet<string>): void {
    for (const uid of [...this.#pods.keys()]) if (!uids.has(uid)) this.remove(uid);
  }

  /** A thread's answer to the attempt with this number. */
  onThreadStarted(thread: number, uid: string, attempt: number, error: string | undefined): void {
    const pod = this.#pods.get(uid);
    if (pod === undefined || pod.attempt !== attempt || pod.state.kind !== 'starting') return;
    pod.state.missing.delete(thread);
    if (error !== undefined) pod.state.errors.push(error);
    if (pod.state.missing.size > 0) return;
    const reason = pod.state.errors[0];
    if (reason === undefined) pod.state = { kind: 'up' };
    else this.#retryLater(pod, reason);
    this.#settle(pod, reason);
  }

  /** A thread has closed everything it had of the pod; after the last one the namespace may go. */
  onThreadStopped(thread: number, uid: string): void {
    const stopping = this.#stopping.get(uid) ?? [];
    const pod = stopping.find((one) => one.state.kind === 'stopping' && one.state.missing.has(thread));
    if (pod?.state.kind !== 'stopping') return;
    pod.state.missing.delete(thread);
    if (pod.state.missing.size > 0) return;
    pod.namespace.close();
    const left = stopping.filter((one) => one !== pod);
    if (left.length > 0) this.#stopping.set(uid, left);
    else this.#stopping.delete(uid);
  }

  /** Resolves once no pod waits to be served. */
  async whenServed(): Promise<void> {
    while (this.pending > 0) await Promise.all([...this.#pods.values()].map((pod) => this.#whenUp(pod)));
  }

  summaries(): Map<string, PodSummary> {
    const entries = [...this.#pods].map(([uid, pod]): [string, PodSummary] => [uid, summaryOf(pod)]);
    return new Map(entries);
  }

  #start(pod: Pod): void {
    pod.attempt = ++this.#attempts;
    pod.state = { kind: 'starting', missing: this.#allThreads(), errors: [] };
    this.#threads.broadcast({
      kind: 'pod-add',
      pod: pod.info,
      namespaceFd: pod.namespace.fd,
      attempt: pod.attempt,
    });
  }

  #retryLater(pod: Pod, reason: string): void {
    log.warn('pod cannot be served yet', {
      pod: pod.info.name,
      namespace: pod.info.namespace,
      error: reason,
    });
    const retry = setTimeout(() => this.#start(pod), POD_RETRY_MS);
    pod.state = { kind: 'pending', reason, retry };
  }

  #whenSettled(pod: Pod): Promise<string | undefined> {
    if (pod.state.kind === 'up') return Promise.resolve(undefined);
    if (pod.state.kind === 'pending') return Promise.resolve(pod.state.reason);
    return new Promise((resolve) => pod.waiters.push(resolve));
  }

  /** Or removed. */
  async #whenUp(pod: Pod): Promise<void> {
    while (this.#pods.get(pod.info.uid) === pod && pod.state.kind !== 'up') {
      await new Promise<unknown>((resolve) => pod.waiters.push(resolve));
    }
  }

  #settle(pod: Pod, error: string | undefined): void {
    const waiters = pod.waiters;
    pod.waiters = [];
    for (const waiter of waiters) waiter(error);
  }

  #allThreads(): Set<number> {
    return new Set(Array.from({ length: this.#threads.size }, (_, index) => index));
  }

  #count(kind: PodState['kind']): number {
    let count = 0;
    for (const pod of this.#pods.values()) if (pod.state.kind === kind) count++;
    return count;
  }
}

function summaryOf(pod: Pod): PodSummary {
  if (pod.state.kind === 'up') return { info: pod.info, state: 'Up' };
  return {
    info: pod.info,
    state: 'Pending',
    ...(pod.state.kind === 'pending' && { reason: pod.state.reason }),
  };
}
