/** The agent's end of ZDS: tells every ztunnel of the node which pods it is to carry, and hands over their namespaces. */

import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { AmbitError } from '../base/errors.ts';
import type { Reactor } from '../io/reactor.ts';
import { SeqpacketListener, type SeqpacketSocket } from '../io/seqpacket.ts';
import { logger } from '../telemetry/log.ts';
import { cniErrors } from './errors.ts';
import {
  EXCHANGE_TIMEOUT_MS,
  type PreparePacket,
  ZdsConnection,
  type ZdsConnectionEvents,
} from './zds-connection.ts';
import {
  addPacket,
  deletePacket,
  keepPacket,
  snapshotSentPacket,
  type ZdsPacket,
  type ZdsWorkload,
} from './zds-packets.ts';

/** The pods that ztunnel should have, as they are at the moment of asking. */
export interface ZdsWorkloads {
  uids(): Iterable<string>;
  get(uid: string): ZdsWorkload | undefined;
}

export interface ZdsServerOptions {
  readonly reactor: Reactor;
  readonly path: string;
  readonly workloads: ZdsWorkloads;
  /** A ztunnel that has just connected took, or refused, a pod of its snapshot. */
  readonly onSnapshotAnswer: (uid: string, error: AmbitError | undefined) => void;
  /** A ztunnel greeted or left. */
  readonly onConnections: (count: number) => void;
  /** For tests. */
  readonly timeoutMs?: number;
}

const log = logger('zds');
/** At most two ztunnels are there during an upgrade; one that reconnects in a loop must not occupy the agent. */
const MAX_ACCEPTS_PER_SECOND = 5;
const MAX_CONNECTIONS = 16;

export class ZdsServer implements ZdsConnectionEvents {
  readonly #options: ZdsServerOptions;
  readonly #all = new Set<ZdsConnection>();
  /** Those that have said hello, the newest last. */
  readonly #greeted: ZdsConnection[] = [];
  /** Those of them that have been told of every pod. */
  readonly #complete = new Set<ZdsConnection>();
  #listener: SeqpacketListener | undefined;
  #accepts: number[] = [];

  constructor(options: ZdsServerOptions) {
    this.#options = options;
  }

  /** @throws AMBIT_LISTEN_FAILED */
  listen(): void {
    const { path, reactor } = this.#options;
    mkdirSync(dirname(path), { recursive: true });
    this.#listener = SeqpacketListener.listen(reactor, path, (socket) => this.#accept(socket));
  }

  get connections(): number {
    return this.#greeted.length;
  }

  /**
   * Offers a pod to every ztunnel and waits for the answer of the one that counts.
   * Rejects with AMBIT_CNI_NO_ZTUNNEL, AMBIT_CNI_ZTUNNEL_REFUSED, AMBIT_CNI_ZTUNNEL_TIMEOUT, AMBIT_CNI_ZTUNNEL_GONE
   */
  async add(uid: string): Promise<void> {
    await this.#tellAll('take', uid, () => {
      const workload = this.#options.workloads.get(uid);
      return workload?.netnsFd === undefined ? undefined : addPacket(workload, workload.netnsFd);
    });
  }

  /** Takes a pod from every ztunnel; resolves when the one that counts has answered or left. */
  async remove(uid: string): Promise<void> {
    const told = this.#tellAll('give up', uid, () => deletePacket(uid));
    await told.catch((thrown: unknown) => {
      const isNobody = thrown instanceof AmbitError && thrown.code === 'AMBIT_CNI_NO_ZTUNNEL';
      if (!isNobody) log.warn('ztunnel did not give up a pod', { uid, ...describe(thrown) });
    });
  }

  /** Ends all connections; ztunnels go on with the pods they have. */
  close(): void {
    this.#listener?.close();
    for (const connection of [...this.#all]) connection.close();
  }

  onGreeted(connection: ZdsConnection): void {
    this.#greeted.push(connection);
    this.#options.onConnections(this.#greeted.length);
    void this.#sendSnapshot(connection);
  }

  onClosed(connection: ZdsConnection, error: AmbitError | undefined): void {
    this.#all.delete(connection);
    this.#complete.delete(connection);
    const index = this.#greeted.indexOf(connection);
    if (index >= 0) this.#greeted.splice(index, 1);
    log.info('ztunnel disconnected', { connections: this.#greeted.length, ...(error && describe(error)) });
    if (index >= 0) this.#options.onConnections(this.#greeted.length);
  }

  /**
   * While one ztunnel takes over from another both carry the node's pods, so both are told; only one is waited for, so
   * that one that hangs holds up nobody.
   */
  async #tellAll(action: 'take' | 'give up', uid: string, prepare: PreparePacket): Promise<void> {
    const chosen = this.#chosen;
    if (chosen === undefined) throw cniErrors.AMBIT_CNI_NO_ZTUNNEL('no ztunnel is connected');
    for (const other of this.#greeted.filter((one) => one !== chosen)) {
      other.request(prepare).catch((thrown: unknown) => {
        log.warn(`another ztunnel did not ${action} a pod`, { uid, ...describe(thrown) });
      });
    }
    await chosen.request(prepare);
  }

  /** The newest that knows every pod; while none does, the newest, which will have served all the others before. */
  get #chosen(): ZdsConnection | undefined {
    return this.#greeted.findLast((one) => this.#complete.has(one)) ?? this.#greeted.at(-1);
  }

  #accept(socket: SeqpacketSocket): void {
    const now = performance.now();
    this.#accepts = this.#accepts.filter((at) => at > now - 1_000);
    if (this.#accepts.length >= MAX_ACCEPTS_PER_SECOND || this.#all.size >= MAX_CONNECTIONS) {
      socket.close();
      return;
    }
    this.#accepts.push(now);
    this.#all.add(new ZdsConnection(socket, this, this.#options.timeoutMs ?? EXCHANGE_TIMEOUT_MS));
  }

  /** Everything is queued at once: what is added or deleted from now on comes after it, in order. */
  async #sendSnapshot(connection: ZdsConnection): Promise<void> {
    const startedAt = performance.now();
    const pods = [...this.#options.workloads.uids()].map((uid) => this.#sendForSnapshot(connection, uid));
    try {
      await Promise.all([...pods, connection.request(snapshotSentPacket)]);
      if (this.#all.has(connection)) this.#complete.add(connection);
      const durationMs = Math.round(performance.now() - startedAt);
      log.info('ztunnel connected', { connections: this.#greeted.length, pods: pods.length, durationMs });
    } catch (thrown) {
      log.error('snapshot failed', describe(thrown));
    }
  }

  /** One pod that ztunnel refuses is no reason to withhold the others. */
  async #sendForSnapshot(connection: ZdsConnection, uid: string): Promise<void> {
    let isOffered = false;
    const prepare = (): ZdsPacket | undefined => {
      const workload = this.#options.workloads.get(uid);
      isOffered = workload?.netnsFd !== undefined;
      if (workload === undefined) return undefined;
      return workload.netnsFd === undefined ? keepPacket(uid) : addPacket(workload, workload.netnsFd);
    };
    try {
      await connection.request(prepare);
      if (isOffered) this.#options.onSnapshotAnswer(uid, undefined);
    } catch (thrown) {
      if (!(thrown instanceof AmbitError) || thrown.code === 'AMBIT_CNI_ZTUNNEL_GONE') return;
      log.error('ztunnel refused a pod', { uid, ...describe(thrown) });
      this.#options.onSnapshotAnswer(uid, thrown);
    }
  }
}

function describe(thrown: unknown): { error: string; code?: string } {
  if (thrown instanceof AmbitError) return { error: thrown.message, code: thrown.code };
  return { error: String(thrown) };
}
