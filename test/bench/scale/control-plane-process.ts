/** The real control plane as a process, with the rights of its service account. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { eventuallyAnswers } from '../../support/eventually.ts';
import { freePort } from '../../support/free-port.ts';
import type { MeshCluster } from '../../support/mesh-cluster.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');

export class ControlPlaneProcess implements AsyncDisposable {
  readonly xdsPort: number;
  readonly #httpPort: number;
  readonly #child: ChildProcess;

  private constructor(kubeconfig: string, xdsPort: number, httpPort: number) {
    this.xdsPort = xdsPort;
    this.#httpPort = httpPort;
    const flags = {
      kubeconfig,
      namespace: 'ambit-system',
      identity: 'bench',
      listen: `127.0.0.1:${xdsPort}`,
      http: `127.0.0.1:${httpPort}`,
    };
    const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const node = ['--disable-warning=ExperimentalWarning', ...profilingFlags(), MAIN, 'controlplane'];
    this.#child = spawn(process.execPath, [...node, ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      // As in daemonset/base/controlplane.yaml.
      env: { ...process.env, RUST_LOG: 'warn', NODE_OPTIONS: '--max-semi-space-size=4' },
    });
  }

  /** Resolves when it serves. */
  static async start(cluster: MeshCluster, timeoutMs: number): Promise<ControlPlaneProcess> {
    const kubeconfig = cluster.server.kubeconfig(await cluster.token('ambit-system/ambit-controlplane'));
    const control = new ControlPlaneProcess(kubeconfig, await freePort(), await freePort());
    await eventuallyAnswers('the control plane', () => control.#isReady(), timeoutMs);
    return control;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** The sum of a metric over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(`http://127.0.0.1:${this.#httpPort}/metrics`)).text();
    const rows = text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
    return rows.reduce((sum, row) => sum + Number(row.split(' ').at(-1)), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    this.#child.kill('SIGTERM');
    await once(this.#child, 'exit');
  }

  async #isReady(): Promise<boolean> {
    if (this.#child.exitCode !== null) throw new Error(`the control plane ended: ${this.#child.exitCode}`);
    return (await fetch(`http://127.0.0.1:${this.#httpPort}/readyz`)).ok;
  }
}

/** CPU_PROFILE=DIR has the control plane leave a profile there when it ends. */
function profilingFlags(): string[] {
  const folder = process.env.CPU_PROFILE;
  return folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`];
}
