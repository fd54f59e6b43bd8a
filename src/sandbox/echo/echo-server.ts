/** Answers HTTP with what it saw of the request, and sends TCP and UDP back as they came, on both IP families. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { CallStatistics } from './call-statistics.ts';

export interface EchoServerOptions {
  readonly http: readonly number[];
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
  /** Of the pod, as callers are told. */
  readonly name: string;
  readonly namespace: string;
  readonly node: string;
  /** Open every TCP connection with the line `hello from NAME`. */
  readonly greeting: boolean;
  /** Called on every HTTP request before it is answered, as a service calls the ones it needs; 502 when one fails. */
  readonly calls: readonly URL[];
}

/** How long a service that was called may take. */
const CALL_TIMEOUT_MS = 5000;

interface Closable {
  close(): unknown;
}

/** A caller may not make the server keep a request for longer, */
const MAX_DELAY_MS = 60_000;
/** nor send more than this for one request, in bytes. */
const MAX_SIZE = 1024 ** 3;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

export class EchoServer {
  readonly #options: EchoServerOptions;
  readonly #servers: Closable[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(options: EchoServerOptions) {
    this.#options = options;
  }

  /** Resolves when every port is open. Rejects with the system's error when one cannot be opened. */
  async start(): Promise<void> {
    const { http, tcp, udp } = this.#options;
    await Promise.all([
      ...http.map((port) => this.#listenHttp(port)),
      ...tcp.map((port) => this.#listenTcp(port)),
      ...udp.map((port) => this.#listenUdp(port)),
    ]);
  }

  /** Ends at once: what is open is cut. */
  stop(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #listenHttp(port: number): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    return this.#listen(server, port);
  }

  async #listenTcp(port: number): Promise<void> {
    const { createServer: createTcpServer } = await import('node:net');
    const server = createTcpServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on('error', () => socket.destroy());
      if (this.#options.greeting) socket.write(`hello from ${this.#options.name}\n`);
      socket.pipe(socket);
    });
    return this.#listen(server as Server, port);
  }

  /** Without an address Node listens on `::` for both families, or on 0.0.0.0 where IPv6 is off. */
  #listen(server: Server, port: number): Promise<void> {
    this.#servers.push(server);
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, () => resolve());
    });
  }

  async #listenUdp(port: number): Promise<void> {
    const { createSocket } = await import('node:dgram');
    const open = (type: 'udp4' | 'udp6') =>
      new Promise<void>((resolve, reject) => {
        const socket = createSocket({ type });
        socket.on('message', (message, peer) => socket.send(message, peer.port, peer.address, () => {}));
        socket.once('error', reject);
        socket.bind(port, () => {
          this.#servers.push(socket);
          resolve();
        });
      });
    await open('udp6').catch(() => open('udp4'));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const query = new URL(request.url ?? '/', 'http://echo').searchParams;
    let bodyBytes = 0;
    try {
      for await (const chunk of request) bodyBytes += (chunk as Buffer).length;
      await pause(bounded(query.get('delay'), MAX_DELAY_MS));
    } catch {
      return;
    }
    const calls = await this.#callOthers();
    const status = calls !== undefined && calls.failed > 0 ? 502 : bounded(query.get('status'), 599);
    response.statusCode = Math.max(status, 200);
    response.setHeader('x-echo-name', this.#options.name);
    const size = bounded(query.get('size'), MAX_SIZE);
    if (size > 0) return sendBytes(response, size);
    const text = JSON.stringify({ ...this.#describe(request, bodyBytes), calls });
    response.setHeader('content-type', 'application/json');
    response.end(`${text}\n`);
  }

  async #callOthers(): Promise<CallStatistics | undefined> {
    const { calls } = this.#options;
    if (calls.length === 0) return undefined;
    const { EchoClient } = await import('./echo-client.ts');
    const client = new EchoClient({
      targets: calls,
      count: calls.length,
      intervalMs: 0,
      connections: calls.length,
      timeoutMs: CALL_TIMEOUT_MS,
      keepAlive: false,
      onCall: () => {},
    });
    return client.run();
  }

  #describe(request: IncomingMessage, bodyBytes: number): Readonly<Record<string, unknown>> {
    const { name, namespace, node } = this.#options;
    const { remoteAddress, remotePort, localAddress, localPort } = request.socket;
    return {
      name,
      namespace,
      node,
      source: { ip: plainIp(remoteAddress), port: remotePort },
      destination: { ip: plainIp(localAddress), port: localPort },
      method: request.method,
      path: request.url,
      headers: request.headers,
      bodyBytes,
    };
  }
}

function sendBytes(response: ServerResponse, size: number): void {
  response.setHeader('content-length', size);
  let left = size;
  const more = () => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
      left -= chunk.length;
      if (!response.write(chunk)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

/** A whole number from a query string, 0 when it is none. */
function bounded(text: string | null, max: number): number {
  return text !== null && /^\d{1,12}$/.test(text) ? Math.min(Number(text), max) : 0;
}

function pause(delayMs: number): Promise<void> | undefined {
  return delayMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** A listener for both families sees IPv4 callers as ::ffff:1.2.3.4. */
function plainIp(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}
