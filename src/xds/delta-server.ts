/** Delta xDS over gRPC: serves a resource cache to any number of clients, each at its own pace. */

import { logger } from '../telemetry/log.ts';
import { type Authenticate, authenticateCall } from './call-authentication.ts';
import { DeltaSession, type Rejection, type SubscriptionStatus } from './delta-session.ts';
import { DELTA_ADS_PATH, DeltaDiscoveryRequest } from './discovery-messages.ts';
import type { GrpcServer, ResponseWriter } from './grpc/grpc-server.ts';
import type { GrpcCall } from './grpc/server-call.ts';
import type { ResourceCache } from './resource-cache.ts';

/** Changes are collected until nothing came for so long … */
const DEBOUNCE_MS = 10;
/** … but never longer than this: a new pod waits for its first connection. */
const MAX_DEBOUNCE_MS = 100;

const log = logger('xds');

export interface ClientRejection<Caller> extends Rejection {
  readonly caller: Caller;
  readonly nodeId: string;
}

export interface DeltaServerOptions<Caller> {
  readonly cache: ResourceCache;
  readonly authenticate: Authenticate<Caller>;
  /** Called for every NACK. */
  readonly onRejected?: (rejection: ClientRejection<Caller>) => void;
}

/** One connected client. */
export interface ClientStatus<Caller> {
  readonly caller: Caller;
  readonly nodeId: string;
  readonly peer: string;
  readonly connectedAtMs: number;
  readonly subscriptions: readonly SubscriptionStatus[];
}

/** Of one type. */
export interface TypeCounters {
  pushes: number;
  pushBytes: number;
  pushedResources: number;
  removedResources: number;
  nacks: number;
}

interface Client<Caller> {
  readonly caller: Caller;
  readonly peer: string;
  readonly connectedAtMs: number;
  readonly session: DeltaSession;
  readonly wake: () => void;
}

export class DeltaServer<Caller> {
  readonly #options: DeltaServerOptions<Caller>;
  readonly #clients = new Set<Client<Caller>>();
  readonly #counters = new Map<string, TypeCounters>();
  readonly #stopListening: () => void;
  #debounce: NodeJS.Timeout | undefined;
  #firstChangeMs = 0;

  constructor(options: DeltaServerOptions<Caller>) {
    this.#options = options;
    this.#stopListening = options.cache.onChange(() => this.#onChange());
  }

  /** Serves on this server. */
  bindTo(server: GrpcServer): void {
    server.addStream(DELTA_ADS_PATH, (requests, responses, call) => this.#serve(requests, responses, call));
  }

  close(): void {
    clearTimeout(this.#debounce);
    this.#stopListening();
  }

  clients(): ClientStatus<Caller>[] {
    return Array.from(this.#clients, ({ caller, peer, connectedAtMs, session }) => ({
      caller,
      nodeId: session.nodeId ?? '',
      peer,
      connectedAtMs,
      subscriptions: session.describe(),
    }));
  }

  /** How many clients there are, or how many that want this type. */
  clientCount(typeUrl?: string): number {
    if (typeUrl === undefined) return this.#clients.size;
    return this.clients().filter((client) => client.subscriptions.some((one) => one.typeUrl === typeUrl))
      .length;
  }

  /** By type URL. */
  get counters(): ReadonlyMap<string, Readonly<TypeCounters>> {
    return this.#counters;
  }

  #onChange(): void {
    const nowMs = performance.now();
    if (this.#debounce === undefined) this.#firstChangeMs = nowMs;
    clearTimeout(this.#debounce);
    const leftMs = this.#firstChangeMs + MAX_DEBOUNCE_MS - nowMs;
    this.#debounce = setTimeout(() => this.#wakeAll(), Math.max(0, Math.min(DEBOUNCE_MS, leftMs)));
  }

  #wakeAll(): void {
    this.#debounce = undefined;
    for (const client of this.#clients) client.wake();
  }

  async #serve(
    requests: AsyncIterable<Uint8Array>,
    responses: ResponseWriter,
    call: GrpcCall,
  ): Promise<void> {
    const caller = await authenticateCall(this.#options.authenticate, call);
    const pending = new Signal();
    const session = new DeltaSession(this.#options.cache, {
      onPending: () => pending.set(),
      onRejected: (rejection) => this.#onRejected(rejection, caller, session),
    });
    const connectedAtMs = Date.now();
    const client: Client<Caller> = {
      caller,
      peer: call.peer,
      connectedAtMs,
      session,
      wake: () => pending.set(),
    };
    this.#clients.add(client);
    try {
      const ended = receiveAll(session, requests).finally(() => pending.end());
      await Promise.all([ended, this.#sendAll(session, responses, pending)]);
    } finally {
      this.#clients.delete(client);
      session.close();
    }
  }

  /** Makes a response only when the one before was taken: however slow the client, it waits for one at most. */
  async #sendAll(session: DeltaSession, responses: ResponseWriter, pending: Signal): Promise<void> {
    while (await pending.wait()) {
      for (let response = session.next(); response !== undefined; response = session.next()) {
        const counters = this.#countersOf(response.typeUrl);
        counters.pushes++;
        counters.pushBytes += response.length;
        counters.pushedResources += response.resourceCount;
        counters.removedResources += response.removedCount;
        await responses.write(response);
      }
    }
  }

  #onRejected(rejection: Rejection, caller: Caller, session: DeltaSession): void {
    this.#countersOf(rejection.typeUrl).nacks++;
    const nodeId = session.nodeId ?? '';
    for (const { name, reason } of rejection.resources) {
      log.warn('a client refuses a resource', {
        client: nodeId,
        type: rejection.typeUrl,
        resource: name,
        reason,
      });
    }
    this.#options.onRejected?.({ ...rejection, caller, nodeId });
  }

  #countersOf(typeUrl: string): TypeCounters {
    let counters = this.#counters.get(typeUrl);
    if (counters === undefined) {
      counters = { pushes: 0, pushBytes: 0, pushedResources: 0, removedResources: 0, nacks: 0 };
      this.#counters.set(typeUrl, counters);
    }
    return counters;
  }
}

async function receiveAll(session: DeltaSession, requests: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const bytes of requests) session.receive(DeltaDiscoveryRequest.decode(bytes));
}

/** Something to do, waited for by one. */
class Signal {
  #isSet = false;
  #ended = false;
  #wake: () => void = () => {};

  set(): void {
    this.#isSet = true;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Resolves with true once it is set, and takes it back; with false when it has ended. */
  async wait(): Promise<boolean> {
    while (!this.#isSet && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isSet = false;
    return !this.#ended;
  }
}
