/** ztunnel's end of ZDS: the node agent says which pods to serve and hands over their network namespaces. */

import { Backoff } from '../../base/backoff.ts';
import { type AmbitError, messageOf } from '../../base/errors.ts';
import type { Reactor } from '../../io/reactor.ts';
import { SeqpacketSocket } from '../../io/seqpacket.ts';
import { NetworkNamespace } from '../../sys/network-namespace.ts';
import { logger } from '../../telemetry/log.ts';
import {
  type AddWorkload,
  WorkloadRequest,
  WorkloadResponse,
  ZdsHello,
  ZdsVersion,
} from '../../xds/zds-messages.ts';
import { errors } from '../errors.ts';
import type { PodRegistry } from './pod-registry.ts';

const log = logger('zds');
const RECONNECT_MIN_MS = 10;
/** The agent is on the same machine and has this one client; pods that start wait until both know each other again. */
const RECONNECT_MAX_MS = 1000;

export interface ZdsEvents {
  /** The agent has told of every pod it knows. */
  onSnapshot(): void;
}

interface Request {
  readonly bytes: Uint8Array;
  readonly fds: number[];
}

/** Connects for as long as it lives; requests are carried out strictly one after the other. */
export class ZdsClient {
  readonly #reactor: Reactor;
  readonly #path: string;
  readonly #registry: PodRegistry;
  readonly #events: ZdsEvents;
  readonly #backoff = new Backoff({ minMs: RECONNECT_MIN_MS, maxMs: RECONNECT_MAX_MS });
  #session: ZdsSession | undefined;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  #connected = false;
  /** Connections to the agent that ended, or could not be made. */
  disconnections = 0;

  constructor(reactor: Reactor, path: string, registry: PodRegistry, events: ZdsEvents) {
    this.#reactor = reactor;
    this.#path = path;
    this.#registry = registry;
    this.#events = events;
  }

  /** Whether the agent is there and has told of its pods. */
  get connected(): boolean {
    return this.#connected;
  }

  start(): void {
    this.#session = new ZdsSession(this.#reactor, this.#path, this.#registry, {
      onSnapshot: () => {
        this.#backoff.reset();
        this.#connected = true;
        this.#events.onSnapshot();
      },
      onClosed: (error) => this.#onClosed(error),
    });
  }

  /** Leaves the agent; the pods stay as they are. */
  stop(): void {
    this.#stopped = true;
    if (this.#retry !== undefined) clearTimeout(this.#retry);
    this.#session?.close();
  }

  #onClosed(error: AmbitError | undefined): void {
    this.#connected = false;
    if (this.#stopped) return;
    this.disconnections++;
    const delayMs = this.#backoff.next();
    log.warn('no connection to the node agent', {
      error: error?.message,
      code: error?.code,
      retry_ms: delayMs,
    });
    this.#retry = setTimeout(() => this.start(), delayMs);
  }
}

interface SessionEvents {
  onSnapshot(): void;
  onClosed(error: AmbitError | undefined): void;
}

/** One connection to the agent. */
class ZdsSession {
  readonly #socket: SeqpacketSocket;
  readonly #registry: PodRegistry;
  readonly #events: SessionEvents;
  readonly #queue: Request[] = [];
  readonly #mentioned = new Set<string>();
  #snapshotSeen = false;
  #busy = false;
  #closed = false;

  constructor(reactor: Reactor, path: string, registry: PodRegistry, events: SessionEvents) {
    this.#registry = registry;
    this.#events = events;
    this.#socket = SeqpacketSocket.connect(reactor, path, {
      onMessage: (message, fds) => {
        this.#queue.push({ bytes: Uint8Array.from(message), fds });
        void this.#work();
      },
      onClosed: (error) => this.#onClosed(error),
    });
    this.#socket.send(ZdsHello.encode({ version: ZdsVersion.V1 }));
  }

  close(): void {
    this.#socket.close();
  }

  #onClosed(error: AmbitError | undefined): void {
    this.#closed = true;
    for (const request of this.#queue.splice(0)) closeAll(request.fds);
    this.#events.onClosed(error);
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (let request = this.#queue.shift(); request !== undefined; request = this.#queue.shift()) {
      const error = await this.#carryOut(request);
      if (this.#closed) break;
      this.#socket.send(WorkloadResponse.encode({ payload: { kind: 'ack', value: { error: error ?? '' } } }));
    }
    this.#busy = false;
  }

  /** The text of the negative acknowledgement, or undefined when all went well. */
  async #carryOut(request: Request): Promise<string | undefined> {
    try {
      const { payload } = WorkloadRequest.decode(request.bytes);
      if (payload?.kind === 'add') return await this.#add(payload.value, request.fds.splice(0));
      if (request.fds.length > 0)
        throw errors.AMBIT_ZDS_PROTOCOL('a descriptor came with a message that has none');
      return this.#withoutNamespace(payload);
    } catch (thrown) {
      log.error('the node agent sent what cannot be carried out', { error: messageOf(thrown) });
      return messageOf(thrown);
    } finally {
      closeAll(request.fds);
    }
  }

  #withoutNamespace(payload: WorkloadRequest['payload']): undefined {
    switch (payload?.kind) {
      case 'del':
        this.#registry.remove(payload.value.uid);
        return undefined;
      case 'keep':
        if (this.#snapshotSeen) throw errors.AMBIT_ZDS_PROTOCOL('a pod was kept after the snapshot');
        this.#mentioned.add(payload.value.uid);
        return undefined;
      case 'snapshotSent':
        this.#onSnapshot();
        return undefined;
      default:
        throw errors.AMBIT_ZDS_PROTOCOL('a message of an unknown kind');
    }
  }

  async #add(add: AddWorkload, fds: number[]): Promise<string | undefined> {
    const [fd, ...more] = fds;
    const info = add.workloadInfo;
    if (fd === undefined || more.length > 0 || info === undefined) {
      closeAll(fds);
      throw errors.AMBIT_ZDS_PROTOCOL(
        `pod ${add.uid} came with ${fds.length} descriptors, or without its name`,
      );
    }
    if (!this.#snapshotSeen) this.#mentioned.add(add.uid);
    const { name, namespace, serviceAccount, searchDomains } = info;
    return this.#registry.add(
      { uid: add.uid, name, namespace, serviceAccount, searchDomains },
      NetworkNamespace.fromFd(fd),
    );
  }

  #onSnapshot(): void {
    if (this.#snapshotSeen) throw errors.AMBIT_ZDS_PROTOCOL('a second snapshot on one connection');
    this.#snapshotSeen = true;
    this.#registry.retainOnly(this.#mentioned);
    this.#events.onSnapshot();
  }
}

function closeAll(fds: readonly number[]): void {
  for (const fd of fds) NetworkNamespace.fromFd(fd).close();
}
