/** The test's end of a caller: makes connections from inside a pod or node and tells what became of them. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type {
  CallerOrders,
  DnsAnswer,
  DnsQuestion,
  HttpAnswer,
  OrderAnswer,
  OrderName,
  ProbeOutcome,
} from './caller-protocol.ts';
import { type ProgramInside, startFileInside } from './program-inside.ts';

const PROGRAM = join(import.meta.dirname, 'pod-caller-main.ts');
/** Longer than anything that a caller does by itself may take. */
const ANSWER_TIMEOUT_MS = 30_000;

/** What the echo server answers to a GET. */
export interface EchoAnswer {
  readonly name: string;
  readonly node: string;
  readonly source: { readonly ip: string; readonly port: number };
  readonly destination: { readonly ip: string; readonly port: number };
}

interface Waiting {
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A connection that stays open for as long as the test wants. */
export interface OpenConnection {
  /** What comes back of what is sent, from an echo server. Rejects with the code of the end when it is cut. */
  exchange(text: string): Promise<string>;
  /** Resolves when the other end closes: `end`, or a code such as ECONNRESET. */
  ending(): Promise<string>;
  close(): Promise<void>;
}

export class PodCaller {
  readonly #child: ProgramInside;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  /** @param enter put before the command, it runs where the caller shall run */
  constructor(enter: readonly string[], env: Readonly<Record<string, string | undefined>>) {
    this.#child = startFileInside(enter, [PROGRAM], env);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#onAnswer(line));
    this.#child.once('close', () => this.#failAll(new Error('the caller has ended')));
  }

  stop(): void {
    this.#child.stdin.end();
  }

  /** Rejects with an error that has the system's code. */
  get(url: string): Promise<HttpAnswer> {
    return this.#order('get', { url });
  }

  /** What an echo server says of the call. */
  async echo(url: string): Promise<EchoAnswer> {
    const { status, body } = await this.get(url);
    assert.equal(status, 200, `${url}: ${body}`);
    return JSON.parse(body) as EchoAnswer;
  }

  /** `ok`, or the code of what went wrong. */
  async outcome(url: string): Promise<string> {
    try {
      const { status } = await this.get(url);
      return status === 200 ? 'ok' : String(status);
    } catch (thrown) {
      return (thrown as NodeJS.ErrnoException).code ?? 'unknown';
    }
  }

  async open(host: string, port: number): Promise<OpenConnection> {
    const { connection } = await this.#order('open', { host, port });
    return {
      exchange: async (text) => (await this.#order('exchange', { connection, text })).text,
      ending: async () => (await this.#order('ending', { connection })).how,
      close: async () => void (await this.#order('close', { connection })),
    };
  }

  probe(host: string, port: number): Promise<ProbeOutcome> {
    return this.#order('probe', { host, port });
  }

  /** Addresses in the order that the resolver library gives them; none when there is no such name. */
  async lookup(name: string, family: 0 | 4 | 6 = 0): Promise<readonly string[]> {
    try {
      return (await this.#order('lookup', { name, family })).addresses;
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'ENOTFOUND' || code === 'ENODATA') return [];
      throw thrown;
    }
  }

  query(name: string, type: DnsQuestion['type'], transport: DnsQuestion['transport'] = 'udp') {
    return this.#order('query', { name, type, transport });
  }

  #order<N extends OrderName>(
    name: N,
    request: CallerOrders[N]['request'],
  ): Promise<CallerOrders[N]['response']> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(
        () => reject(new Error(`no answer to ${name} ${JSON.stringify(request)}`)),
        ANSWER_TIMEOUT_MS,
      );
      const settle = <T>(end: (value: T) => void) => {
        return (value: T) => {
          clearTimeout(deadline);
          end(value);
        };
      };
      this.#waiting.set(id, {
        resolve: settle(resolve as (response: unknown) => void),
        reject: settle(reject),
      });
      this.#child.stdin.write(`${JSON.stringify({ id, name, request })}\n`);
    });
  }

  #onAnswer(line: string): void {
    const answer = JSON.parse(line) as OrderAnswer;
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ('code' in answer) waiting?.reject(Object.assign(new Error(answer.message), { code: answer.code }));
    else waiting?.resolve(answer.response);
  }

  #failAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** The addresses in an answer, sorted. */
export function addressesIn({ records }: DnsAnswer): readonly string[] {
  return records
    .filter(({ type }) => type === 'A' || type === 'AAAA')
    .map(({ data }) => data)
    .sort();
}

/** An IP address as it stands in a URL. */
export function urlHost(ip: string): string {
  return ip.includes(':') ? `[${ip}]` : ip;
}
