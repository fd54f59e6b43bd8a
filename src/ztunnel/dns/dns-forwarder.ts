/** Sends a pod's DNS queries on to the nameservers, from sockets in the pod's own network namespace. */

import { randomInt } from 'node:crypto';
import { messageOf } from '../../base/errors.ts';
import { IdMap } from '../../base/id-map.ts';
import { familyOf, type IpAddress, parseIp, type SocketAddress } from '../../base/ip.ts';
import type { Reactor, Timer } from '../../io/reactor.ts';
import { UdpSocket } from '../../io/udp-socket.ts';
import type { NetworkNamespace } from '../../sys/network-namespace.ts';
import { answersQuery } from './dns-message.ts';
import { DnsTcpExchange } from './dns-tcp-exchange.ts';

/** How long one nameserver may take before the next one is asked, and the last one before the client is told. */
const UPSTREAM_TIMEOUT_MS = 5000;
/** Queries of one pod that may wait for an answer; a pod that floods gets SERVFAIL beyond it. */
export const MAX_PENDING_QUERIES = 1024;
const DNS_PORT = 53;
const ID_SPACE = 0x10000;

export interface ForwardedQuery {
  readonly protocol: 'udp' | 'tcp';
  /** The whole message as the client sent it. */
  readonly message: Uint8Array;
  /** Its question section, which the answer must repeat. */
  readonly question: Uint8Array;
  /** Called exactly once; undefined: nobody answered. `elapsedMs` is the nameserver's time. */
  onAnswer(answer: Uint8Array | undefined, elapsedMs: number): void;
}

interface Pending {
  /** In the question to the nameserver. */
  readonly id: number;
  readonly query: ForwardedQuery;
  readonly clientId: number;
  readonly startedMs: number;
  server: number;
  /** Ends the attempt that is under way. */
  cancel: () => void;
}

export interface ForwarderOptions {
  readonly namespace: NetworkNamespace;
  readonly mark: number;
  /** There was no descriptor for a socket to ask from. */
  onExhausted(error: string): void;
}

/** One per pod and reactor thread. UDP sockets are opened with the first query of their family. */
export class DnsForwarder {
  readonly #reactor: Reactor;
  readonly #nameservers: readonly SocketAddress[];
  readonly #options: Pick<ForwarderOptions, 'namespace' | 'mark'>;
  readonly #onExhausted: (error: string) => void;
  readonly #sockets = new Map<number, UdpSocket>();
  readonly #pending = new IdMap<Pending>();

  constructor(reactor: Reactor, nameservers: readonly IpAddress[], options: ForwarderOptions) {
    this.#reactor = reactor;
    this.#nameservers = nameservers.map((ip) => ({ ip, port: DNS_PORT }));
    this.#options = { namespace: options.namespace, mark: options.mark };
    this.#onExhausted = (error) => options.onExhausted(error);
  }

  /** Queries that wait for a nameserver. */
  get pending(): number {
    return this.#pending.size;
  }

  /** False, without a call of onAnswer, when too many queries wait already. Without a nameserver nobody answers. */
  forward(query: ForwardedQuery): boolean {
    if (this.#pending.size >= MAX_PENDING_QUERIES) return false;
    if (this.#nameservers.length === 0) {
      query.onAnswer(undefined, 0);
      return true;
    }
    const id = this.#freeId();
    const clientId = (query.message[0]! << 8) | query.message[1]!;
    const pending: Pending = {
      id,
      query,
      clientId,
      startedMs: this.#reactor.nowMs,
      server: 0,
      cancel: () => {},
    };
    this.#pending.add(pending);
    this.#ask(pending);
    return true;
  }

  close(): void {
    for (const pending of this.#pending.values()) {
      pending.cancel();
      this.#pending.delete(pending.id);
    }
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** Ids are drawn at random, because a guessable one lets others answer in the nameserver's place. */
  #freeId(): number {
    for (;;) {
      const id = randomInt(ID_SPACE);
      if (this.#pending.get(id) === undefined) return id;
    }
  }

  #ask(pending: Pending): void {
    const server = this.#nameservers[pending.server]!;
    const message = withId(pending.query.message, pending.id);
    if (pending.query.protocol === 'tcp') this.#askOverTcp(pending, { server, message });
    else this.#askOverUdp(pending, { server, message });
  }

  #askOverUdp(pending: Pending, to: { server: SocketAddress; message: Uint8Array }): void {
    const socket = this.#socketFor(to.server.ip);
    // Without descriptors no other nameserver could be asked either.
    if (socket === undefined) return this.#finish(pending, undefined);
    const timer: Timer = this.#reactor.setTimer(UPSTREAM_TIMEOUT_MS, () => this.#nextServer(pending));
    pending.cancel = () => timer.cancel();
    socket.send(to.message, to.server);
  }

  #askOverTcp(pending: Pending, to: { server: SocketAddress; message: Uint8Array }): void {
    const exchange = new DnsTcpExchange(this.#reactor, {
      ...to,
      socket: this.#options,
      timeoutMs: UPSTREAM_TIMEOUT_MS,
      onAnswer: (answer) => {
        const good = answer !== undefined && answersQuery(answer, pending.id, pending.query.question);
        if (good) this.#finish(pending, answer);
        else this.#nextServer(pending);
      },
    });
    pending.cancel = () => exchange.cancel();
  }

  #socketFor(server: IpAddress): UdpSocket | undefined {
    const family = familyOf(server);
    const known = this.#sockets.get(family);
    if (known !== undefined) return known;
    const any = parseIp(family === 4 ? '0.0.0.0' : '::')!;
    try {
      const socket = UdpSocket.bind(this.#reactor, { ip: any, port: 0 }, this.#options, (data, from) =>
        this.#onDatagram(data, from),
      );
      this.#sockets.set(family, socket);
      return socket;
    } catch (thrown) {
      this.#onExhausted(messageOf(thrown));
      return undefined;
    }
  }

  #onDatagram(data: Uint8Array, from: SocketAddress): void {
    if (data.length < 2) return;
    const id = (data[0]! << 8) | data[1]!;
    const pending = this.#pending.get(id);
    const server = pending && this.#nameservers[pending.server];
    if (pending?.query.protocol !== 'udp' || from.ip !== server?.ip || from.port !== server.port) return;
    if (answersQuery(data, id, pending.query.question)) this.#finish(pending, data);
  }

  #nextServer(pending: Pending): void {
    pending.server++;
    if (pending.server >= this.#nameservers.length) return this.#finish(pending, undefined);
    this.#ask(pending);
  }

  #finish(pending: Pending, answer: Uint8Array | undefined): void {
    pending.cancel();
    this.#pending.delete(pending.id);
    const restored = answer && withId(answer, pending.clientId);
    pending.query.onAnswer(restored, this.#reactor.nowMs - pending.startedMs);
  }
}

/** A copy of the message under another id. */
function withId(message: Uint8Array, id: number): Uint8Array {
  const copy = Uint8Array.from(message);
  copy[0] = id >> 8;
  copy[1] = id & 0xff;
  return copy;
}
