/** Credentials out of a kubeconfig, with its exec and OIDC plugins; the one file that loads the Kubernetes library. */

import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { messageOf } from '../base/errors.ts';
import type { ConnectOptions } from './connect-options.ts';
import type { KubeCredentials, TlsMaterial } from './credentials.ts';
import { kubeErrors } from './errors.ts';

/** A plugin may have to ask somebody over the network; it is not asked again for every request. */
const REUSE_MS = 10_000;

interface Applied {
  readonly tls: TlsMaterial;
  readonly headers: Readonly<Record<string, string>>;
}

export class KubeconfigCredentials implements KubeCredentials {
  readonly server: URL;
  readonly namespace: string;
  readonly proxy: string | undefined;
  readonly #options: ConnectOptions;
  #config: KubeConfig;
  #applied: Promise<Applied> | undefined;
  #appliedAtMs = 0;

  private constructor(options: ConnectOptions, config: KubeConfig) {
    const cluster = config.getCurrentCluster();
    const server = URL.parse(cluster?.server ?? '');
    if (cluster === null || server === null) {
      throw kubeErrors.AMBIT_KUBE_CONFIG_INVALID(`${nameOf(options)} names no server for this context`);
    }
    if (cluster.proxyUrl?.startsWith('socks') === true) {
      throw kubeErrors.AMBIT_KUBE_CONFIG_INVALID(
        `${nameOf(options)} asks for a SOCKS proxy; only HTTP is supported`,
      );
    }
    this.#options = options;
    this.#config = config;
    this.server = server;
    this.proxy = cluster.proxyUrl;
    this.namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  }

  /** @throws AMBIT_KUBE_CONFIG_INVALID */
  static load(options: ConnectOptions): KubeconfigCredentials {
    return new KubeconfigCredentials(options, loadConfig(options));
  }

  async tls(): Promise<TlsMaterial> {
    return (await this.#apply()).tls;
  }

  async headers(): Promise<Readonly<Record<string, string>>> {
    return (await this.#apply()).headers;
  }

  /** The library remembers tokens inside of its configuration: a new one has to ask again. */
  renew(): void {
    this.#config = loadConfig(this.#options);
    this.#applied = undefined;
  }

  #apply(): Promise<Applied> {
    const now = performance.now();
    if (this.#applied === undefined || now - this.#appliedAtMs > REUSE_MS) {
      this.#appliedAtMs = now;
      this.#applied = applyConfig(this.#config);
      this.#applied.catch(() => {
        this.#applied = undefined;
      });
    }
    return this.#applied;
  }
}

async function applyConfig(config: KubeConfig): Promise<Applied> {
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (thrown) {
    const message = `no credentials of context ${config.getCurrentContext()}: ${messageOf(thrown).trim()}`;
    throw kubeErrors.AMBIT_KUBE_CREDENTIALS_UNAVAILABLE(message, thrown);
  }
  return { tls: tlsOf(options), headers: headersOf(options) };
}

function tlsOf({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): TlsMaterial {
  return {
    ...(isPem(ca) && { ca }),
    ...(isPem(cert) && { cert }),
    ...(isPem(key) && { key }),
    ...(servername !== undefined && { servername }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
}

function isPem(value: unknown): value is string | Buffer {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    if (value !== undefined) found[name.toLowerCase()] = String(value);
  }
  if (typeof auth === 'string') found.authorization = `Basic ${Buffer.from(auth).toString('base64')}`;
  return found;
}

function loadConfig(options: ConnectOptions): KubeConfig {
  const config = new KubeConfig();
  try {
    if (options.kubeconfig !== undefined) config.loadFromFile(options.kubeconfig);
    else if (process.env.KUBECONFIG || existsSync(defaultPath())) config.loadFromDefault();
    else throw new Error('there is none, and this is not a pod with a service account');
  } catch (thrown) {
    const message = `${nameOf(options)} cannot be used: ${messageOf(thrown)}`;
    throw kubeErrors.AMBIT_KUBE_CONFIG_INVALID(message, thrown);
  }
  selectContext(config, options);
  return config;
}

function selectContext(config: KubeConfig, options: ConnectOptions): void {
  const { context } = options;
  if (context === undefined) return;
  if (config.getContextObject(context) === null) {
    throw kubeErrors.AMBIT_KUBE_CONFIG_INVALID(`${nameOf(options)} has no context ${context}`);
  }
  config.setCurrentContext(context);
}

/** Without it the library believes in a server on this machine. */
function defaultPath(): string {
  return join(homedir(), '.kube', 'config');
}

function nameOf({ kubeconfig }: ConnectOptions): string {
  return `the kubeconfig ${kubeconfig ?? process.env.KUBECONFIG ?? '~/.kube/config'}`;
}
