/** Sends a pod's DNS queries on to the nameservers, from a socket in the pod's own network namespace. */

import { randomInt } from 'node:crypto';
import type { IpAddress, SocketAddress } from '../../base/ip.ts';
import { familyOf, parseIp } from '../../base/ip.ts';
import type { Reactor, Timer } from '../../io/reactor.ts';
import { UdpSocket } from '../../io/udp-socket.ts';
import type { NetworkNamespace } from '../../sys/network-namespace.ts';
import { answersQuery } from './dns-message.ts';

/** How long one nameserver may take before the next one is asked, and the last one before the client is told. */
const UPSTREAM_TIMEOUT_MS = 5000;
/** Queries of one pod that may wait for an answer; a pod that floods gets SERVFAIL beyond it. */
export const MAX_PENDING_QUERIES = 1024;
const DNS_PORT = 53;
const ID_SPACE = 0x10000;

export interface ForwardedQuery {
  /** The whole message as the client sent it. */
  readonly message: Uint8Array;
  /** Its question section, which the answer must repeat. */
  readonly question: Uint8Array;
  /** Called exactly once; undefined: nobody answered. `elapsedMs` is the nameserver's time. */
  onAnswer(answer: Uint8Array | undefined, elapsedMs: number): void;
}

interface Pending {
  readonly query: ForwardedQuery;
  readonly clientId: number;
  readonly startedMs: number;
  server: number;
  timer: Timer;
}

/** One per pod and reactor thread. Its sockets are opened with the first query of their family. */
export class DnsForwarder {
  readonly #reactor: Reactor;
  readonly #nameservers: readonly SocketAddress[];
  readonly #options: { readonly namespace: NetworkNamespace; readonly mark: number };
  readonly #sockets = new Map<number, UdpSocket>();
  readonly #pending = new Map<number, Pending>();

  constructor(
    reactor: Reactor,
    nameservers: readonly IpAddress[],
    options: { readonly namespace: NetworkNamespace; readonly mark: number },
  ) {
    this.#reactor = reactor;
    this.#nameservers = nameservers.map((ip) => ({ ip, port: DNS_PORT }));
    this.#options = options;
  }

  get nameservers(): readonly SocketAddress[] {
    return this.#nameservers;
  }

  /** False, without a call of onAnswer, when too many queries wait already or there is no nameserver. */
  forward(query: ForwardedQuery): boolean {
    if (this.#pending.size >= MAX_PENDING_QUERIES || this.#nameservers.length === 0) return false;
    const id = this.#freeId();
    const clientId = (query.message[0]! << 8) | query.message[1]!;
    const timer = this.#reactor.setTimer(UPSTREAM_TIMEOUT_MS, () => this.#onTimeout(id));
    const pending: Pending = { query, clientId, startedMs: this.#reactor.nowMs, server: 0, timer };
    this.#pending.set(id, pending);
    this.#send(id, pending);
    return true;
  }

  close(): void {
    for (const pending of this.#pending.values()) pending.timer.cancel();
    this.#pending.clear();
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** Ids are drawn at random, because a guessable one lets others answer in the nameserver's place. */
  #freeId(): number {
    for (;;) {
      const id = randomInt(ID_SPACE);
      if (!this.#pending.has(id)) return id;
    }
  }

  #send(id: number, pending: Pending): void {
    const server = this.#nameservers[pending.server]!;
    const message = Uint8Array.from(pending.query.message);
    message[0] = id >> 8;
    message[1] = id & 0xff;
    this.#socketFor(server.ip).send(message, server);
  }

  #socketFor(server: IpAddress): UdpSocket {
    const family = familyOf(server);
    const known = this.#sockets.get(family);
    if (known !== undefined) return known;
    const any = parseIp(family === 4 ? '0.0.0.0' : '::')!;
    const socket = UdpSocket.bind(this.#reactor, { ip: any, port: 0 }, this.#options, (data, from) =>
      this.#onMessage(data, from),
    );
    this.#sockets.set(family, socket);
    return socket;
  }

  #onMessage(data: Uint8Array, from: SocketAddress): void {
    if (data.length < 2) return;
    const id = (data[0]! << 8) | data[1]!;
    const pending = this.#pending.get(id);
    const server = pending && this.#nameservers[pending.server];
    if (pending === undefined || from.ip !== server?.ip || from.port !== server.port) return;
    if (!answersQuery(data, id, pending.query.question)) return;
    const answer = Uint8Array.from(data);
    answer[0] = pending.clientId >> 8;
    answer[1] = pending.clientId & 0xff;
    this.#finish(id, pending, answer);
  }

  #onTimeout(id: number): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    pending.server++;
    if (pending.server >= this.#nameservers.length) return this.#finish(id, pending, undefined);
    pending.timer = this.#reactor.setTimer(UPSTREAM_TIMEOUT_MS, () => this.#onTimeout(id));
    this.#send(id, pending);
  }

  #finish(id: number, pending: Pending, answer: Uint8Array | undefined): void {
    pending.timer.cancel();
    this.#pending.delete(id);
    pending.query.onAnswer(answer, this.#reactor.nowMs - pending.startedMs);
  }
}
