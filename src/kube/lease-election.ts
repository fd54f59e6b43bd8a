/** Chooses one leader among several processes by a Lease (coordination.k8s.io/v1), in the way of client-go. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { KubeClient } from './kube-client.ts';
import { hasStatus } from './kube-request-error.ts';

const log = logger('kube');

/** client-go's defaults. */
const LEASE_MS = 15_000;
const RENEW_DEADLINE_MS = 10_000;
const RETRY_MS = 2000;
/** Followers do not all knock at the same moment. */
const JITTER = 0.2;

export interface LeaseElectionOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly name: string;
  /** Of this process, unique among all that take part: the name of its pod. */
  readonly identity: string;
  /** Called each time this process becomes the leader; the signal is aborted when it is not any more. */
  readonly onLead: (signal: AbortSignal) => void;
  /** How long a lease holds that is not renewed; a leader that could not renew it for two thirds of this gives up. */
  readonly leaseMs?: number;
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
  readonly leaseTransitions?: number | null;
}

interface Lease {
  readonly metadata: { readonly resourceVersion?: string };
  readonly spec?: LeaseSpec | null;
}

/**
 * Needs `get`, `create` and `update` of this lease. Clocks of different machines are never compared: a lease has run out
 * when it has not changed for its whole duration by the clock of whoever waits for it.
 */
export class LeaseElection {
  readonly #options: LeaseElectionOptions;
  readonly #leaseMs: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #seen: { readonly resourceVersion: string | undefined; readonly atMs: number } | undefined;
  /** As this process has left it. */
  #written: Lease | undefined;
  #holder = '';
  #leading: AbortController | undefined;
  /** Until when this process may act as the leader, by the monotonic clock. */
  #leadsUntilMs = 0;
  #giveUpTimer: NodeJS.Timeout | undefined;

  constructor(options: LeaseElectionOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#renewDeadlineMs = (this.#leaseMs * RENEW_DEADLINE_MS) / LEASE_MS;
    this.#retryMs = (this.#leaseMs * RETRY_MS) / LEASE_MS;
  }

  /** True only while no other process can be the leader, even if this one has been asleep. */
  get isLeader(): boolean {
    return this.#leading !== undefined && performance.now() < this.#leadsUntilMs;
  }

  /** Identity of the leader as far as this process knows; empty when there is none. */
  get holder(): string {
    return this.#holder;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Gives the lease back, so that another process leads within seconds. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const wasLeader = this.isLeader;
    this.#lose('stopped');
    if (wasLeader) await this.#release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#try();
      const jitter = this.#leading === undefined ? 1 + Math.random() * JITTER : 1;
      await setTimeoutAsync(this.#retryMs * jitter, undefined, { signal }).catch(() => undefined);
    }
  }

  async #try(): Promise<void> {
    const startedAt = performance.now();
    try {
      // What the leader has written is believed to be there still: if it is not, the server refuses.
      const lease = this.#written ?? (await this.#read());
      if (lease !== undefined && !this.#isFree(lease)) return this.#lose('taken by another process');
      await this.#write(lease);
      this.#hold(startedAt);
    } catch (thrown) {
      this.#written = undefined;
      if (this.#stop.signal.aborted) return;
      const level = hasStatus(thrown, 409) ? 'debug' : 'warn';
      log.log(level, 'the lease could not be renewed', {
        lease: this.#options.name,
        reason: messageOf(thrown),
      });
    }
  }

  #isFree(lease: Lease): boolean {
    const { resourceVersion } = lease.metadata;
    const { holderIdentity, leaseDurationSeconds } = lease.spec ?? {};
    const now = performance.now();
    if (this.#seen === undefined || this.#seen.resourceVersion !== resourceVersion) {
      this.#seen = { resourceVersion, atMs: now };
    }
    this.#holder = holderIdentity ?? '';
    if (this.#holder === '' || this.#holder === this.#options.identity) return true;
    return now > this.#seen.atMs + (leaseDurationSeconds ?? 0) * 1000;
  }

  /** The request began at `startedAt`: the lease holds from then on at least. */
  #hold(startedAt: number): void {
    this.#leadsUntilMs = startedAt + this.#renewDeadlineMs;
    this.#holder = this.#options.identity;
    clearTimeout(this.#giveUpTimer);
    const leftMs = this.#leadsUntilMs - performance.now();
    this.#giveUpTimer = setTimeout(() => this.#lose('not renewed in time'), Math.max(0, leftMs));
    if (this.#leading !== undefined || this.#stop.signal.aborted) return;
    this.#leading = new AbortController();
    log.info('leading', { lease: this.#options.name, identity: this.#options.identity });
    this.#options.onLead(this.#leading.signal);
  }

  #lose(reason: string): void {
    clearTimeout(this.#giveUpTimer);
    const leading = this.#leading;
    this.#leading = undefined;
    if (leading === undefined) return;
    log.info('no longer leading', { lease: this.#options.name, reason });
    leading.abort();
  }

  async #read(): Promise<Lease | undefined> {
    try {
      return await this.#request<Lease>({ path: this.#path(true) });
    } catch (thrown) {
      if (hasStatus(thrown, 404)) return undefined;
      throw thrown;
    }
  }

  async #write(before: Lease | undefined): Promise<void> {
    const { identity } = this.#options;
    const isRenewal = before?.spec?.holderIdentity === identity;
    const now = microTime();
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMs / 1000),
      acquireTime: isRenewal ? (before?.spec?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (isRenewal || before === undefined ? 0 : 1),
    };
    await this.#store(before, spec);
  }

  /** As client-go does: nobody holds it, and whoever sees it does not wait. */
  async #release(): Promise<void> {
    try {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== this.#options.identity) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime: microTime() };
      await this.#store(lease, spec);
    } catch (thrown) {
      log.warn('the lease could not be given back', { lease: this.#options.name, reason: messageOf(thrown) });
    }
  }

  /** The version of what was read goes with it: of two writers one is refused with 409. */
  async #store(before: Lease | undefined, spec: LeaseSpec): Promise<void> {
    const { name, namespace } = this.#options;
    const metadata = { ...before?.metadata, name, namespace };
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec };
    const method = before === undefined ? 'POST' : 'PUT';
    const stored = await this.#request<Lease>({ method, path: this.#path(before !== undefined), body });
    this.#seen = { resourceVersion: stored.metadata.resourceVersion, atMs: performance.now() };
    this.#written = stored;
  }

  #request<T>(request: { method?: 'POST' | 'PUT'; path: string; body?: unknown }): Promise<T> {
    const { signal } = this.#stop;
    // A request that outlives the leadership must not be one that renews it. Giving the lease back is not interrupted.
    const limits = { timeoutMs: this.#renewDeadlineMs / 2, ...(!signal.aborted && { signal }) };
    return this.#options.client.request({ ...request, ...limits });
  }

  #path(named: boolean): string {
    const { namespace, name } = this.#options;
    return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases${named ? `/${name}` : ''}`;
  }
}

/** MicroTime of Kubernetes: RFC 3339 with six digits after the point. */
export function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z');
}
