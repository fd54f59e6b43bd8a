/** The credentials that Kubernetes mounts into a pod: a token that is rotated, and the cluster's CA. */

import { existsSync, readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import type { KubeCredentials, TlsMaterial } from './credentials.ts';
import { kubeErrors } from './errors.ts';

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** As in client-go: the kubelet replaces the file long before the token in it expires. */
const TOKEN_LIFE_MS = 60_000;

export interface ServiceAccountOptions {
  readonly server: URL;
  /** With `token`, `ca.crt` and `namespace` in it. */
  readonly folder: string;
}

/**
 * Three files do not need the Kubernetes library, which would cost every agent of every node 60 MB of memory
 * (docs/decisions/0006-service-account-without-library.md).
 */
export class ServiceAccountCredentials implements KubeCredentials {
  readonly server: URL;
  readonly namespace: string;
  readonly proxy = undefined;
  readonly #folder: string;
  #token = '';
  #readAtMs = Number.NEGATIVE_INFINITY;

  constructor({ server, folder }: ServiceAccountOptions) {
    this.server = server;
    this.#folder = folder;
    const namespace = join(folder, 'namespace');
    this.namespace = existsSync(namespace) ? this.#read('namespace').trim() : 'default';
  }

  /** undefined when this process is not in a pod with a service account. */
  static ofThisPod(): ServiceAccountCredentials | undefined {
    const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port = '443' } = process.env;
    if (host === '' || !existsSync(join(SERVICE_ACCOUNT_FOLDER, 'token'))) return undefined;
    const server = new URL(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`);
    return new ServiceAccountCredentials({ server, folder: SERVICE_ACCOUNT_FOLDER });
  }

  async tls(): Promise<TlsMaterial> {
    return { ca: this.#read('ca.crt') };
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    if (performance.now() - this.#readAtMs > TOKEN_LIFE_MS) {
      this.#token = this.#read('token').trim();
      this.#readAtMs = performance.now();
    }
    return { authorization: `Bearer ${this.#token}` };
  }

  renew(): void {
    this.#readAtMs = Number.NEGATIVE_INFINITY;
  }

  #read(name: string): string {
    const path = join(this.#folder, name);
    try {
      return readFileSync(path, 'utf8');
    } catch (thrown) {
      const message = `${path} cannot be read: ${messageOf(thrown)}`;
      throw kubeErrors.AMBIT_KUBE_CREDENTIALS_UNAVAILABLE(message, thrown);
    }
  }
}
