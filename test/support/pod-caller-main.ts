/** Runs inside a pod or node and calls others as an application there would, on orders that come on standard input. */

import { lookup } from 'node:dns/promises';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { CallerOrders, HttpAnswer, Order, OrderName, ProbeOutcome } from './caller-protocol.ts';
import { askNameserver, firstNameserver } from './dns-lookup.ts';

type Handlers = {
  readonly [N in OrderName]: (
    request: CallerOrders[N]['request'],
  ) => Promise<CallerOrders[N]['response']> | CallerOrders[N]['response'];
};

const CALL_TIMEOUT_MS = 8000;
const HTTP_REQUEST = 'GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n';

/** A connection that stays open between orders. */
class HeldConnection {
  readonly socket: Socket;
  /** How it was closed by the other end. */
  readonly ending: Promise<string>;
  #received = '';
  #wake: () => void = () => {};
  #how: string | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    let failure: string | undefined;
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#received += text;
      this.#wake();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? error.message;
    });
    this.ending = new Promise((resolve) => {
      socket.once('close', () => {
        this.#how = failure ?? 'end';
        this.#wake();
        resolve(this.#how);
      });
    });
  }

  async exchange(text: string): Promise<string> {
    const deadline = setTimeout(() => this.socket.destroy(coded('ETIMEDOUT')), CALL_TIMEOUT_MS);
    this.socket.write(text);
    while (this.#received.length < text.length) {
      if (this.#how !== undefined) throw coded(this.#how);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(deadline);
    const answer = this.#received.slice(0, text.length);
    this.#received = this.#received.slice(text.length);
    return answer;
  }
}

const connections = new Map<number, HeldConnection>();
let lastConnection = 0;

function held(id: number): HeldConnection {
  const found = connections.get(id);
  if (found === undefined) throw coded('ENOENT');
  return found;
}

const handlers: Handlers = {
  get: ({ url }) => get(url),
  open: async ({ host, port }) => {
    const socket = await open(host, port);
    connections.set(++lastConnection, new HeldConnection(socket));
    return { connection: lastConnection };
  },
  exchange: async ({ connection, text }) => ({ text: await held(connection).exchange(text) }),
  ending: async ({ connection }) => ({ how: await held(connection).ending }),
  close: ({ connection }) => {
    held(connection).socket.destroy();
    connections.delete(connection);
    return {};
  },
  probe: ({ host, port }) => probe(host, port),
  lookup: async ({ name, family }) => {
    const found = await lookup(name, { family, all: true });
    return { addresses: found.map((one) => one.address) };
  },
  query: (question) => askNameserver(firstNameserver(), question),
};

function get(url: string): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    // As an option it holds while the call connects too, which setTimeout() waits for.
    const call = request(url, { agent: false, timeout: CALL_TIMEOUT_MS }, (response) => {
      const { socket } = response;
      const local = { ip: socket.localAddress ?? '', port: socket.localPort ?? 0 };
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('error', reject);
      // Counted when the socket has closed, so that the proxies have seen the same bytes.
      socket.once('close', () => {
        const { bytesWritten: bytesSent, bytesRead: bytesReceived } = socket;
        const { statusCode = 0, headers } = response;
        resolve({ status: statusCode, body, date: headers.date, local, bytesSent, bytesReceived });
      });
    });
    call.on('timeout', () => call.destroy(coded('ETIMEDOUT')));
    call.on('error', reject);
    call.end();
  });
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    const deadline = setTimeout(() => socket.destroy(coded('ETIMEDOUT')), CALL_TIMEOUT_MS);
    socket.once('error', reject);
    socket.once('connect', () => {
      clearTimeout(deadline);
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function probe(host: string, port: number): Promise<ProbeOutcome> {
  let socket: Socket;
  try {
    socket = await open(host, port);
  } catch (thrown) {
    return { kind: 'not connected', code: codeOf(thrown) };
  }
  return new Promise((resolve) => {
    const end = (outcome: ProbeOutcome) => {
      resolve(outcome);
      socket.destroy();
    };
    socket.setTimeout(CALL_TIMEOUT_MS, () => end({ kind: 'closed', code: 'ETIMEDOUT' }));
    socket.on('error', (error) => end({ kind: 'closed', code: codeOf(error) }));
    socket.on('data', (data) => end({ kind: 'answered', text: data.toString('latin1') }));
    socket.on('close', () => end({ kind: 'closed', code: 'end' }));
    socket.write(HTTP_REQUEST);
  });
}

function coded(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}

function codeOf(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException;
  return code ?? message;
}

async function obey({ id, name, request: order }: Order): Promise<void> {
  const handle = handlers[name] as (order: unknown) => unknown;
  try {
    say({ id, response: await handle(order) });
  } catch (thrown) {
    say({ id, code: codeOf(thrown), message: (thrown as Error).message });
  }
}

function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

createInterface({ input: process.stdin })
  .on('line', (line) => void obey(JSON.parse(line) as Order))
  .once('close', () => process.exit(0));
