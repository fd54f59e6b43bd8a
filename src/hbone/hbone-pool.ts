/** Shares HBONE connections between tunnels: one set of connections per source, destination and identities. */

import type { AmbitError } from '../base/errors.ts';
import { formatSocketAddress, type IpAddress, type SocketAddress } from '../base/ip.ts';
import type { HeaderList } from '../http/header-list.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import type { ByteStreamHandler } from '../io/byte-stream.ts';
import { hboneErrors } from './errors.ts';
import type { ConnectHandler } from './hbone-client.ts';
import { HbonePoolEntry } from './hbone-pool-entry.ts';
import { DEFAULT_POOL_LIMITS, type PoolLimits } from './hbone-settings.ts';
import type { SecureStream } from './secure-stream.ts';
import { TunnelRequest } from './tunnel-request.ts';

/** What two tunnels must have in common to share a connection. */
export interface SharedParts {
  /** SPIFFE ID that we present. */
  readonly sourceIdentity: string;
  /** SPIFFE IDs of which the peer must present one. */
  readonly expectedIdentities: readonly string[];
  readonly destination: SocketAddress;
  readonly sourceIp: IpAddress;
}

/** Made once for many tunnels: keys of one name share connections. */
export interface PoolKey extends SharedParts {
  readonly name: string;
}

export function poolKey(parts: SharedParts): PoolKey {
  return { ...parts, name: nameOf(parts) };
}

export interface HbonePoolOptions<Key extends PoolKey> {
  readonly counters: Http2Counters;
  readonly settings?: Http2Settings;
  readonly limits?: PoolLimits;
  /** Begins to connect, with that handler; may throw an AmbitError. What it calls back comes in a later turn. */
  readonly dial: (key: Key, handler: ByteStreamHandler) => SecureStream;
  /** Called before a byte is sent; an error closes the connection and fails all that wait for it. */
  readonly verifyPeer: (key: Key, chain: Uint8Array[]) => AmbitError | undefined;
}

/** One per proxied workload: connections of one workload are never used for another. */
export class HbonePool<Key extends PoolKey> {
  readonly #options: HbonePoolOptions<Key>;
  readonly #entries = new Map<string, HbonePoolEntry>();
  #closed = false;

  constructor(options: HbonePoolOptions<Key>) {
    this.#options = options;
  }

  /** Connections that stand, those that are on their way out included. */
  get connections(): number {
    let count = 0;
    for (const entry of this.#entries.values()) count += entry.connections;
    return count;
  }

  /** Keys for which something is open or waits. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Opens a tunnel over a connection of that key, over a new one when none has room. When that is impossible from
   * the start, the handler hears so before this returns. The result can be cancelled until the handler is called.
   */
  connect(key: Key, headers: HeaderList, handler: ConnectHandler): TunnelRequest {
    const request = new TunnelRequest(headers, handler);
    if (this.#closed) request.fail(hboneErrors.AMBIT_HBONE_POOL_CLOSED('the pool is closed'));
    else this.#entryFor(key).add(request);
    return request;
  }

  /** Connections take no new tunnels and end with the last one they have; later tunnels get new connections. */
  retire(): void {
    for (const entry of this.#entries.values()) entry.retire();
  }

  /** Ends the connections whose peer showed such a chain, tunnels too; later tunnels get new ones. */
  closeWhere(isWanted: (peerChain: readonly Uint8Array[]) => boolean): void {
    for (const entry of [...this.#entries.values()]) entry.closeWhere(isWanted);
  }

  /** Ends everything at once, open tunnels too. */
  close(): void {
    this.#closed = true;
    for (const entry of [...this.#entries.values()]) {
      entry.close(hboneErrors.AMBIT_HBONE_POOL_CLOSED('the pool was closed'));
    }
  }

  #entryFor(key: Key): HbonePoolEntry {
    let entry = this.#entries.get(key.name);
    if (entry === undefined) {
      entry = this.#newEntry(key);
      this.#entries.set(key.name, entry);
    }
    return entry;
  }

  #newEntry(key: Key): HbonePoolEntry {
    const { dial, verifyPeer, counters, settings, limits = DEFAULT_POOL_LIMITS } = this.#options;
    return new HbonePoolEntry({
      dial: (handler) => dial(key, handler),
      verifyPeer: (chain) => verifyPeer(key, chain),
      counters,
      limits,
      ...(settings === undefined ? {} : { settings }),
      onEmpty: () => this.#entries.delete(key.name),
    });
  }
}

/** No part can contain the separator: SPIFFE IDs and addresses have no spaces. */
function nameOf(key: SharedParts): string {
  const expected = [...key.expectedIdentities].sort().join(' ');
  return `${key.sourceIp} ${formatSocketAddress(key.destination)} ${key.sourceIdentity} ${expected}`;
}
