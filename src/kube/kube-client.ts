/** A client of one Kubernetes API server: requests, streams and server-side apply over one pool of connections. */

import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import type { Dispatcher } from 'undici';
import { messageOf } from '../base/errors.ts';
import { VERSION } from '../base/version.ts';
import { ApiDiscovery, type ApiResource } from './api-discovery.ts';
import type { ConnectOptions } from './connect-options.ts';
import { openPool } from './connection-pool.ts';
import type { KubeCredentials } from './credentials.ts';
import { kubeErrors } from './errors.ts';
import { findCredentials } from './find-credentials.ts';
import { KubeRequestError, parseFailure } from './kube-request-error.ts';

/** How long a request takes at most, unless it says otherwise; the API server itself gives up after 60 s. */
const REQUEST_TIMEOUT_MS = 30_000;
/** A server that asks to wait is asked again this often, within the time of the request. */
const MAX_RETRIES = 5;
/** One answer; a page of 500 objects is 1 MB to 20 MB. Larger ones are refused. */
export const MAX_RESPONSE_BYTES = 256 * 1024 * 1024;
const JSON_TYPE = 'application/json';
const APPLY_TYPE = 'application/apply-patch+yaml';
export const MERGE_PATCH_TYPE = 'application/merge-patch+json';

export interface KubeRequest {
  /** GET when absent. */
  readonly method?: Dispatcher.HttpMethod;
  /** Below the base URL, such as `/api/v1/pods`; see {@link KubeClient.pathOf}. */
  readonly path: string;
  /** What is undefined is left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; `application/json` when absent. */
  readonly contentType?: string;
  /** Until the answer is complete; of a stream, until it begins. 30 s when absent. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** The body of an answer while it comes; whoever stops reading early destroys it. */
export type KubeStream = Dispatcher.ResponseData['body'];

/** The part of an object that says what it is; everything else passes through as it is. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface ApplyOptions {
  readonly fieldManager: string;
  /** Takes over fields that belong to other managers. */
  readonly force?: boolean;
  /** Everything is checked, nothing is stored. */
  readonly dryRun?: boolean;
}

export class KubeClient implements AsyncDisposable {
  /** Namespace of the context or of the pod. */
  readonly namespace: string;
  readonly server: URL;
  readonly #credentials: KubeCredentials;
  readonly #pool: Dispatcher;
  readonly #discovery = new ApiDiscovery((path) => this.request({ path }));

  private constructor(credentials: KubeCredentials, pool: Dispatcher) {
    this.#credentials = credentials;
    this.#pool = pool;
    this.server = credentials.server;
    this.namespace = credentials.namespace;
  }

  /** Finds credentials; nothing is sent yet. @throws AMBIT_KUBE_CONFIG_INVALID, AMBIT_KUBE_CREDENTIALS_UNAVAILABLE */
  static async connect(options: ConnectOptions = {}): Promise<KubeClient> {
    return KubeClient.with(await findCredentials(options));
  }

  static async with(credentials: KubeCredentials): Promise<KubeClient> {
    return new KubeClient(credentials, await openPool(credentials));
  }

  /** Cuts everything that is under way. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The answer: parsed when it is JSON, else its text. A server that is too busy is asked again when it wants to be.
   * @throws {KubeRequestError} AMBIT_KUBE_REQUEST_FAILED with the HTTP status
   * @throws AMBIT_KUBE_UNREACHABLE, AMBIT_KUBE_RESPONSE_INVALID, AMBIT_KUBE_RESPONSE_TOO_LARGE, the signal's reason
   */
  async request<T>(request: KubeRequest): Promise<T> {
    const { timeoutMs = REQUEST_TIMEOUT_MS } = request;
    const limit = AbortSignal.timeout(timeoutMs);
    const signal = request.signal === undefined ? limit : AbortSignal.any([limit, request.signal]);
    try {
      const { text, isJson } = await this.#patiently({ ...request, signal });
      return parseBody(isJson, text, request);
    } catch (thrown) {
      if (!limit.aborted || request.signal?.aborted === true || thrown instanceof KubeRequestError)
        throw thrown;
      throw kubeErrors.AMBIT_KUBE_UNREACHABLE(
        `${nameOf(request)} had no answer after ${timeoutMs} ms`,
        thrown,
      );
    }
  }

  /** The body of an answer as it comes, for logs and watches. @throws as {@link request} */
  async stream(request: KubeRequest): Promise<KubeStream> {
    return (await this.#send(request)).body;
  }

  /**
   * Server-side apply: the object with exactly these fields belonging to the manager; returns it as stored.
   * @throws {KubeRequestError} AMBIT_KUBE_APPLY_CONFLICT when another manager has some of them
   * @throws AMBIT_KUBE_KIND_UNKNOWN, and as {@link request}
   */
  async apply<T extends KubeObject>(object: T, options: ApplyOptions): Promise<T> {
    const { apiVersion, kind, metadata } = object;
    const path = await this.pathOf(apiVersion, kind, metadata.namespace, metadata.name);
    const { fieldManager, force = false, dryRun = false } = options;
    const query = { fieldManager, force, dryRun: dryRun ? 'All' : undefined };
    return this.request({ method: 'PATCH', path, query, body: object, contentType: APPLY_TYPE });
  }

  /**
   * The path of a kind, or of one object; without a namespace, of all namespaces or of a cluster-scoped object.
   * What the server tells of its kinds is remembered.
   * @throws AMBIT_KUBE_KIND_UNKNOWN, and as {@link request}
   */
  pathOf(apiVersion: string, kind: string, namespace?: string, name?: string): Promise<string> {
    return this.#discovery.pathOf({ apiVersion, kind, namespace, name });
  }

  /** What the server offers below a group and version now; nothing when it does not know the group. */
  resources(apiVersion: string): Promise<readonly ApiResource[]> {
    return this.#discovery.read(apiVersion);
  }

  /** For a WebSocket, which makes its own request over the same pool. */
  async upgrade(
    path: string,
  ): Promise<{ url: URL; headers: Readonly<Record<string, string>>; dispatcher: Dispatcher }> {
    const url = this.#urlOf({ path });
    url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:';
    return { url, headers: await this.#credentials.headers(), dispatcher: this.#pool };
  }

  async #patiently(request: KubeRequest): Promise<{ text: string; isJson: boolean }> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { headers, body } = await this.#send(request);
        const isJson = headers['content-type']?.toString().startsWith(JSON_TYPE) === true;
        return { isJson, text: await readText(body, request) };
      } catch (thrown) {
        const waitMs = thrown instanceof KubeRequestError ? thrown.retryAfterMs : undefined;
        if (waitMs === undefined || attempt > MAX_RETRIES) throw thrown;
        await waitOrThrow(waitMs, thrown, request.signal);
      }
    }
  }

  /** A token may have expired on its way: one refusal leads to a fresh one. */
  async #send(request: KubeRequest): Promise<Dispatcher.ResponseData> {
    const first = await this.#dispatch(request);
    if (first.statusCode !== 401) return checked(first, request);
    await first.body.dump();
    this.#credentials.renew();
    return checked(await this.#dispatch(request), request);
  }

  async #dispatch(request: KubeRequest): Promise<Dispatcher.ResponseData> {
    const { method = 'GET', body, contentType = JSON_TYPE, timeoutMs = REQUEST_TIMEOUT_MS } = request;
    const url = this.#urlOf(request);
    const headers = {
      ...(await this.#credentials.headers()),
      accept: `${JSON_TYPE}, */*`,
      'user-agent': `ambit/${VERSION}`,
      ...(body !== undefined && { 'content-type': contentType }),
    };
    try {
      return await this.#pool.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        body: body === undefined ? null : JSON.stringify(body),
        headersTimeout: timeoutMs,
        bodyTimeout: 0,
        ...(request.signal !== undefined && { signal: request.signal }),
      });
    } catch (thrown) {
      throw request.signal?.aborted === true ? thrown : unreachable(request, thrown);
    }
  }

  #urlOf({ path, query = {} }: KubeRequest): URL {
    const url = new URL(this.#credentials.server);
    const [pathname = '', search = ''] = path.split('?', 2);
    url.pathname = url.pathname.replace(/\/$/, '') + pathname;
    url.search = search;
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }
}

async function checked(
  response: Dispatcher.ResponseData,
  request: KubeRequest,
): Promise<Dispatcher.ResponseData> {
  const { statusCode, headers } = response;
  if (statusCode >= 200 && statusCode < 300) return response;
  const text = await readText(response.body, request);
  throw new KubeRequestError(
    nameOf(request),
    parseFailure(statusCode, text, headers['retry-after']?.toString()),
  );
}

async function readText(body: KubeStream, request: KubeRequest): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body) {
      const bytes: Buffer = chunk;
      length += bytes.length;
      if (length > MAX_RESPONSE_BYTES) break;
      chunks.push(bytes);
    }
  } catch (thrown) {
    throw request.signal?.aborted === true ? thrown : unreachable(request, thrown);
  }
  if (length <= MAX_RESPONSE_BYTES) return Buffer.concat(chunks).toString();
  throw kubeErrors.AMBIT_KUBE_RESPONSE_TOO_LARGE(`${nameOf(request)}: more than ${MAX_RESPONSE_BYTES} bytes`);
}

function parseBody<T>(isJson: boolean, text: string, request: KubeRequest): T {
  try {
    return JSON.parse(isJson ? text : JSON.stringify(text));
  } catch (thrown) {
    const message = `the answer to ${nameOf(request)} is not JSON: ${messageOf(thrown)}`;
    throw kubeErrors.AMBIT_KUBE_RESPONSE_INVALID(message, thrown);
  }
}

async function waitOrThrow(ms: number, failure: unknown, signal: AbortSignal | undefined): Promise<void> {
  try {
    await setTimeoutAsync(ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw failure;
  }
}

function unreachable(request: KubeRequest, thrown: unknown): Error {
  return kubeErrors.AMBIT_KUBE_UNREACHABLE(`${nameOf(request)} failed: ${rootMessageOf(thrown)}`, thrown);
}

/** undici wraps what the system said. */
function rootMessageOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  return messageOf(cause) || 'connection lost';
}

function nameOf({ method = 'GET', path }: KubeRequest): string {
  return `${method} ${path}`;
}
