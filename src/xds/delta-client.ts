/** The delta xDS client of a node proxy: stays subscribed to all resources of some types, whatever becomes of the server. */

import { setTimeout as delay } from 'node:timers/promises';
import { Backoff } from '../base/backoff.ts';
import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { CallCredentials } from './call-credentials.ts';
import {
  DELTA_ADS_PATH,
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
  type Resource,
} from './discovery-messages.ts';
import type { GrpcClientCall } from './grpc/client-call.ts';
import { grpcErrors } from './grpc/errors.ts';
import { GrpcChannel } from './grpc/grpc-channel.ts';
import type { KeepAlive } from './grpc/keep-alive.ts';
import type { DialTarget } from './grpc/session-dialler.ts';
import { HeldResources } from './held-resources.ts';
import type { RejectedResource } from './mesh-resources.ts';
import { nackStatus } from './nack-detail.ts';
import { type NodeIdentity, nodeOf } from './node-identity.ts';
import { isPartial } from './partial-responses.ts';
import { type RootSource, readRoots, watchRoots } from './root-certificates.ts';

const MIN_BACKOFF_MS = 10;
const MAX_BACKOFF_MS = 15_000;
/** Bytes of initial_resource_versions in a request: istiod takes requests of 4 MiB, and the node needs room as well. */
const MAX_VERSION_BYTES = 3.5 * 1024 * 1024;

const log = logger('xds');

export interface DeltaResource {
  readonly name: string;
  readonly version: string;
  /** The encoded message. A view on the whole push: copy what outlives the consumer's work. */
  readonly bytes: Uint8Array;
}

/** What a push means for one type. */
export interface DeltaUpdate {
  readonly typeUrl: string;
  readonly resources: readonly DeltaResource[];
  readonly removed: readonly string[];
}

/**
 * Applies an update and returns what it refuses of it; of those an earlier state stays in force. The next update comes
 * when the promise resolves. One that rejects, or throws, refuses the update whole.
 */
export type DeltaConsumer = (
  update: DeltaUpdate,
) => readonly RejectedResource[] | Promise<readonly RejectedResource[]>;

export interface DeltaClientOptions {
  readonly target: DialTarget;
  /** `plaintext` is for tests. */
  readonly roots: RootSource | 'plaintext';
  readonly credentials: CallCredentials;
  readonly node: NodeIdentity;
  readonly typeUrls: readonly string[];
  readonly consume: DeltaConsumer;
  /** Called once, when the first whole state of every type was consumed. */
  readonly onReady?: () => void;
  readonly keepAlive?: KeepAlive;
  /** Bytes of names and versions in a request; another value than the usual one is for tests. */
  readonly maxVersionBytes?: number;
}

/** Why a stream ended, as in Istio's metric xds_connection_terminations. */
export type TerminationReason = 'ConnectionError' | 'Error' | 'Reconnect' | 'Complete';

export interface DeltaClientCounters {
  readonly connectionTerminations: Record<TerminationReason, number>;
  /** By type URL. */
  readonly messages: Map<string, number>;
  readonly messageBytes: Map<string, number>;
}

export class DeltaClient {
  readonly counters: DeltaClientCounters = {
    connectionTerminations: { ConnectionError: 0, Error: 0, Reconnect: 0, Complete: 0 },
    messages: new Map(),
    messageBytes: new Map(),
  };
  readonly #options: DeltaClientOptions;
  readonly #channel: GrpcChannel;
  readonly #held: ReadonlyMap<string, HeldResources>;
  readonly #backoff = new Backoff({ minMs: MIN_BACKOFF_MS, maxMs: MAX_BACKOFF_MS });
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #call: GrpcClientCall | undefined;
  #ready = false;
  #lastError: string | undefined;

  constructor(options: DeltaClientOptions) {
    const { target, roots, keepAlive, typeUrls } = options;
    this.#options = options;
    this.#held = new Map(typeUrls.map((typeUrl) => [typeUrl, new HeldResources()]));
    this.#channel = new GrpcChannel({
      target,
      roots: roots === 'plaintext' ? roots : () => readRoots(roots),
      ...(keepAlive === undefined ? {} : { keepAlive }),
    });
  }

  /** Whether every type had its first whole state; stays true when the control plane is lost. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Whether a stream is open at this moment. */
  get connected(): boolean {
    return this.#call !== undefined;
  }

  /** Why there is no stream, while there is none. */
  get lastError(): string | undefined {
    return this.#lastError;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the stream; resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#call?.cancel(grpcErrors.AMBIT_GRPC_CANCELLED('stopped'));
    await this.#running;
    this.#channel.close();
  }

  async #run(): Promise<void> {
    const { roots } = this.#options;
    const unwatch = roots === 'plaintext' ? () => {} : watchRoots(roots, () => this.#onNewRoots());
    while (!this.#stopping.signal.aborted) {
      const reason = await this.#runStream();
      if (this.#stopping.signal.aborted) break;
      this.counters.connectionTerminations[reason]++;
      await delay(this.#backoff.next(), undefined, { signal: this.#stopping.signal }).catch(() => {});
    }
    unwatch();
  }

  /** Runs one stream to its end; tells why it ended. */
  async #runStream(): Promise<TerminationReason> {
    let call: GrpcClientCall;
    try {
      const metadata = await this.#options.credentials.metadata();
      call = await this.#channel.open(DELTA_ADS_PATH, { metadata, signal: this.#stopping.signal });
    } catch (thrown) {
      this.#report('ConnectionError', thrown);
      return 'ConnectionError';
    }
    this.#call = call;
    try {
      await this.#converse(call);
      log.info('the control plane ended the stream');
      return 'Complete';
    } catch (thrown) {
      const reason = terminationOf(thrown);
      this.#report(reason, thrown);
      return reason;
    } finally {
      this.#call = undefined;
    }
  }

  async #converse(call: GrpcClientCall): Promise<void> {
    // A failure to write shows in the responses as well, with the reason. ACKs wait: messages must not be interleaved.
    let before = this.#subscribe(call).catch(() => {});
    try {
      for await (const bytes of call.messages()) {
        // While the one before is applied, in other threads.
        const response = DeltaDiscoveryResponse.decode(bytes);
        this.#count(response.typeUrl, bytes.length);
        await before;
        before = this.#handle(call, response);
        // It is thrown by the next response, or in the end.
        before.catch(() => {});
      }
    } finally {
      await before;
    }
  }

  async #handle(call: GrpcClientCall, response: DeltaDiscoveryResponse): Promise<void> {
    const rejected = await this.#take(response);
    await this.#acknowledge(call, response, rejected).catch(() => {});
    this.#lastError = undefined;
    this.#backoff.reset();
  }

  async #subscribe(call: GrpcClientCall): Promise<void> {
    const maxBytes = this.#options.maxVersionBytes ?? MAX_VERSION_BYTES;
    for (const [typeUrl, held] of this.#held) {
      const initialResourceVersions = held.versionsToReport(maxBytes);
      log.info('subscribing', { type: typeUrl, held: held.size, reported: initialResourceVersions.size });
      const node = nodeOf(this.#options.node);
      await call.write(DeltaDiscoveryRequest.encode({ node, typeUrl, initialResourceVersions }));
    }
  }

  async #take(response: DeltaDiscoveryResponse): Promise<readonly RejectedResource[]> {
    const { typeUrl } = response;
    const held = this.#held.get(typeUrl);
    if (held === undefined) return [{ name: typeUrl, reason: 'a type that was not asked for' }];
    const { usable, unusable } = sortResources(response);
    const rejected = [
      ...unusable,
      ...(await this.#consume({ typeUrl, resources: usable, removed: response.removedResources })),
    ];
    record(held, response, rejected);
    if (!isPartial(response.systemVersionInfo)) await this.#endOfState(typeUrl, held);
    log.debug('a push was taken', {
      type: typeUrl,
      resources: usable.length,
      removed: response.removedResources.length,
      rejected: rejected.length,
    });
    return rejected;
  }

  async #endOfState(typeUrl: string, held: HeldResources): Promise<void> {
    const removed = held.endOfState();
    if (removed.length > 0) await this.#consume({ typeUrl, resources: [], removed });
    if (this.#ready || ![...this.#held.values()].every((one) => one.synced)) return;
    this.#ready = true;
    log.info('the first state of every type is in');
    this.#options.onReady?.();
  }

  async #consume(update: DeltaUpdate): Promise<readonly RejectedResource[]> {
    try {
      return await this.#options.consume(update);
    } catch (thrown) {
      const reason = messageOf(thrown);
      log.error('an update could not be applied', { type: update.typeUrl, error: reason });
      return update.resources.map(({ name }) => ({ name, reason }));
    }
  }

  async #acknowledge(
    call: GrpcClientCall,
    response: DeltaDiscoveryResponse,
    rejected: readonly RejectedResource[],
  ): Promise<void> {
    const { typeUrl, nonce: responseNonce } = response;
    const ack = { typeUrl, responseNonce };
    if (rejected.length === 0) return call.write(DeltaDiscoveryRequest.encode(ack));
    const errorDetail = nackStatus(rejected);
    log.warn('resources were refused', {
      type: typeUrl,
      count: rejected.length,
      reasons: errorDetail.message,
    });
    return call.write(DeltaDiscoveryRequest.encode({ ...ack, errorDetail }));
  }

  /** What is held stays in force, and its versions make the new stream cheap. */
  #onNewRoots(): void {
    log.info('the root certificate has changed: connecting anew');
    this.#channel.renew();
    this.#call?.cancel(grpcErrors.AMBIT_GRPC_CANCELLED('the root certificate has changed'));
  }

  #count(typeUrl: string, bytes: number): void {
    // What was not asked for is one row, whatever a server sends.
    const url = this.#held.has(typeUrl) ? typeUrl : 'unknown';
    const { messages, messageBytes } = this.counters;
    messages.set(url, (messages.get(url) ?? 0) + 1);
    messageBytes.set(url, (messageBytes.get(url) ?? 0) + bytes);
  }

  #report(reason: TerminationReason, thrown: unknown): void {
    this.#lastError = messageOf(thrown);
    if (this.#stopping.signal.aborted) return;
    const level = reason === 'Reconnect' ? 'info' : 'warn';
    log.log(level, 'no stream to the control plane', { reason, error: this.#lastError });
  }
}

function sortResources(response: DeltaDiscoveryResponse): {
  usable: DeltaResource[];
  unusable: RejectedResource[];
} {
  const usable: DeltaResource[] = [];
  const unusable: RejectedResource[] = [];
  for (const resource of response.resources) {
    const reason = flawOf(resource, response.typeUrl);
    const { name, version } = resource;
    if (reason === undefined) usable.push({ name, version, bytes: resource.resource!.value });
    else unusable.push({ name, reason });
  }
  return { usable, unusable };
}

function flawOf({ resource }: Resource, typeUrl: string): string | undefined {
  if (resource === undefined) return 'a resource without content';
  return resource.typeUrl === typeUrl ? undefined : `a resource of type ${resource.typeUrl} among ${typeUrl}`;
}

function record(
  held: HeldResources,
  response: DeltaDiscoveryResponse,
  rejected: readonly RejectedResource[],
): void {
  const refused = new Set(rejected.map((one) => one.name));
  for (const name of response.removedResources) held.remove(name);
  for (const { name, version } of response.resources) {
    if (refused.has(name)) held.refuse(name);
    else held.accept(name, version);
  }
}

/** As Istio's ztunnel sorts them: what a restarting or rebalancing server says is no failure. */
function terminationOf(thrown: unknown): TerminationReason {
  const code = thrown instanceof AmbitError ? thrown.code : '';
  switch (code) {
    case 'AMBIT_GRPC_UNKNOWN':
    case 'AMBIT_GRPC_CANCELLED':
    case 'AMBIT_GRPC_ABORTED':
    case 'AMBIT_GRPC_DEADLINE_EXCEEDED':
    case 'AMBIT_GRPC_UNAVAILABLE':
      return 'Reconnect';
    default:
      return 'Error';
  }
}
