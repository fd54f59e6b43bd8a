/** Cluster DNS over UDP and TCP: answers for the cluster's own names, and NXDOMAIN for all others. */

import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { familyOf, type IpAddress } from '../../base/ip.ts';
import {
  type DnsQuery,
  type DnsRecord,
  parseQuery,
  RCODE_FORMAT_ERROR,
  RCODE_OK,
  TYPE_A,
  TYPE_AAAA,
  writeAnswer,
  writeError,
} from '../../ztunnel/dns/dns-message.ts';
import type { DnsTable } from '../kubelet/node-local-messages.ts';

const DNS_PORT = 53;
const RCODE_NAME_ERROR = 3;
/** As CoreDNS gives to Kubernetes names. */
const TTL_SECONDS = 5;
/** RFC 1035 §4.2.2: two bytes of length before every message. */
const MAX_TCP_BYTES = 0xffff;
/** RFC 7766 §6.2.3 asks for a few seconds. */
const TCP_IDLE_MS = 10_000;
const MAX_TCP_CONNECTIONS = 256;
/** An alias may point to another one. */
const MAX_ALIASES = 8;

export class DnsServer {
  #addresses = new Map<string, readonly IpAddress[]>();
  #aliases = new Map<string, string>();
  /** Names that hold no addresses but have names below them exist all the same (RFC 8020). */
  #names = new Set<string>();

  /** Replaces everything that is known. */
  setTable(table: DnsTable): void {
    this.#addresses = new Map(Object.entries(table.addresses));
    this.#aliases = new Map(Object.entries(table.aliases));
    this.#names = new Set([...this.#addresses.keys(), ...this.#aliases.keys()].flatMap(selfAndParents));
  }

  /** Resolves when both ports are open on each address. */
  async listen(addresses: readonly IpAddress[]): Promise<void> {
    const { createSocket } = await import('node:dgram');
    const opened = addresses.flatMap((ip) => [
      this.#listenUdp(createSocket(familyOf(ip) === 4 ? 'udp4' : 'udp6'), ip),
      this.#listenTcp(ip),
    ]);
    await Promise.all(opened);
  }

  #listenUdp(socket: UdpSocket, ip: IpAddress): Promise<void> {
    socket.on('message', (message, peer) => {
      const answer = this.answer(message, 'udp');
      if (answer !== undefined) socket.send(answer, peer.port, peer.address, () => {});
    });
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(DNS_PORT, ip, resolve);
    });
  }

  #listenTcp(ip: IpAddress): Promise<void> {
    const server = createServer((socket) => this.#serveTcp(socket));
    server.maxConnections = MAX_TCP_CONNECTIONS;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(DNS_PORT, ip, resolve);
    });
  }

  #serveTcp(socket: Socket): void {
    let pending = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const answer = this.answer(pending.subarray(2, end), 'tcp');
        pending = pending.subarray(end);
        if (answer === undefined) return void socket.destroy();
        socket.write(Buffer.concat([Buffer.of(answer.length >> 8, answer.length & 0xff), answer]));
      }
    });
  }

  /** The answer to one message; undefined for what is too short to be answered at all. */
  answer(message: Uint8Array, transport: 'udp' | 'tcp'): Uint8Array | undefined {
    const query = parseQuery(message);
    if (query === undefined) return writeError(message, RCODE_FORMAT_ERROR);
    const limit = transport === 'udp' ? query.udpBytes : MAX_TCP_BYTES;
    const records = this.#recordsFor(query);
    const known = records.length > 0 || this.#names.has(query.name);
    return writeAnswer(query, { rcode: known ? RCODE_OK : RCODE_NAME_ERROR, records }, limit);
  }

  #recordsFor(query: DnsQuery): readonly DnsRecord[] {
    const records: DnsRecord[] = [];
    let name = query.name;
    for (let hops = 0; hops < MAX_ALIASES; hops++) {
      const target = this.#aliases.get(name);
      if (target === undefined) break;
      records.push({ kind: 'cname', name, target, ttlSeconds: TTL_SECONDS });
      name = target;
    }
    const wanted = query.type === TYPE_A ? 4 : query.type === TYPE_AAAA ? 6 : undefined;
    const ips = this.#addresses.get(name)?.filter((ip) => familyOf(ip) === wanted) ?? [];
    for (const ip of shuffled(ips)) records.push({ kind: 'address', name, ip, ttlSeconds: TTL_SECONDS });
    return records;
  }
}

function selfAndParents(name: string): readonly string[] {
  const labels = name.split('.');
  return labels.map((_, at) => labels.slice(at).join('.'));
}

/** Clients take the first address: a different one every time spreads them. */
function shuffled<T>(items: readonly T[]): readonly T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
