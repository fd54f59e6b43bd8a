/** Asks the API server of the cluster, over one kept connection, and independent of the client that is under test. */

import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { parse } from 'yaml';

interface Kubeconfig {
  readonly clusters: readonly [{ cluster: { server: string; 'certificate-authority-data': string } }];
  readonly users: readonly [{ user: { 'client-certificate-data': string; 'client-key-data': string } }];
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
}

/** Kubernetes' own answer to what it refuses. */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.status = status;
  }
}

const TIMEOUT_MS = 30_000;

export class ApiServer {
  readonly #origin: string;
  readonly #agent: Agent;

  /** @param kubeconfig path of a file with one cluster and one user with a certificate */
  constructor(kubeconfig: string) {
    const { clusters, users } = parse(readFileSync(kubeconfig, 'utf8')) as Kubeconfig;
    const { server, 'certificate-authority-data': ca } = clusters[0].cluster;
    const { 'client-certificate-data': cert, 'client-key-data': key } = users[0].user;
    const [decodedCa, decodedCert, decodedKey] = [ca, cert, key].map((text) => Buffer.from(text, 'base64'));
    this.#origin = server;
    this.#agent = new Agent({ keepAlive: true, ca: decodedCa, cert: decodedCert, key: decodedKey });
  }

  get<T>(path: string): Promise<T> {
    return this.request({ method: 'GET', path });
  }

  /** The object; undefined when there is none. */
  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (thrown) {
      if (thrown instanceof ApiError && thrown.status === 404) return undefined;
      throw thrown;
    }
  }

  /** Changes fields of an object: null removes one. */
  patch(path: string, body: unknown): Promise<unknown> {
    return this.request({ method: 'PATCH', path, body });
  }

  async request<T>(what: ApiRequest): Promise<T> {
    return JSON.parse(await this.#text(what)) as T;
  }

  close(): void {
    this.#agent.destroy();
  }

  #text({ method, path, body }: ApiRequest): Promise<string> {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return new Promise((resolve, reject) => {
      const call = request(`${this.#origin}${path}`, { method, agent: this.#agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject).on('end', () => {
          const status = response.statusCode ?? 0;
          if (status >= 200 && status < 300) resolve(text);
          else reject(new ApiError(status, `${method} ${path}: ${status} ${text}`));
        });
      });
      call.setTimeout(TIMEOUT_MS, () => call.destroy(new Error(`${method} ${path}: no answer`)));
      call.on('error', reject);
      call.setHeader('content-type', type);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
