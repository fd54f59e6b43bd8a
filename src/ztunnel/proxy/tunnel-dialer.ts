/** Opens HBONE tunnels for one pod: its certificate, its pool of connections, the CONNECT request. */

import type { AmbitError } from '../../base/errors.ts';
import { formatSocketAddress, type SocketAddress } from '../../base/ip.ts';
import { parseSpiffeId, type SpiffeId } from '../../base/spiffe-id.ts';
import { formatBaggage } from '../../hbone/baggage.ts';
import { ConnectStatus, connectHeaders } from '../../hbone/connect-request.ts';
import { HbonePool, type PoolKey, poolKey } from '../../hbone/hbone-pool.ts';
import { NestedTunnel } from '../../hbone/nested-tunnel.ts';
import type { SecureStream } from '../../hbone/secure-stream.ts';
import { newTraceparent } from '../../hbone/trace-context.ts';
import type { Tunnel } from '../../hbone/tunnel.ts';
import type { HeaderList } from '../../http/header-list.ts';
import { verifyUpstream } from '../../identity/peer-verification.ts';
import type { ByteStreamHandler } from '../../io/byte-stream.ts';
import { TlsStream } from '../../io/tls-stream.ts';
import type { Workload } from '../../mesh/workload.ts';
import { hboneDialError } from './dial-error.ts';
import type { ServedPod } from './served-pod.ts';
import type { ContextPair } from './tls-contexts.ts';

export interface TunnelWish {
  /** The HBONE port of the other proxy. */
  readonly address: SocketAddress;
  /** `:authority`: where the tunnel leads. */
  readonly authority: string;
  readonly source: Workload;
  /** The application's end of the captured connection. */
  readonly sourceAddress: SocketAddress;
  /** SPIFFE IDs. */
  readonly expectedIdentities: readonly string[];
  readonly serviceHostname: string | undefined;
  /** Set for a workload on another network: the tunnel inside the tunnel to its gateway. */
  readonly inner?: InnerWish | undefined;
}

export interface InnerWish {
  readonly authority: string;
  readonly expectedIdentities: readonly string[];
  /** Value of x-forwarded-network. */
  readonly forwardedNetwork: string;
}

export interface OpenTunnel {
  readonly tunnel: Tunnel;
  readonly peerIdentity: SpiffeId;
  readonly peerChain: readonly Uint8Array[];
}

export interface TunnelCallbacks {
  onOpen(open: OpenTunnel): void;
  /** `retryable`: no byte of the application has moved, so another endpoint may be tried. */
  onFailed(error: AmbitError, retryable: boolean): void;
}

interface DialKey extends PoolKey {
  readonly expected: readonly SpiffeId[];
  /** Filled in by the handshake of the latest connection of this key. */
  readonly peer: { identity: SpiffeId | undefined; chain: readonly Uint8Array[] };
}

export class TunnelDialer {
  readonly #pod: ServedPod;
  readonly #pool: HbonePool<DialKey>;
  readonly #keys = new Map<string, DialKey>();

  constructor(pod: ServedPod) {
    this.#pod = pod;
    this.#pool = new HbonePool<DialKey>({
      counters: pod.context.http2Counters,
      limits: {
        maxTunnels: pod.context.config.maxStreamsPerConnection,
        idleReleaseMs: pod.context.config.poolIdleReleaseMs,
      },
      dial: (key, handler) => this.#dial(key, handler),
      verifyPeer: (key, chain) => this.#verifyPeer(key.peer, key.expected, chain),
    });
  }

  /** Calls back once, in a later turn at the earliest; the result cancels it. */
  open(wish: TunnelWish, callbacks: TunnelCallbacks): () => void {
    let cancelled = false;
    let cancelRequest = () => {};
    this.#pod.context.tls.withContexts(this.#pod.identityUri, (result) => {
      if (cancelled) return;
      if (!isContexts(result)) return callbacks.onFailed(result, false);
      cancelRequest = this.#request(wish, callbacks);
    });
    return () => {
      cancelled = true;
      cancelRequest();
    };
  }

  closeWhere(isWanted: (peerChain: readonly Uint8Array[]) => boolean): void {
    this.#pool.closeWhere(isWanted);
  }

  close(): void {
    this.#pool.close();
    this.#keys.clear();
  }

  #request(wish: TunnelWish, callbacks: TunnelCallbacks): () => void {
    const key = this.#keyOf(wish);
    let cancelInner = () => {};
    const request = this.#pool.connect(key, headersOf(wish), {
      onTunnel: (tunnel) => {
        const { identity, chain } = key.peer;
        if (wish.inner === undefined) callbacks.onOpen({ tunnel, peerIdentity: identity!, peerChain: chain });
        else cancelInner = this.#nest(tunnel, wish, wish.inner, callbacks);
      },
      onFailed: (error, { status, nothingMoved }) => {
        const retryable = nothingMoved || status === ConnectStatus.unavailable;
        callbacks.onFailed(hboneDialError(error, wish.address), retryable);
      },
    });
    return () => {
      request.cancel();
      cancelInner();
    };
  }

  /** A second handshake inside the tunnel to the gateway, with whoever the gateway has picked. */
  #nest(outer: Tunnel, wish: TunnelWish, inner: InnerWish, callbacks: TunnelCallbacks): () => void {
    const { context, identityUri } = this.#pod;
    const peer: DialKey['peer'] = { identity: undefined, chain: [] };
    const expected = identitiesIn(inner.expectedIdentities);
    const nested = new NestedTunnel({
      reactor: context.reactor,
      counters: context.http2Counters,
      outer,
      remote: wish.address,
      secure: (socket, handler) => TlsStream.client(socket, context.tls.require(identityUri).client, handler),
      verifyPeer: (chain) => this.#verifyPeer(peer, expected, chain),
      headers: headersOf({ ...wish, authority: inner.authority }, inner.forwardedNetwork),
      handler: {
        onTunnel: (tunnel) =>
          callbacks.onOpen({ tunnel, peerIdentity: peer.identity!, peerChain: peer.chain }),
        onFailed: (error, { nothingMoved }) => callbacks.onFailed(error, nothingMoved),
      },
    });
    return () => nested.cancel();
  }

  /** One key object for each destination, so that the peer found by a handshake is known to every tunnel on it. */
  #keyOf(wish: TunnelWish): DialKey {
    const { expectedIdentities } = wish;
    const name = `${formatSocketAddress(wish.address)} ${expectedIdentities.join(' ')}`;
    let key = this.#keys.get(name);
    if (key === undefined) {
      if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
      const parts = {
        sourceIdentity: this.#pod.identityUri,
        expectedIdentities,
        destination: wish.address,
        sourceIp: wish.sourceAddress.ip,
      };
      const expected = identitiesIn(expectedIdentities);
      key = { ...poolKey(parts), expected, peer: { identity: undefined, chain: [] } };
      this.#keys.set(name, key);
    }
    return key;
  }

  /** A connection begins with the certificate of the moment; those that are open keep theirs. */
  #dial(key: DialKey, handler: ByteStreamHandler): SecureStream {
    const contexts = this.#pod.context.tls.require(key.sourceIdentity);
    const socket = this.#pod.connectSocket(key.destination, undefined);
    return TlsStream.client(socket, contexts.client, handler);
  }

  #verifyPeer(
    peer: DialKey['peer'],
    expected: readonly SpiffeId[],
    chain: Uint8Array[],
  ): AmbitError | undefined {
    const { revocations } = this.#pod.context;
    const verdict = verifyUpstream(chain, expected, { list: revocations, nowMs: Date.now() });
    if (verdict.kind === 'refused') return verdict.error;
    peer.identity = verdict.identity;
    peer.chain = chain;
    return undefined;
  }
}

/** Destinations remembered at a time; forgetting them costs nothing but a little memory once more. */
const MAX_KEYS = 10_000;

/** A name that is no SPIFFE ID cannot be anybody's and is left out. */
function identitiesIn(uris: readonly string[]): SpiffeId[] {
  return uris.flatMap((uri) => parseSpiffeId(uri) ?? []);
}

function isContexts(result: ContextPair | AmbitError): result is ContextPair {
  return 'client' in result;
}

function headersOf(wish: TunnelWish, sourceNetwork?: string): HeaderList {
  return connectHeaders({
    authority: wish.authority,
    baggage: baggageOf(wish.source),
    source: wish.sourceAddress,
    serviceHostname: wish.serviceHostname,
    traceparent: newTraceparent(),
    sourceNetwork,
  });
}

/** Workloads are replaced when they change, never changed. */
const baggages = new WeakMap<Workload, { readonly text: string | undefined }>();

/** How a proxy describes a workload to another one. */
export function baggageOf(workload: Workload): string | undefined {
  let known = baggages.get(workload);
  if (known === undefined) {
    known = { text: describe(workload) };
    baggages.set(workload, known);
  }
  return known.text;
}

function describe(workload: Workload): string | undefined {
  return formatBaggage({
    cluster: workload.clusterId,
    namespace: workload.namespace,
    workloadType: workload.workloadType.toLowerCase(),
    workload: workload.workloadName,
    service: workload.canonicalName,
    version: workload.canonicalRevision,
    region: workload.locality.region,
    zone: workload.locality.zone,
  });
}
