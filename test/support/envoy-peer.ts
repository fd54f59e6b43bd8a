/** Envoy as the other node proxy: ends tunnels in front of an application, and begins them for its clients. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENVOY_ADMIN_PORT, type EnvoyConfigOptions, envoyConfig } from './envoy-config.ts';
import { envoyProgram } from './envoy-program.ts';
import { eventuallyAnswers } from './eventually.ts';
import { type LivePod, shellInPod } from './mesh-pods.ts';

const ADMIN = `127.0.0.1:${ENVOY_ADMIN_PORT}`;
const START_DEADLINE_MS = 30_000;

export interface EnvoyPeerOptions extends Omit<EnvoyConfigOptions, 'address'> {
  readonly pod: LivePod;
}

export class EnvoyPeer {
  readonly #child: ChildProcess;
  readonly #pod: LivePod;
  readonly #folder: string;

  private constructor(options: EnvoyPeerOptions) {
    this.#pod = options.pod;
    this.#folder = mkdtempSync(join(tmpdir(), 'envoy-'));
    const config = join(this.#folder, 'envoy.json');
    const { pod, ...rest } = options;
    writeFileSync(config, JSON.stringify(envoyConfig({ ...rest, address: pod.addresses[0]! })));
    // One thread, and no shared memory with others of the same machine; a drain begins at once.
    const flags = ['--concurrency', '1', '--use-dynamic-base-id', '--log-level', 'error'];
    const drain = ['--drain-strategy', 'immediate', '--drain-time-s', '600'];
    const command = [envoyProgram(), '-c', config, ...flags, ...drain];
    this.#child = spawn('ip', ['netns', 'exec', options.pod.netns.name, ...command], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  /** Resolves when it serves. */
  static async start(options: EnvoyPeerOptions): Promise<EnvoyPeer> {
    const envoy = new EnvoyPeer(options);
    const ready = async () => (await envoy.#admin('GET', '/ready')) === 'LIVE\n';
    await eventuallyAnswers('Envoy to serve', ready, START_DEADLINE_MS);
    return envoy;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
    rmSync(this.#folder, { recursive: true });
  }

  /** From now on each connection is told to go away when it has answered its next request. */
  async drain(): Promise<void> {
    await this.#admin('POST', '/drain_listeners?graceful&skip_exit');
  }

  /** One of its counters, by its full name. */
  async counter(name: string): Promise<number> {
    const text = await this.#admin('GET', '/stats');
    const line = text.split('\n').find((one) => one.startsWith(`${name}: `));
    if (line === undefined) throw new Error(`Envoy counts no ${name}`);
    return Number(line.slice(name.length + 2));
  }

  #admin(method: string, path: string): Promise<string> {
    return shellInPod(this.#pod, `curl -s -X ${method} 'http://${ADMIN}${path}'`);
  }
}
