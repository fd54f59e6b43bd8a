/** Answers the CNI plugin: a pod of the mesh does not start before it is enrolled, and it is told why when it cannot. */

import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { AmbitError, messageOf } from '../base/errors.ts';
import { logger } from '../telemetry/log.ts';
import type { SandboxRequest } from './enrolment-manager.ts';
import { cniErrors } from './errors.ts';
import { readSandboxEnd, readSandboxRequest } from './plugin-messages.ts';

export interface PluginServerOptions {
  readonly path: string;
  /** Resolves with what the plugin may log. Rejects with the reason why the pod must not start. */
  readonly enrol: (request: SandboxRequest, deadlineMs: number) => Promise<object>;
  readonly endSandbox: (netnsPath: string) => void;
  readonly onAnswer: (status: number) => void;
}

const log = logger('plugin');
/** Istio's plugin waits 5 s; the answer has to be there before, so that its words reach kubelet. */
const DEADLINE_MS = 4_500;
/** A request names one pod and a handful of addresses. */
const MAX_BODY_BYTES = 64 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;
/** kubelet starts pods by the dozen; each holds a connection while it waits. */
const MAX_CONNECTIONS = 1_024;
/** Whoever may write here can have a namespace enrolled as any pod. */
const SOCKET_MODE = 0o600;

export class PluginServer {
  readonly #options: PluginServerOptions;
  readonly #server: Server;

  constructor(options: PluginServerOptions) {
    this.#options = options;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('request', (request, response) => void this.#answer(request, response));
  }

  /** Rejects when the socket cannot be made. */
  async listen(): Promise<void> {
    const { path } = this.#options;
    const ownPath = `${path}.${process.pid}`;
    mkdirSync(dirname(path), { recursive: true });
    rmSync(ownPath, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(ownPath, resolve);
    });
    chmodSync(ownPath, SOCKET_MODE);
    // An agent before this one may still run: it is followed without a gap, and does not take this name away at its end.
    renameSync(ownPath, path);
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** As {@link close}; the next caller is not kept waiting for somebody who never comes. */
  remove(): void {
    this.close();
    rmSync(this.#options.path, { force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#dispatch(request);
    this.#options.onAnswer(status);
    const text = `${JSON.stringify(body)}\n`;
    response.writeHead(status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    response.end(text);
  }

  async #dispatch(request: IncomingMessage): Promise<{ status: number; body: object }> {
    try {
      if (request.method !== 'POST') return { status: 405, body: { error: 'method not allowed' } };
      const body = await readBody(request);
      if (request.url === '/cmdadd') return { status: 200, body: await this.#enrol(body) };
      if (request.url !== '/cmddel') return { status: 404, body: { error: 'not found' } };
      this.#options.endSandbox(readSandboxEnd(body));
      return { status: 200, body: {} };
    } catch (thrown) {
      return failure(thrown);
    }
  }

  async #enrol(body: string): Promise<object> {
    const request = readSandboxRequest(body);
    const pod = `${request.namespace}/${request.name}`;
    const startedAt = performance.now();
    const outcome = await this.#options.enrol(request, DEADLINE_MS);
    log.info('sandbox', { pod, ...outcome, durationMs: Math.round(performance.now() - startedAt) });
    return outcome;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw cniErrors.AMBIT_CNI_PLUGIN_REQUEST_INVALID('a body without end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function failure(thrown: unknown): { status: number; body: object } {
  const code = thrown instanceof AmbitError ? thrown.code : undefined;
  const status = code === 'AMBIT_CNI_PLUGIN_REQUEST_INVALID' ? 400 : 500;
  log.error('sandbox refused', { status, error: messageOf(thrown), code });
  return { status, body: { error: messageOf(thrown), code } };
}
