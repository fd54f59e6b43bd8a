/** The DNS server of one pod: answers names of the mesh from the mesh state, and forwards everything else. */

import { DenseSet } from '../../base/dense-set.ts';
import { type IpAddress, type IpFamily, parseIp, type SocketAddress } from '../../base/ip.ts';
import { TokenBucket, type TokenBucketOptions } from '../../base/token-bucket.ts';
import type { Reactor } from '../../io/reactor.ts';
import { TcpListener } from '../../io/tcp-listener.ts';
import { UdpSocket } from '../../io/udp-socket.ts';
import type { DnsResolution } from '../../mesh/dns-resolution.ts';
import type { NetworkNamespace } from '../../sys/network-namespace.ts';
import type { SeriesStore } from '../../telemetry/series-store.ts';
import {
  DNS_REQUESTS,
  DNS_UPSTREAM_FAILURES,
  DNS_UPSTREAM_REQUESTS,
  DNS_UPSTREAM_SECONDS,
} from '../telemetry/metric-definitions.ts';
import { DnsForwarder } from './dns-forwarder.ts';
import {
  type DnsQuery,
  type DnsRecord,
  parseQuery,
  queryTypeName,
  RCODE_FORMAT_ERROR,
  RCODE_OK,
  RCODE_SERVER_FAILURE,
  TYPE_A,
  TYPE_AAAA,
  writeAnswer,
  writeError,
} from './dns-message.ts';
import { DnsTcpSession } from './dns-tcp-session.ts';

export const DNS_PROXY_PORT = 15053;
const TTL_SECONDS = 30;
/** Connections at once of one pod's resolver library, which opens one per query at most. */
const MAX_TCP_SESSIONS = 64;
const TCP_LIMIT_BYTES = 0xffff;

/** Who asks, for the labels of the metrics. */
export interface DnsClient {
  readonly canonicalService: string;
  readonly canonicalRevision: string;
}

export interface DnsProxyOptions {
  readonly reactor: Reactor;
  readonly store: SeriesStore;
  readonly namespace: NetworkNamespace;
  readonly mark: number;
  readonly nameservers: readonly IpAddress[];
  /** Whether AAAA questions may be answered with addresses. */
  readonly ipv6: boolean;
  /** How many may be asked; a query beyond it gets no answer, which costs the least. */
  readonly queries: TokenBucketOptions;
  onLimit(limit: 'dns_queries_per_pod' | 'dns_tcp_sessions' | 'dns_pending_queries'): void;
  /** There was no descriptor for a socket to ask nameservers from. */
  onExhausted(error: string): void;
  resolve(name: string): DnsResolution;
  client(): DnsClient;
}

type Reply = (message: Uint8Array) => void;

export class DnsProxy {
  readonly #options: DnsProxyOptions;
  readonly #forwarder: DnsForwarder;
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: TcpListener[] = [];
  readonly #sessions = new DenseSet<DnsTcpSession>();
  readonly #allowance: TokenBucket;

  /** @throws AmbitError when the sockets on the pod's IPv4 loopback cannot be opened. */
  constructor(options: DnsProxyOptions) {
    this.#options = options;
    this.#allowance = new TokenBucket(options.queries, options.reactor.nowMs);
    this.#forwarder = new DnsForwarder(options.reactor, options.nameservers, options);
  }

  /** Opens the listeners on one loopback address of the pod. */
  listen(ip: IpAddress): void {
    const { reactor, namespace, mark } = this.#options;
    const address: SocketAddress = { ip, port: DNS_PROXY_PORT };
    const socketOptions = { namespace, mark, reusePort: true };
    const udp = UdpSocket.bind(reactor, address, socketOptions, (data, from) => {
      this.#onMessage(data, 'udp', (answer) => void udp.send(answer, from));
    });
    this.#udp.push(udp);
    const tcp = TcpListener.listen(reactor, address, socketOptions, (socket) => {
      if (this.#sessions.size >= MAX_TCP_SESSIONS) {
        this.#options.onLimit('dns_tcp_sessions');
        return socket.close();
      }
      this.#sessions.add(
        new DnsTcpSession(socket, {
          onMessage: (message, session) => this.#onMessage(message, 'tcp', (answer) => session.send(answer)),
          onEnd: (session) => this.#sessions.delete(session),
        }),
      );
    });
    this.#tcp.push(tcp);
  }

  /** Whether somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#forwarder.pending > 0;
  }

  /** New questions go to the sockets with this index in their groups; those that are here are answered. */
  steer(index: number): void {
    for (const socket of [...this.#udp, ...this.#tcp]) socket.steer(index);
  }

  /** Clients that come by TCP now are not answered: they ask again when only others listen. */
  ignoreNew(): void {
    for (const listener of this.#tcp) listener.ignoreNew();
  }

  /** Takes no new TCP connections. The UDP sockets stay, since answers leave through them. */
  stopAccepting(): void {
    for (const listener of this.#tcp.splice(0)) listener.closeEmptied();
  }

  close(): void {
    for (const socket of [...this.#udp.splice(0), ...this.#tcp.splice(0)]) socket.close();
    for (const session of [...this.#sessions]) session.close();
    this.#forwarder.close();
  }

  #onMessage(data: Uint8Array, protocol: 'udp' | 'tcp', reply: Reply): void {
    if (!this.#allowance.take(this.#options.reactor.nowMs))
      return this.#options.onLimit('dns_queries_per_pod');
    const query = parseQuery(data);
    if (query === undefined) {
      const error = writeError(data, RCODE_FORMAT_ERROR);
      if (error !== undefined && (data[2]! & 0x80) === 0) reply(error);
      return;
    }
    const labels = this.#labels(query, protocol);
    this.#count(DNS_REQUESTS, labels);
    const resolution = this.#options.resolve(query.name);
    if (resolution.kind === 'forward' || !isAddressType(query.type))
      this.#forward(query, { message: Uint8Array.from(data), protocol }, labels, reply);
    else reply(this.#answer(query, resolution, protocol));
  }

  #answer(
    query: DnsQuery,
    found: DnsResolution & { kind: 'addresses' },
    protocol: 'udp' | 'tcp',
  ): Uint8Array {
    const family: IpFamily = query.type === TYPE_A ? 4 : 6;
    const addresses = family === 4 ? found.v4 : this.#options.ipv6 ? found.v6 : [];
    const records: DnsRecord[] = [];
    const owner = found.canonicalName ?? query.name;
    if (found.canonicalName !== undefined) {
      records.push({ kind: 'cname', name: query.name, target: found.canonicalName, ttlSeconds: TTL_SECONDS });
    }
    for (const ip of shuffled(addresses))
      records.push({ kind: 'address', name: owner, ip, ttlSeconds: TTL_SECONDS });
    return writeAnswer(
      query,
      { rcode: RCODE_OK, records },
      protocol === 'udp' ? query.udpBytes : TCP_LIMIT_BYTES,
    );
  }

  #forward(
    query: DnsQuery,
    asked: { readonly message: Uint8Array; readonly protocol: 'udp' | 'tcp' },
    labels: readonly string[],
    reply: Reply,
  ): void {
    this.#count(DNS_UPSTREAM_REQUESTS, labels);
    const failed = () => {
      this.#count(DNS_UPSTREAM_FAILURES, labels);
      reply(writeAnswer(query, { rcode: RCODE_SERVER_FAILURE, records: [] }, query.udpBytes));
    };
    const accepted = this.#forwarder.forward({
      ...asked,
      question: query.question,
      onAnswer: (answer, elapsedMs) => {
        if (answer === undefined) return failed();
        const { store } = this.#options;
        store.observe(DNS_UPSTREAM_SECONDS, store.series(DNS_UPSTREAM_SECONDS, labels), elapsedMs / 1000);
        reply(answer);
      },
    });
    if (!accepted) {
      this.#options.onLimit('dns_pending_queries');
      failed();
    }
  }

  #labels(query: DnsQuery, protocol: 'udp' | 'tcp'): string[] {
    const { canonicalService, canonicalRevision } = this.#options.client();
    return [queryTypeName(query.type), protocol, canonicalService, canonicalRevision];
  }

  #count(metric: string, labels: readonly string[]): void {
    const { store } = this.#options;
    store.add(store.series(metric, labels), 1);
  }
}

/** Clients take the first address, so the order is what spreads them. */
function shuffled<T>(items: readonly T[]): T[] {
  const out = [...items];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

function isAddressType(type: number): boolean {
  return type === TYPE_A || type === TYPE_AAAA;
}

export const LOOPBACK_V4 = parseIp('127.0.0.1')!;
export const LOOPBACK_V6 = parseIp('::1')!;
