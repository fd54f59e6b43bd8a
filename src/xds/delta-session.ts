/** One client's delta xDS stream at the server, whatever carries it: requests in, responses pulled out when there is room. */

import { messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import { DeltaResponse } from './delta-response.ts';
import type { DeltaDiscoveryRequest, Node } from './discovery-messages.ts';
import { grpcErrors } from './grpc/errors.ts';
import type { RejectedResource } from './mesh-resources.ts';
import { rejectedResources } from './nack-detail.ts';
import { PARTIAL_RESPONSES_FEATURE } from './partial-responses.ts';
import type { ResourceCache } from './resource-cache.ts';
import { TypeSubscription } from './type-subscription.ts';

/** Bytes; a client of ours takes a large state in parts of this size: while it applies one, the next ones come. */
const PART_BYTES = 512 * 1024;
/** Bytes; to other clients a state is one response, up to a little less than Istio's ztunnel takes. */
const WHOLE_STATE_BYTES = 190 * 1024 * 1024;
/** Responses that wait for their ACK and are remembered, per stream; of older ones only a NACK would be missed. */
const MAX_UNACKNOWLEDGED = 1000;
/** Characters. */
const MAX_NODE_ID = 500;

const log = logger('xds');

export interface Rejection {
  readonly typeUrl: string;
  /** A name is empty where the client did not say which resource it refuses. */
  readonly resources: readonly RejectedResource[];
}

export interface DeltaSessionEvents {
  /** {@link DeltaSession.next} may have something now. */
  onPending(): void;
  onRejected(rejection: Rejection): void;
}

/** How a stream stands with one type. */
export interface SubscriptionStatus {
  readonly typeUrl: string;
  readonly wildcard: boolean;
  readonly names: number;
  /** Everything up to this revision of the type was sent. */
  readonly sentRevision: number;
  /** Everything up to this one was acknowledged, apart from what is rejected. */
  readonly acknowledgedRevision: number;
  readonly rejected: readonly RejectedResource[];
}

export class DeltaSession {
  readonly #cache: ResourceCache;
  readonly #events: DeltaSessionEvents;
  readonly #subscriptions = new Map<string, TypeSubscription>();
  readonly #acknowledged = new Map<string, number>();
  /** By nonce. */
  readonly #unacknowledged = new Map<string, { readonly typeUrl: string; readonly revision: number }>();
  #nodeId: string | undefined;
  /** Whether the client takes a state in parts. */
  #inParts = false;
  #nonce = 0;

  constructor(cache: ResourceCache, events: DeltaSessionEvents) {
    this.#cache = cache;
    this.#events = events;
  }

  /** Who the client says it is; undefined until it does. */
  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  /** Throws INVALID_ARGUMENT for what a client must not ask. */
  receive(request: DeltaDiscoveryRequest): void {
    const { typeUrl, node } = request;
    if (this.#nodeId === undefined && node !== undefined) this.#introduce(node);
    if (typeUrl === '') throw grpcErrors.AMBIT_GRPC_INVALID_ARGUMENT('a request without a type URL');
    this.#subscribe(request);
    if (request.responseNonce !== '') this.#acknowledge(request);
    this.#events.onPending();
  }

  /** The next response, made of what is in the cache at this moment; undefined when the client has everything. */
  next(): DeltaResponse | undefined {
    if (!this.#cache.complete) return undefined;
    for (const typeUrl of this.#cache.typeUrls) {
      const subscription = this.#subscriptions.get(typeUrl);
      const response = subscription && this.#nextOf(subscription);
      if (response !== undefined) return response;
    }
    return undefined;
  }

  close(): void {
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.#subscriptions.clear();
  }

  describe(): SubscriptionStatus[] {
    return Array.from(this.#subscriptions, ([typeUrl, subscription]) => ({
      typeUrl,
      wildcard: subscription.wildcard,
      names: subscription.names.size,
      sentRevision: subscription.revision,
      acknowledgedRevision: this.#acknowledged.get(typeUrl) ?? 0,
      rejected: Array.from(subscription.rejected, ([name, reason]) => ({ name, reason })),
    }));
  }

  /** No more of it is kept: a client may say a lot of itself. */
  #introduce(node: Node): void {
    this.#nodeId = node.id.slice(0, MAX_NODE_ID);
    this.#inParts = node.clientFeatures.includes(PARTIAL_RESPONSES_FEATURE);
  }

  #subscribe(request: DeltaDiscoveryRequest): void {
    const { typeUrl, resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
    let subscription = this.#subscriptions.get(typeUrl);
    if (subscription === undefined) {
      const cache = this.#cache.ofType(typeUrl);
      if (cache === undefined)
        return log.debug('a client asks for a type that is not served', { type: typeUrl });
      subscription = new TypeSubscription(cache, request.initialResourceVersions);
      this.#subscriptions.set(typeUrl, subscription);
      if (subscribe.length === 0) subscription.subscribeAll();
    }
    if (!subscription.change(subscribe, unsubscribe)) {
      throw grpcErrors.AMBIT_GRPC_INVALID_ARGUMENT(`too many names of ${typeUrl} are asked for`);
    }
  }

  /** A nonce that is not known is one of an earlier stream, or too old: there is nothing to learn from it. */
  #acknowledge(request: DeltaDiscoveryRequest): void {
    const { responseNonce, errorDetail } = request;
    const sent = this.#unacknowledged.get(responseNonce);
    if (sent === undefined || sent.typeUrl !== request.typeUrl) return;
    this.#unacknowledged.delete(responseNonce);
    this.#acknowledged.set(sent.typeUrl, Math.max(sent.revision, this.#acknowledged.get(sent.typeUrl) ?? 0));
    const subscription = this.#subscriptions.get(sent.typeUrl);
    if (errorDetail === undefined || subscription === undefined) return;
    const resources = rejectedResources(errorDetail, (name) => subscription.cache.get(name) !== undefined);
    subscription.reject(resources);
    this.#report({ typeUrl: sent.typeUrl, resources });
  }

  #report(rejection: Rejection): void {
    try {
      this.#events.onRejected(rejection);
    } catch (thrown) {
      log.error('a listener for rejected resources failed', { error: messageOf(thrown) });
    }
  }

  #nextOf(subscription: TypeSubscription): DeltaResponse | undefined {
    if (subscription.fellBehind) {
      throw grpcErrors.AMBIT_GRPC_ABORTED(
        'more was removed than is remembered; connect again with your versions',
      );
    }
    const part = subscription.next(this.#inParts ? PART_BYTES : WHOLE_STATE_BYTES);
    if (part === undefined) return undefined;
    const { typeUrl } = subscription.cache;
    const nonce = String(++this.#nonce);
    this.#remember(nonce, typeUrl, part.more ? 0 : part.revision);
    return new DeltaResponse({ typeUrl, nonce, ...part });
  }

  #remember(nonce: string, typeUrl: string, revision: number): void {
    this.#unacknowledged.set(nonce, { typeUrl, revision });
    if (this.#unacknowledged.size <= MAX_UNACKNOWLEDGED) return;
    const [oldest] = this.#unacknowledged.keys();
    this.#unacknowledged.delete(oldest!);
  }
}
