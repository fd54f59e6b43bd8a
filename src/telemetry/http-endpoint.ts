/** A small HTTP server for operators and probes: admin pages, metrics, readiness. */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from './log.ts';

/** To an import, node:http shows its WebSocket as well: that loads all of fetch, 40 ms and some MB for nobody. */
const { createServer } = process.getBuiltinModule('node:http');

const log = logger('http');
/** A probe or a person needs less; a slow client must not hold a socket for long. */
const REQUEST_TIMEOUT_MS = 10_000;
/** Connections at once, over which new ones are refused. */
const MAX_CONNECTIONS = 64;
const TEXT = 'text/plain; charset=utf-8';
const FORBIDDEN = { status: 403, body: 'only over loopback: by port-forward, or on the machine itself\n' };

export interface EndpointRequest {
  readonly method: string;
  readonly url: URL;
  readonly accept: string | undefined;
}

export interface EndpointResponse {
  readonly status?: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export type EndpointHandler = (request: EndpointRequest) => EndpointResponse | Promise<EndpointResponse>;

/** Routes are `METHOD /path`; a GET route answers HEAD as well. */
export type EndpointRoutes = Readonly<Record<string, EndpointHandler>>;

/** Loopback as a socket for both families shows it. */
const LOOPBACK = /^(::ffff:)?127\.|^::1$/;

export class HttpEndpoint {
  readonly #server: Server;
  readonly #routes: EndpointRoutes;
  readonly #localRoutes: EndpointRoutes;

  /**
   * @param localRoutes answered only to who connects over loopback: through the API server's port-forward, which asks
   *   for permission, or on the machine itself
   */
  constructor(routes: EndpointRoutes, localRoutes: EndpointRoutes = {}) {
    this.#routes = routes;
    this.#localRoutes = localRoutes;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** Resolves with the port once it listens; rejects when it cannot. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    const { status = 200, contentType = TEXT, headers, body } = await this.#dispatch(request);
    const length = Buffer.byteLength(body);
    response.writeHead(status, { ...headers, 'content-type': contentType, 'content-length': length });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #dispatch(request: IncomingMessage): Promise<EndpointResponse> {
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
    const url = URL.parse(request.url ?? '/', 'http://localhost');
    if (url === null) return { status: 400, body: 'bad request\n' };
    try {
      const route = `${method} ${url.pathname}`;
      const localHandler = this.#localRoutes[route];
      if (localHandler !== undefined && !LOOPBACK.test(request.socket.remoteAddress ?? '')) return FORBIDDEN;
      const handler = localHandler ?? this.#routes[route];
      if (handler === undefined) return this.#unknown(url.pathname);
      return await handler({ method, url, accept: request.headers.accept });
    } catch (thrown) {
      const code = thrown instanceof AmbitError ? thrown.code : undefined;
      log.error('request failed', { url: request.url, error: messageOf(thrown), code });
      return { status: 500, body: `${messageOf(thrown)}\n` };
    }
  }

  /** RFC 9110 §15.5.6: who is told that the method is wrong is told which ones are right. */
  #unknown(path: string): EndpointResponse {
    const methods = [...Object.keys(this.#routes), ...Object.keys(this.#localRoutes)]
      .map((route) => route.split(' '))
      .filter(([, known]) => known === path)
      .flatMap(([method]) => (method === 'GET' ? ['GET', 'HEAD'] : [method!]));
    if (methods.length === 0) return { status: 404, body: 'not found\n' };
    return { status: 405, headers: { allow: methods.join(', ') }, body: 'method not allowed\n' };
  }
}

export function jsonResponse(value: unknown): EndpointResponse {
  return { contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` };
}
