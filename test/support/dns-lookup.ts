/** Asks a nameserver one question over UDP or TCP and reads the answer, compressed names included. */

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { encodeName } from '../../src/ztunnel/dns/dns-message.ts';
import type { DnsAnswer, DnsQuestion } from './caller-protocol.ts';

const TYPES: Readonly<Record<string, number>> = { A: 1, CNAME: 5, TXT: 16, AAAA: 28 };
const HEADER_BYTES = 12;
const TIMEOUT_MS = 8000;

/** The first nameserver of this machine's resolv.conf. */
export function firstNameserver(): string {
  const found = /^nameserver\s+(\S+)/m.exec(readFileSync('/etc/resolv.conf', 'utf8'));
  if (found === null) throw new Error('resolv.conf names no server');
  return found[1]!;
}

export async function askNameserver(server: string, question: DnsQuestion): Promise<DnsAnswer> {
  const id = randomInt(0x10000);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const query = Buffer.concat([header, encodeName(question.name), Buffer.of(0, TYPES[question.type]!, 0, 1)]);
  const answer = await (question.transport === 'udp' ? overUdp(server, query) : overTcp(server, query));
  if (answer.readUInt16BE(0) !== id) throw new Error('the answer is to another question');
  return readAnswer(answer);
}

function overUdp(server: string, query: Buffer): Promise<Buffer> {
  const socket = createSocket(server.includes(':') ? 'udp6' : 'udp4');
  return new Promise<Buffer>((resolve, reject) => {
    setTimeout(() => reject(new Error('timeout')), TIMEOUT_MS).unref();
    socket.once('error', reject).once('message', resolve);
    socket.send(query, 53, server);
  }).finally(() => socket.close());
}

async function overTcp(server: string, query: Buffer): Promise<Buffer> {
  const socket = connect({ host: server, port: 53 });
  socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timeout')));
  socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 0xff), query]));
  let got = Buffer.alloc(0);
  for await (const chunk of socket) {
    got = Buffer.concat([got, chunk as Buffer]);
    if (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) return got.subarray(2);
  }
  throw new Error('closed before the answer');
}

function readAnswer(message: Buffer): DnsAnswer {
  let at = HEADER_BYTES;
  for (let i = 0; i < message.readUInt16BE(4); i++) at = readName(message, at).end + 4;
  const records: DnsAnswer['records'][number][] = [];
  for (let i = 0; i < message.readUInt16BE(6); i++) {
    const name = readName(message, at);
    const type = message.readUInt16BE(name.end);
    const start = name.end + 10;
    at = start + message.readUInt16BE(name.end + 8);
    const data =
      type === TYPES.CNAME ? readName(message, start).text : addressText(message.subarray(start, at));
    const typeName = Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? String(type);
    records.push({ type: typeName, name: name.text, data });
  }
  return { rcode: message[3]! & 0x0f, records };
}

function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } {
  const labels: string[] = [];
  let at = start;
  let end: number | undefined;
  for (let length = message[at]!; length !== 0; length = message[at]!) {
    if (length >= 0xc0) {
      end ??= at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
    } else {
      labels.push(message.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
  return { text: labels.join('.'), end: end ?? at + 1 };
}

/** Canonical text of 4 or 16 bytes; anything else in hexadecimal. */
function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return bytes.toString('hex');
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16));
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1);
}
