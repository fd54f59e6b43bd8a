/** The connections of one pool key, and the tunnel requests that wait for one. */

import { AmbitError, messageOf } from '../base/errors.ts';
import type { Http2Counters } from '../http/http2-counters.ts';
import type { Http2Settings } from '../http/http2-settings.ts';
import type { ByteStreamHandler } from '../io/byte-stream.ts';
import type { Timer } from '../io/reactor.ts';
import { hboneErrors } from './errors.ts';
import { Handshake } from './handshake.ts';
import { HboneClient } from './hbone-client.ts';
import type { PoolLimits } from './hbone-settings.ts';
import type { SecureStream } from './secure-stream.ts';
import type { TunnelRequest } from './tunnel-request.ts';

export interface PoolEntryOptions {
  readonly dial: (handler: ByteStreamHandler) => SecureStream;
  readonly verifyPeer: (chain: Uint8Array[]) => AmbitError | undefined;
  readonly counters: Http2Counters;
  readonly limits: PoolLimits;
  readonly settings?: Http2Settings;
  /** Nothing is open and nothing waits. */
  readonly onEmpty: () => void;
}

/** A connection of the pool. */
interface PooledClient {
  readonly client: HboneClient;
  readonly stream: SecureStream;
  idleTimer: Timer | undefined;
}

export class HbonePoolEntry {
  readonly #options: PoolEntryOptions;
  /** Those that take tunnels, and those that only finish what they have. */
  readonly #usable = new Set<PooledClient>();
  readonly #leaving = new Set<PooledClient>();
  #waiting: TunnelRequest[] = [];
  /** As the last connection's SETTINGS had it, so that the next one is not overrun before its own are here. */
  #peerStreams: number | undefined;
  #dialling: Handshake | undefined;
  #closed = false;

  constructor(options: PoolEntryOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#usable.size + this.#leaving.size;
  }

  add(request: TunnelRequest): void {
    if (this.#waiting.length === 0) {
      for (const pooled of this.#usable) if (this.#send(request, pooled)) return;
    }
    this.#waiting.push(request);
    this.#dialIfNeeded();
  }

  retire(): void {
    for (const pooled of [...this.#usable]) this.#leave(pooled);
  }

  /** Ends the connections whose peer showed such a chain, tunnels too; what waits for one gets another. */
  closeWhere(isWanted: (peerChain: readonly Uint8Array[]) => boolean): void {
    for (const pooled of [...this.#usable, ...this.#leaving]) {
      if (isWanted(pooled.stream.peerCertificateChain())) pooled.client.close();
    }
  }

  close(error: AmbitError): void {
    this.#closed = true;
    this.#failAll(error);
    this.#dialling?.stream.close();
    for (const pooled of [...this.#usable, ...this.#leaving]) pooled.client.close();
  }

  /** One dial at a time: what waits shares the connection as far as it has room, and dials again for the rest. */
  #dialIfNeeded(): void {
    this.#waiting = this.#waiting.filter((request) => !request.done);
    if (this.#dialling !== undefined || this.#waiting.length === 0 || this.#closed) return;
    try {
      this.#dialling = new Handshake(this.#options.dial, {
        onOpen: (stream) => this.#onOpen(stream),
        onFailed: (_, error) => this.#onDialFailed(error),
      });
    } catch (thrown) {
      this.#failAll(
        thrown instanceof AmbitError
          ? thrown
          : hboneErrors.AMBIT_HBONE_CONNECTION_FAILED(messageOf(thrown), thrown),
      );
    }
  }

  #onDialFailed(error: AmbitError | undefined): void {
    this.#dialling = undefined;
    this.#failAll(
      error ?? hboneErrors.AMBIT_HBONE_CONNECTION_FAILED('the peer closed during the TLS handshake'),
    );
  }

  #failAll(error: AmbitError): void {
    const failed = this.#waiting;
    this.#waiting = [];
    for (const request of failed) request.fail(error);
    this.#reportIfEmpty();
  }

  #onOpen(stream: SecureStream): void {
    const error = this.#options.verifyPeer(stream.peerCertificateChain());
    if (error !== undefined) {
      stream.close(error);
      return;
    }
    this.#dialling = undefined;
    const pooled = this.#adopt(stream);
    this.#serve(pooled, true);
    this.#watchIdle(pooled);
    this.#dialIfNeeded();
  }

  #adopt(stream: SecureStream): PooledClient {
    const { counters, settings, limits } = this.#options;
    const pooled: PooledClient = {
      stream,
      idleTimer: undefined,
      client: new HboneClient(stream, {
        counters,
        maxTunnels: limits.maxTunnels,
        ...(settings === undefined ? {} : { settings }),
        ...(this.#peerStreams === undefined ? {} : { expectedPeerStreams: this.#peerStreams }),
        events: {
          onRoom: () => this.#onRoom(pooled),
          onLeaving: () => this.#leave(pooled),
          onClosed: () => this.#onClosed(pooled),
        },
      }),
    };
    this.#usable.add(pooled);
    return pooled;
  }

  #onRoom(pooled: PooledClient): void {
    if (!this.#usable.has(pooled)) return;
    this.#peerStreams = pooled.client.peerStreams;
    if (pooled.client.isLeaving) {
      this.#leave(pooled);
      return;
    }
    this.#serve(pooled, false);
    this.#watchIdle(pooled);
  }

  /** Gives the connection to those that wait, first come first served. */
  #serve(pooled: PooledClient, isNew: boolean): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    const left = waiting.filter((request) => {
      if (request.done) return false;
      return (request.wantsNewConnection && !isNew) || !this.#send(request, pooled);
    });
    this.#waiting = [...left, ...this.#waiting];
  }

  #send(request: TunnelRequest, pooled: PooledClient): boolean {
    const sent = request.sendOn(pooled.client, () => this.#again(request));
    if (sent) this.#watchIdle(pooled);
    return sent;
  }

  /** The connection turned out to be dead before it answered. */
  #again(request: TunnelRequest): void {
    if (this.#closed) {
      request.fail(hboneErrors.AMBIT_HBONE_POOL_CLOSED('the pool was closed'));
      return;
    }
    this.#waiting.push(request);
    this.#dialIfNeeded();
  }

  #watchIdle(pooled: PooledClient): void {
    const isIdle = pooled.client.openTunnels === 0 && this.#usable.has(pooled);
    if (isIdle && pooled.idleTimer === undefined) {
      pooled.idleTimer = pooled.stream.reactor.setTimer(this.#options.limits.idleReleaseMs, () =>
        this.#leave(pooled),
      );
    } else if (!isIdle && pooled.idleTimer !== undefined) {
      pooled.idleTimer.cancel();
      pooled.idleTimer = undefined;
    }
  }

  /** Takes no new tunnels; closes by itself after the last one. */
  #leave(pooled: PooledClient): void {
    if (!this.#usable.delete(pooled)) return;
    this.#leaving.add(pooled);
    pooled.idleTimer?.cancel();
    pooled.client.startDrain();
  }

  #onClosed(pooled: PooledClient): void {
    this.#usable.delete(pooled);
    this.#leaving.delete(pooled);
    pooled.idleTimer?.cancel();
    this.#reportIfEmpty();
  }

  #reportIfEmpty(): void {
    if (this.connections === 0 && this.#waiting.length === 0 && this.#dialling === undefined) {
      this.#options.onEmpty();
    }
  }
}
