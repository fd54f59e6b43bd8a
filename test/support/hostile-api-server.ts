/** An API server of one kind of objects over TLS that does as it should until it is told to misbehave. */

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { KubeCredentials } from '../../src/kube/credentials.ts';
import { KubeClient } from '../../src/kube/kube-client.ts';
import { makeLeaf, makeRoot } from './certificates.ts';

export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
  readonly spec: { readonly value: string };
}

interface StoredEvent {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: StoredObject;
}

/** One request and the answer to it; both are open to any mischief. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

export type Misbehaviour = (exchange: Exchange) => void;

export interface SeenRequest {
  readonly kind: 'list' | 'watch' | 'other';
  readonly path: string;
  readonly query: URLSearchParams;
  readonly atMs: number;
  readonly authorization: string | undefined;
  readonly httpVersion: string;
}

export const THINGS_PATH = '/apis/test.example/v1/things';
/** Tokens that are accepted. */
export const GOOD_TOKEN = 'good';

const root = makeRoot('hostile');
const leaf = makeLeaf(root, { dnsName: 'localhost' });

export class HostileApiServer implements AsyncDisposable {
  /** The next lists and watches are answered by these instead. */
  readonly lists: Misbehaviour[] = [];
  readonly watches: Misbehaviour[] = [];
  /** Answers to whatever is neither. */
  other: Misbehaviour = ({ response }) => answerStatus(response, 404, 'NotFound');
  readonly requests: SeenRequest[] = [];
  /** Connections ever made. */
  connections = 0;
  /** Changes up to this one can no longer be watched. */
  compactedTo = 0;
  /** The kind can be deinstalled. */
  isInstalled = true;
  token = GOOD_TOKEN;
  readonly #server: Server;
  readonly #objects = new Map<string, StoredObject>();
  readonly #events: StoredEvent[] = [];
  readonly #watchers = new Set<ServerResponse>();
  /** Where pages that were promised begin. */
  readonly #continuations = new Set<string>();
  /** By the port of the peer: the TCP sockets below TLS. */
  readonly #sockets = new Map<number, Socket>();
  #version = 1000;
  #uid = 0;

  private constructor() {
    this.#server = createServer({ key: leaf.privateKeyPem, cert: leaf.chainPem }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.keepAliveTimeout = 60_000;
    this.#server.on('connection', (socket: Socket) => {
      this.connections++;
      this.#sockets.set(socket.remotePort ?? 0, socket);
    });
  }

  static async start(): Promise<HostileApiServer> {
    const server = new HostileApiServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  /** @param token asked for each request */
  client(token: () => string = () => GOOD_TOKEN, onRenew: () => void = () => {}): Promise<KubeClient> {
    return KubeClient.with(this.credentials(token, onRenew));
  }

  credentials(token: () => string = () => GOOD_TOKEN, onRenew: () => void = () => {}): KubeCredentials {
    const { port } = this.#server.address() as AddressInfo;
    return {
      server: new URL(`https://localhost:${port}`),
      namespace: 'default',
      proxy: undefined,
      tls: async () => ({ ca: root.certificatePem }),
      headers: async () => ({ authorization: `Bearer ${token()}` }),
      renew: onRenew,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get version(): number {
    return this.#version;
  }

  get openWatches(): number {
    return this.#watchers.size;
  }

  /** What a perfect view would be: name → value. */
  contents(): Record<string, string> {
    return Object.fromEntries([...this.#objects].map(([name, { spec }]) => [name, spec.value]).sort());
  }

  put(name: string, value: string): StoredObject {
    const before = this.#objects.get(name);
    const version = ++this.#version;
    const object: StoredObject = {
      apiVersion: 'test.example/v1',
      kind: 'Thing',
      metadata: {
        name,
        namespace: 'default',
        uid: before?.metadata.uid ?? `uid-${++this.#uid}`,
        resourceVersion: String(version),
      },
      spec: { value },
    };
    this.#objects.set(name, object);
    this.#record({ version, type: before === undefined ? 'ADDED' : 'MODIFIED', object });
    return object;
  }

  remove(name: string): void {
    const before = this.#objects.get(name);
    if (before === undefined) return;
    const version = ++this.#version;
    this.#objects.delete(name);
    const metadata = { ...before.metadata, resourceVersion: String(version) };
    this.#record({ version, type: 'DELETED', object: { ...before, metadata } });
  }

  /** Tells watchers where they are, as an API server does every minute. */
  bookmark(): void {
    const metadata = { resourceVersion: String(this.#version) };
    this.broadcast(`${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Thing', metadata } })}\n`);
  }

  /** Writes to all open watches. */
  broadcast(text: string): void {
    for (const response of this.#watchers) response.write(text);
  }

  /** Ends all open watches: in good order, or by a reset. */
  cutWatches(how: 'close' | 'reset'): void {
    for (const response of this.#watchers) {
      if (how === 'close') response.end();
      else this.reset(response);
    }
    this.#watchers.clear();
  }

  /** The peer sees ECONNRESET. */
  reset(response: ServerResponse): void {
    this.#sockets.get(response.socket?.remotePort ?? 0)?.resetAndDestroy();
  }

  /** Serves a list as it should be. */
  answerList({ response, query }: Exchange): void {
    const limit = Number(query.get('limit') ?? 0) || Number.POSITIVE_INFINITY;
    const token = query.get('continue');
    if (token !== null && !this.#continuations.has(token)) return answerStatus(response, 410, 'Expired');
    const from = Number(token ?? 0);
    const all = [...this.#objects.values()];
    const items = all.slice(from, from + limit);
    const rest = from + items.length < all.length ? String(from + items.length) : undefined;
    if (rest !== undefined) this.#continuations.add(rest);
    const metadata = { resourceVersion: String(this.#version), continue: rest };
    answerJson(response, 200, { kind: 'ThingList', apiVersion: 'test.example/v1', metadata, items });
  }

  /** Serves a watch as it should be. */
  answerWatch({ response, query }: Exchange): void {
    const from = Number(query.get('resourceVersion'));
    if (from < this.compactedTo) return answerStatus(response, 410, 'Expired');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const event of this.#events) if (event.version > from) response.write(lineOf(event));
    this.#watchers.add(response);
    response.on('close', () => this.#watchers.delete(response));
  }

  #record(event: StoredEvent): void {
    this.#events.push(event);
    this.broadcast(lineOf(event));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'https://localhost');
    const isThings = pathname === THINGS_PATH;
    const kind = !isThings ? 'other' : query.get('watch') === 'true' ? 'watch' : 'list';
    const { authorization } = request.headers;
    const { httpVersion } = request;
    this.requests.push({ kind, path: pathname, query, atMs: performance.now(), authorization, httpVersion });
    const exchange = { request, response, query };
    if (authorization !== `Bearer ${this.token}`) return answerStatus(response, 401, 'Unauthorized');
    if (kind === 'other') return this.other(exchange);
    if (!this.isInstalled) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found\n');
      return;
    }
    const misbehaviour = (kind === 'list' ? this.lists : this.watches).shift();
    if (misbehaviour !== undefined) misbehaviour(exchange);
    else if (kind === 'list') this.answerList(exchange);
    else this.answerWatch(exchange);
  }
}

export function lineOf({ type, object }: { readonly type: string; readonly object: object }): string {
  return `${JSON.stringify({ type, object })}\n`;
}

export function answerJson(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function statusObject(code: number, reason: string): object {
  return { kind: 'Status', apiVersion: 'v1', status: 'Failure', code, reason, message: `it is ${reason}` };
}

export function answerStatus(response: ServerResponse, code: number, reason: string): void {
  answerJson(response, code, statusObject(code, reason));
}
