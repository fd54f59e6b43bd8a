/** The plugin's own way to the API server: a kubeconfig in the agent's run directory, with a token that is renewed. */

import { readFileSync, rmSync } from 'node:fs';
import { messageOf } from '../../base/errors.ts';
import { logger } from '../../telemetry/log.ts';
import { cniErrors } from '../errors.ts';
import { writeFileAtomically } from './atomic-file.ts';

export interface PluginToken {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly expiresAtMs: number;
}

export interface PluginKubeconfigOptions {
  readonly path: string;
  /** As the node reaches it: a URL. */
  readonly server: string;
  /** PEM; absent: the roots of the system. */
  readonly caPem: string | undefined;
  /** Asks the API server for a new token. */
  readonly issueToken: () => Promise<PluginToken>;
  readonly now?: () => number;
}

/** Whoever has the token may read pods and namespaces. */
const MODE = 0o600;
/** After a failed renewal, while the old token is still good. */
const RETRY_MS = 10_000;

const log = logger('install');

export class PluginKubeconfig {
  readonly #options: PluginKubeconfigOptions;
  readonly #now: () => number;
  #token: PluginToken | undefined;
  /** In the middle of the token's life. */
  #renewAtMs = 0;
  #text: string | undefined;

  constructor(options: PluginKubeconfigOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /**
   * Writes the file when it is not as it should be, and renews the token in the middle of its life.
   * @returns whether somebody else had changed the file
   * @throws AMBIT_CNI_TOKEN_REFUSED when there is no token that is still good
   */
  async ensure(): Promise<boolean> {
    if (this.#now() >= this.#renewAtMs) await this.#renew();
    const isChanged = this.#text !== undefined && readText(this.#options.path) !== this.#text;
    const text = this.#format();
    if (isChanged || text !== this.#text) writeFileAtomically(this.#options.path, text, MODE);
    this.#text = text;
    return isChanged;
  }

  remove(): void {
    rmSync(this.#options.path, { force: true });
  }

  async #renew(): Promise<void> {
    const now = this.#now();
    try {
      this.#token = await this.#options.issueToken();
      this.#renewAtMs = (now + this.#token.expiresAtMs) / 2;
    } catch (thrown) {
      const message = `no token for the CNI plugin: ${messageOf(thrown)}`;
      const isStillGood = this.#token !== undefined && now < this.#token.expiresAtMs;
      if (!isStillGood) throw cniErrors.AMBIT_CNI_TOKEN_REFUSED(message, thrown);
      this.#renewAtMs = now + RETRY_MS;
      log.warn(message, { goodUntil: new Date(this.#token!.expiresAtMs).toISOString() });
    }
  }

  /** JSON is YAML, and the plugin needs no parser for it. */
  #format(): string {
    const { server, caPem } = this.#options;
    const ca = caPem && { 'certificate-authority-data': Buffer.from(caPem).toString('base64') };
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'cluster', cluster: { server, ...ca } }],
      users: [{ name: 'ambit-cni-plugin', user: { token: this.#token?.token } }],
      contexts: [{ name: 'plugin', context: { cluster: 'cluster', user: 'ambit-cni-plugin' } }],
      'current-context': 'plugin',
    };
    return `${JSON.stringify(config, null, 2)}\n`;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
