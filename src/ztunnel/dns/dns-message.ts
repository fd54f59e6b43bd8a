/** DNS messages (RFC 1035, RFC 6891): reading a query, writing an answer; everything else passes through untouched. */

import { type IpAddress, ipToBytes } from '../../base/ip.ts';

export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_AAAA = 28;
const TYPE_OPT = 41;
const CLASS_IN = 1;

export const RCODE_OK = 0;
export const RCODE_FORMAT_ERROR = 1;
export const RCODE_SERVER_FAILURE = 2;

const HEADER_BYTES = 12;
/** RFC 1035 §2.3.4. */
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
/** RFC 1035 §4.2.1: what a client without EDNS takes over UDP. */
const PLAIN_UDP_BYTES = 512;
/** What we answer at most over UDP, so that no fragment is needed (DNS flag day 2020). */
const MAX_UDP_BYTES = 1232;

const FLAG_RESPONSE = 0x8000;
const FLAG_AUTHORITATIVE = 0x0400;
const FLAG_TRUNCATED = 0x0200;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const OPCODE_MASK = 0x7800;

const QUERY_TYPES: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [2, 'NS'],
  [5, 'CNAME'],
  [6, 'SOA'],
  [12, 'PTR'],
  [15, 'MX'],
  [16, 'TXT'],
  [28, 'AAAA'],
  [33, 'SRV'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [255, 'ANY'],
]);

/** A standard query with exactly one question of class IN. */
export interface DnsQuery {
  readonly id: number;
  readonly recursionDesired: boolean;
  /** Lower case, without the final dot; the root is the empty string. */
  readonly name: string;
  readonly type: number;
  /** The question as it stood in the query, to be repeated letter for letter. */
  readonly question: Uint8Array;
  /** Largest UDP answer that the client takes. */
  readonly udpBytes: number;
  readonly edns: boolean;
}

/** One record of an answer. */
export type DnsRecord =
  | { readonly kind: 'address'; readonly name: string; readonly ip: IpAddress; readonly ttlSeconds: number }
  | { readonly kind: 'cname'; readonly name: string; readonly target: string; readonly ttlSeconds: number };

/** Reads a query; undefined for what is not one that we could answer (it may still be forwarded). */
export function parseQuery(bytes: Uint8Array): DnsQuery | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = (bytes[2]! << 8) | bytes[3]!;
  if ((flags & (FLAG_RESPONSE | OPCODE_MASK)) !== 0 || count(bytes, 4) !== 1) return undefined;
  const name = readName(bytes, HEADER_BYTES);
  if (name === undefined || name.end + 4 > bytes.length) return undefined;
  const type = (bytes[name.end]! << 8) | bytes[name.end + 1]!;
  if (((bytes[name.end + 2]! << 8) | bytes[name.end + 3]!) !== CLASS_IN) return undefined;
  const end = name.end + 4;
  const ednsBytes = readEdnsSize(bytes, end);
  return {
    id: (bytes[0]! << 8) | bytes[1]!,
    recursionDesired: (flags & FLAG_RECURSION_DESIRED) !== 0,
    name: name.text,
    type,
    question: bytes.slice(HEADER_BYTES, end),
    udpBytes: Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, ednsBytes ?? 0)),
    edns: ednsBytes !== undefined,
  };
}

/** `A`, `AAAA`, … or `TYPE123`: a bounded set of label values for metrics. */
export function queryTypeName(type: number): string {
  return QUERY_TYPES.get(type) ?? 'OTHER';
}

/** Whether `response` answers the question of this query: same id and same question bytes. */
export function answersQuery(response: Uint8Array, id: number, question: Uint8Array): boolean {
  if (response.length < HEADER_BYTES + question.length) return false;
  if (((response[0]! << 8) | response[1]!) !== id || (response[2]! & 0x80) === 0) return false;
  return question.every((byte, i) => lower(response[HEADER_BYTES + i]!) === lower(byte));
}

/**
 * Writes an answer. Over UDP (`limit` bytes) records that do not fit are left out and the answer says that it is cut
 * short, so that the client asks again over TCP.
 */
export function writeAnswer(
  query: DnsQuery,
  answer: { readonly rcode: number; readonly records: readonly DnsRecord[] },
  limit: number,
): Uint8Array {
  const writer = new Writer(Math.min(limit, 0xffff));
  writer.skip(HEADER_BYTES);
  writer.bytes(query.question);
  const reserved = query.edns ? OPT_RECORD.length : 0;
  let written = 0;
  while (written < answer.records.length && writer.record(answer.records[written]!, reserved)) written++;
  if (query.edns) writer.bytes(OPT_RECORD);
  const cut = written < answer.records.length ? FLAG_TRUNCATED : 0;
  const desired = query.recursionDesired ? FLAG_RECURSION_DESIRED : 0;
  const flags = FLAG_RESPONSE | FLAG_AUTHORITATIVE | FLAG_RECURSION_AVAILABLE | cut | desired | answer.rcode;
  writer.header([query.id, flags, 1, written, 0, query.edns ? 1 : 0]);
  return writer.done();
}

/** An answer that only carries a code, for a message that could not be read as a query; undefined if it has no id. */
export function writeError(request: Uint8Array, rcode: number): Uint8Array | undefined {
  if (request.length < HEADER_BYTES) return undefined;
  const answer = new Uint8Array(HEADER_BYTES);
  answer.set(request.subarray(0, 2));
  answer[2] = 0x80 | (request[2]! & 0x79);
  answer[3] = 0x80 | rcode;
  return answer;
}

/** An OPT record that announces MAX_UDP_BYTES (RFC 6891 §6.1.2). */
const OPT_RECORD = Uint8Array.of(0, 0, TYPE_OPT, MAX_UDP_BYTES >> 8, MAX_UDP_BYTES & 0xff, 0, 0, 0, 0, 0, 0);

function count(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
}

/** Reads a name without compression, which a question has no use for. */
function readName(bytes: Uint8Array, start: number): { text: string; end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = bytes[at];
    if (length === undefined || length > MAX_LABEL_BYTES || at - start > MAX_NAME_BYTES) return undefined;
    at++;
    if (length === 0) return { text: labels.join('.'), end: at };
    if (at + length > bytes.length) return undefined;
    let label = '';
    for (let i = 0; i < length; i++) label += String.fromCharCode(lower(bytes[at + i]!));
    if (label.includes('.')) return undefined;
    labels.push(label);
    at += length;
  }
}

/** The UDP size in an OPT record that directly follows the question, which is where every resolver puts it. */
function readEdnsSize(bytes: Uint8Array, at: number): number | undefined {
  const onlyAdditional = count(bytes, 6) === 0 && count(bytes, 8) === 0 && count(bytes, 10) > 0;
  if (!onlyAdditional || at + OPT_RECORD.length > bytes.length || bytes[at] !== 0) return undefined;
  return count(bytes, at + 1) === TYPE_OPT ? count(bytes, at + 3) : undefined;
}

/** Writes into a buffer of a fixed size; what does not fit leaves it as it was. */
class Writer {
  readonly #out: Uint8Array;
  #end = 0;

  constructor(limit: number) {
    this.#out = new Uint8Array(limit);
  }

  skip(length: number): void {
    this.#end += length;
  }

  bytes(bytes: Uint8Array): void {
    this.#out.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  header(words: readonly number[]): void {
    words.forEach((word, i) => {
      this.#out[i * 2] = word >> 8;
      this.#out[i * 2 + 1] = word & 0xff;
    });
  }

  /** False when the record does not fit and leave `reserved` bytes free. */
  record(record: DnsRecord, reserved: number): boolean {
    const data = record.kind === 'address' ? ipToBytes(record.ip) : encodeName(record.target);
    const name = encodeName(record.name);
    if (this.#end + name.length + 10 + data.length + reserved > this.#out.length) return false;
    const ipType = data.length === 4 ? TYPE_A : TYPE_AAAA;
    const type = record.kind === 'cname' ? TYPE_CNAME : ipType;
    const ttl = record.ttlSeconds;
    this.bytes(name);
    this.bytes(Uint8Array.of(type >> 8, type & 0xff, 0, CLASS_IN));
    this.bytes(Uint8Array.of(ttl >>> 24, ttl >>> 16, ttl >>> 8, ttl, data.length >> 8, data.length & 0xff));
    this.bytes(data);
    return true;
  }

  done(): Uint8Array {
    return this.#out.subarray(0, this.#end);
  }
}

/** The uncompressed form of a name given in text. */
export function encodeName(name: string): Uint8Array {
  const labels = name === '' ? [] : name.split('.');
  const out = new Uint8Array(labels.reduce((sum, label) => sum + label.length + 1, 1));
  let at = 0;
  for (const label of labels) {
    out[at++] = label.length;
    for (let i = 0; i < label.length; i++) out[at++] = label.charCodeAt(i);
  }
  return out;
}
