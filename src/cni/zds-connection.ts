/** One ztunnel on the ZDS socket: its greeting, then requests and answers, strictly one at a time. */

import { closeSync } from 'node:fs';
import { AmbitError, messageOf } from '../base/errors.ts';
import type { SeqpacketHandler, SeqpacketSocket } from '../io/seqpacket.ts';
import { cniErrors } from './errors.ts';
import { readAnswer, readHello, type ZdsPacket } from './zds-packets.ts';

/** For the greeting, for a packet to be taken, and for its answer; Istio's own figure. */
export const EXCHANGE_TIMEOUT_MS = 5_000;

export interface ZdsConnectionEvents {
  onGreeted(connection: ZdsConnection): void;
  /** Exactly once. */
  onClosed(connection: ZdsConnection, error: AmbitError | undefined): void;
}

/** Made when its turn comes, so that it never speaks of a pod that has left meanwhile; undefined: nothing to say. */
export type PreparePacket = () => ZdsPacket | undefined;

interface Exchange {
  readonly prepare: PreparePacket;
  readonly resolve: () => void;
  readonly reject: (error: AmbitError) => void;
}

type State =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'idle' }
  | { readonly kind: 'sending'; readonly exchange: Exchange; readonly packet: ZdsPacket }
  | { readonly kind: 'waiting'; readonly exchange: Exchange }
  | { readonly kind: 'closed' };

export class ZdsConnection implements SeqpacketHandler {
  readonly #socket: SeqpacketSocket;
  readonly #events: ZdsConnectionEvents;
  readonly #timeoutMs: number;
  readonly #queue: Exchange[] = [];
  #state: State = { kind: 'greeting' };
  #timer: NodeJS.Timeout | undefined;

  constructor(socket: SeqpacketSocket, events: ZdsConnectionEvents, timeoutMs: number) {
    this.#socket = socket;
    this.#events = events;
    this.#timeoutMs = timeoutMs;
    socket.handler = this;
    this.#expect('no greeting');
  }

  /**
   * Sends a packet when all before it have been answered; resolves when ztunnel agrees, or when there was nothing to say.
   * Rejects with AMBIT_CNI_ZTUNNEL_REFUSED, _TIMEOUT or _GONE, or what preparing the packet throws.
   */
  request(prepare: PreparePacket): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ prepare, resolve, reject });
      this.#sendNext();
    });
  }

  close(error?: AmbitError): void {
    if (this.#state.kind === 'closed') return;
    this.#finish(error);
    this.#socket.close();
  }

  onMessage(message: Uint8Array, fds: number[]): void {
    try {
      for (const fd of fds) closeSync(fd);
      if (fds.length > 0) throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL('ztunnel sent a descriptor');
      this.#take(message);
    } catch (thrown) {
      this.close(thrown instanceof AmbitError ? thrown : cniErrors.AMBIT_CNI_ZDS_PROTOCOL(messageOf(thrown)));
    }
  }

  onWritable(): void {
    if (this.#state.kind === 'sending') this.#send(this.#state.exchange, this.#state.packet);
  }

  onClosed(error?: AmbitError): void {
    if (this.#state.kind !== 'closed') this.#finish(error);
  }

  #take(message: Uint8Array): void {
    const state = this.#state;
    if (state.kind === 'closed') return;
    if (state.kind === 'greeting') {
      readHello(message);
      this.#rest();
      this.#events.onGreeted(this);
    } else if (state.kind === 'waiting') {
      const refusal = readAnswer(message);
      this.#rest();
      if (refusal === undefined) state.exchange.resolve();
      else state.exchange.reject(cniErrors.AMBIT_CNI_ZTUNNEL_REFUSED(`ztunnel: ${refusal}`));
    } else {
      throw cniErrors.AMBIT_CNI_ZDS_PROTOCOL('ztunnel answered without having been asked');
    }
    this.#sendNext();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#state = { kind: 'idle' };
  }

  #sendNext(): void {
    while (this.#state.kind === 'idle') {
      const exchange = this.#queue.shift();
      if (exchange === undefined) return;
      const packet = prepared(exchange);
      if (packet !== undefined) this.#send(exchange, packet);
    }
    if (this.#state.kind === 'closed') this.#rejectAll();
  }

  #send(exchange: Exchange, packet: ZdsPacket): void {
    const fds = packet.fd === undefined ? [] : [packet.fd];
    if (this.#state.kind !== 'sending') this.#expect('the packet is not taken');
    this.#state = { kind: 'sending', exchange, packet };
    if (!this.#socket.send(packet.message, fds)) return;
    // Sending may have found the connection broken, and said so.
    if (this.#isClosed()) return;
    this.#state = { kind: 'waiting', exchange };
    this.#expect('no answer');
  }

  #isClosed(): boolean {
    return this.#state.kind === 'closed';
  }

  #expect(what: string): void {
    clearTimeout(this.#timer);
    const error = () => cniErrors.AMBIT_CNI_ZTUNNEL_TIMEOUT(`${what} after ${this.#timeoutMs} ms`);
    // An answer that comes later could be taken for the answer to another question, so the connection is over.
    this.#timer = setTimeout(() => this.close(error()), this.#timeoutMs);
  }

  #finish(error: AmbitError | undefined): void {
    const state = this.#state;
    clearTimeout(this.#timer);
    this.#state = { kind: 'closed' };
    if (state.kind === 'sending' || state.kind === 'waiting') state.exchange.reject(error ?? gone());
    this.#rejectAll();
    this.#events.onClosed(this, error);
  }

  #rejectAll(): void {
    for (const exchange of this.#queue.splice(0)) exchange.reject(gone());
  }
}

function prepared(exchange: Exchange): ZdsPacket | undefined {
  try {
    const packet = exchange.prepare();
    if (packet === undefined) exchange.resolve();
    return packet;
  } catch (thrown) {
    exchange.reject(
      thrown instanceof AmbitError ? thrown : cniErrors.AMBIT_CNI_ZDS_PROTOCOL(messageOf(thrown), thrown),
    );
    return undefined;
  }
}

function gone(): AmbitError {
  return cniErrors.AMBIT_CNI_ZTUNNEL_GONE('ztunnel has gone');
}
